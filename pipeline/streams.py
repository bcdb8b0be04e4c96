"""The two streaming stages: Kafka to bronze and bronze to silver, once or as daemons."""

from collections.abc import Collection

from pyspark.sql import SparkSession

from cinelake.errors import BadInputError
from cinelake.settings import Settings
from ingestion.topics import ensure_topics
from lakehouse import checkpoints, tables
from lakehouse.silver import refresh as silver_refresh
from pipeline.locks import only_one
from spark_streaming import bronze
from spark_streaming.bronze import Trigger

ONCE = Trigger()


def run_bronze(spark: SparkSession, settings: Settings, trigger: Trigger = ONCE) -> dict[str, int]:
    """Kafka to bronze; returns the rows each query read. With a daemon's trigger it ends only when it is stopped.

    Raises:
        CheckpointMismatchError: A table or its checkpoint was lost; nothing was read.
        ServiceError: A query failed, or another process holds bronze.
    """
    ensure_topics(settings)
    with only_one(settings, "bronze"):
        for name in bronze.TOPIC_OF_TABLE:
            checkpoints.require_fits(settings, name)
        tables.ensure_layer(spark, settings, "bronze")
        queries = [
            bronze.start(
                spark,
                settings,
                topic,
                path=tables.table_path(settings, name),
                checkpoint=tables.checkpoint_path(settings, name),
                trigger=trigger,
            )
            for name, topic in bronze.TOPIC_OF_TABLE.items()
        ]
        return bronze.await_all(queries)


def run_silver(
    spark: SparkSession, settings: Settings, trigger: Trigger = ONCE, sources: Collection[str] = ()
) -> dict[str, int]:
    """Bronze to silver; returns the rows each query read.

    Args:
        spark: The session.
        settings: All of them.
        trigger: When to run.
        sources: Only what these tables of bronze feed; empty for all of silver.

    Raises:
        BadInputError: Silver reads no such table.
        CheckpointMismatchError: Silver was lost and its checkpoints were not; nothing was read.
        ServiceError: A query failed, or another process holds silver.
    """
    known = silver_refresh.REFRESH_OF_SOURCE
    if unknown := sorted(set(sources) - set(known)):
        raise BadInputError(
            f"Silver does not read {', '.join(unknown)}.", f"It reads {', '.join(known)}."
        )
    with only_one(settings, "silver"):
        checkpoints.require_silver(settings)
        tables.ensure_layer(spark, settings, "bronze")
        tables.ensure_layer(spark, settings, "silver")
        chosen = [source for source in known if not sources or source in sources]
        # Once: one after the other, as two cores gain nothing from two queries at once. Daemons: side by side.
        groups = [chosen] if trigger.every else [[source] for source in chosen]
        read: dict[str, int] = {}
        for group in groups:
            read |= bronze.await_all(
                [silver_refresh.start(spark, settings, source, trigger) for source in group]
            )
        return read
