"""Bronze to silver: the queries that feed every silver table, each from one bronze table."""

from threading import Lock
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.recoveries import as_recovered
from lakehouse.silver import turns
from lakehouse.silver.refresh_events import refresh_events
from lakehouse.silver.refresh_movies import refresh_movies
from spark_streaming.bronze import Trigger


class Refresh(Protocol):
    """Brings silver up to date with messages of a bronze table."""

    def __call__(
        self, spark: SparkSession, settings: Settings, messages: DataFrame, is_rebuild: bool = False
    ) -> None:
        """As `refresh_events` and `refresh_movies` do."""


REFRESH_OF_SOURCE: dict[str, Refresh] = {
    "bronze.movie": refresh_movies,
    "bronze.user_logs": refresh_events,
}
"""Which function each bronze table feeds; movies first, so that events find their movie."""


_writing = Lock()
"""Held by the query whose batch is being written: both write to quarantine, and two writers could conflict there."""


def query_name(source: str) -> str:
    """How the query is called that feeds silver from a table of bronze."""
    return f"silver from {source}"


def start(spark: SparkSession, settings: Settings, source: str, trigger: Trigger) -> StreamingQuery:
    """Start the query that feeds silver from one bronze table.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        source: A key of `REFRESH_OF_SOURCE`.
        trigger: When to run.

    Returns:
        The running query.
    """
    refresh = REFRESH_OF_SOURCE[source]

    def handle(batch: DataFrame, _batch_id: int) -> None:
        with _writing, turns.batch(settings):
            messages = as_recovered(batch.sparkSession, settings, batch)
            refresh(batch.sparkSession, settings, messages)

    return (
        spark.readStream.format("delta")
        .load(tables.table_path(settings, source))
        .writeStream.foreachBatch(handle)
        .queryName(query_name(source))
        .option("checkpointLocation", tables.checkpoint_path(settings, f"silver.{source}"))
        .trigger(**trigger.options())
        .start()
    )
