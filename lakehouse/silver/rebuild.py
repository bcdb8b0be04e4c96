"""Silver rebuilt in place: every message of bronze is read by the present rules, and the rows that differ are written.

Tables, their versions and their change data feeds go on, so that publication and gold follow as after any batch: what is
no longer there is deleted row by row, and what stays as it was is not touched. Of silver only what bronze does not tell
is kept: recoveries that still hold, recommendations, and when a message was first set aside or found to repeat another.

A rebuild can be repeated. That a table was made by the present rules is noted last, so one that was killed begins anew.
"""

import time

from pyspark.sql import SparkSession

from cinelake.log import get_logger
from cinelake.settings import Settings
from lakehouse import changes, recoveries, tables
from lakehouse.checkpoints import FIRST_FED
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
    _note(spark, settings, source)
    log.info("rebuild has ended", seconds=round(time.monotonic() - started, 2), **about)


def _refresh(spark: SparkSession, settings: Settings, source: str) -> None:
    messages = tables.read(spark, settings, source)
    as_recovered = recoveries.as_recovered(spark, settings, messages)
    REFRESH_OF_SOURCE[source](spark, settings, as_recovered, is_rebuild=True)


def _note(spark: SparkSession, settings: Settings, source: str) -> None:
    path = tables.table_path(settings, FIRST_FED[source]).replace("`", "``")
    spark.sql(
        f"alter table delta.`{path}` set tblproperties ('{rules.PROPERTY}' = '{rules.VERSION}')"
    )
