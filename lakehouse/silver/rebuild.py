"""Silver rebuilt in place: every message of bronze is read by the present rules, and the rows that differ are written.

Tables, their versions and their change data feeds go on, so that publication and gold follow as after any batch: what is
no longer there is deleted row by row, and what stays as it was is not touched. Of silver only what bronze does not tell
is kept: recoveries that still hold, recommendations to users whose id holds no address, and when a message was first set
aside or found to repeat another.

A rebuild can be repeated. That a table was made by the present rules is noted last, so one that was killed begins anew.
"""

import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cinelake.log import get_logger
from cinelake.pseudonyms import Pseudonyms
from cinelake.settings import Settings
from lakehouse import changes, recoveries, tables
from lakehouse.checkpoints import FIRST_FED
from lakehouse.contract import table
from lakehouse.pseudonym import without_addresses
from lakehouse.silver import rules
from lakehouse.silver.refresh import REFRESH_OF_SOURCE

log = get_logger("silver")


def outdated(settings: Settings) -> list[str]:
    """The tables of bronze of which silver holds what other rules than the present made; none where silver is not there."""
    return [
        source
        for source in REFRESH_OF_SOURCE
        if changes.open_table(settings, FIRST_FED[source])
        and made_by(settings, source) != rules.VERSION
    ]


def made_by(settings: Settings, source: str) -> int:
    """The version of the rules by which silver has read what a table of bronze holds."""
    return int(changes.property_of(settings, FIRST_FED[source], rules.PROPERTY) or rules.UNKNOWN)


def rebuild(spark: SparkSession, settings: Settings, source: str) -> None:
    """Make silver hold what the messages of a table of bronze say by the present rules, and nothing else.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        source: A key of `REFRESH_OF_SOURCE`; its tables of silver are there, empty or not.
    """
    about = {"source": source, "rules": rules.VERSION}
    log.info("rebuild begins", made_by=made_by(settings, source), **about)
    started = time.monotonic()
    _refresh(spark, settings, source)
    if recoveries.take_back(spark, settings):
        # Set aside as they were mended; from now on they are as they were sent.
        _refresh(spark, settings, source)
    if source == "bronze.user_logs":
        _forget_addresses(spark, settings)
    _note(spark, settings, source)
    log.info("rebuild has ended", seconds=round(time.monotonic() - started, 2), **about)


def _refresh(spark: SparkSession, settings: Settings, source: str) -> None:
    messages = tables.read(spark, settings, source)
    as_recovered = recoveries.as_recovered(spark, settings, messages)
    REFRESH_OF_SOURCE[source](spark, settings, as_recovered, is_rebuild=True)


def _forget_addresses(spark: SparkSession, settings: Settings) -> None:
    """Take away what is recommended to users whose id was an address; they are scored under their pseudonym next."""
    contract = table("silver.movie_recommendations")
    if not changes.open_table(settings, contract.full_name):
        return
    held = tables.read(spark, settings, contract.full_name)
    users = held.select("user_id", F.col("user_id").alias("sent")).distinct()
    renamed = without_addresses(users, {"user_id": Pseudonyms.in_id}, settings.pseudonym_secret)
    gone = tables.computed(renamed.where("user_id <> sent").select(F.col("sent").alias("user_id")))
    if not gone.isEmpty():
        tables.replace(spark, settings, contract, held.limit(0), gone)


def _note(spark: SparkSession, settings: Settings, source: str) -> None:
    path = tables.table_path(settings, FIRST_FED[source]).replace("`", "``")
    spark.sql(
        f"alter table delta.`{path}` set tblproperties ('{rules.PROPERTY}' = '{rules.VERSION}')"
    )
