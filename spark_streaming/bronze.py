"""Kafka to bronze: every message becomes one row of a Delta table, exactly once, byte for byte.

Spark's checkpoint remembers which offsets each micro-batch holds, and Delta's transactional sink writes a
micro-batch at most once, so that a crash anywhere repeats the same batch and adds nothing twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from cinelake.errors import ServiceError
from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion.topics import MOVIE, USER_LOGS, USER_LOGS_REJECTED

MAX_OFFSETS_PER_BATCH = 500_000
"""Messages in one micro-batch, so that memory stays bounded however far behind bronze is."""

TURN_SECONDS = 2
"""How long to look at one of several queries before the next."""

WHOLE = "triggerExecution"
"""What Spark calls all phases of a micro-batch together."""

log = get_logger("bronze")


@dataclass(frozen=True)
class Trigger:
    """When a stage runs: once over what is there, or again and again.

    Args:
        every: A Spark interval such as `10 seconds` for a daemon; None handles what is there and ends.
    """

    every: str | None = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments for `DataStreamWriter.trigger`."""
        return {"processingTime": self.every} if self.every else {"availableNow": True}


def transform(messages: DataFrame) -> DataFrame:
    """Shape Kafka messages as bronze rows.

    Args:
        messages: Columns of Spark's Kafka source: `topic`, `partition`, `offset`, `timestamp`, `key`, `value`.

    Returns:
        The same messages with `ingest_date`, the UTC date of the Kafka timestamp.
    """
    return messages.select(
        "topic",
        "partition",
        "offset",
        "timestamp",
        "key",
        "value",
        F.to_date("timestamp").alias("ingest_date"),
    )


def query_name(topic: str) -> str:
    """How the query is called that lands a topic."""
    return f"bronze.{topic}"


def start(
    spark: SparkSession,
    settings: Settings,
    topic: str,
    *,
    path: str,
    checkpoint: str,
    trigger: Trigger,
) -> StreamingQuery:
    """Start landing one topic.

    Args:
        spark: The session.
        settings: `kafka` is used.
        topic: Topic to read, from its earliest offset the first time.
        path: Folder of the Delta table.
        checkpoint: Folder of the query's checkpoint.
        trigger: When to run.

    Returns:
        The running query.
    """
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("maxOffsetsPerTrigger", MAX_OFFSETS_PER_BATCH)
        .load()
    )
    return (
        transform(messages)
        .writeStream.format("delta")
        .queryName(query_name(topic))
        .option("checkpointLocation", checkpoint)
        .trigger(**trigger.options())
        .start(path)
    )


@dataclass(frozen=True)
class Batch:
    """A micro-batch with rows that a query has written.

    Args:
        query: The query's name.
        number: Spark's number of it.
        rows: Rows that it read.
        seconds: How long it took, from planning to its commit.
        state_rows: Rows that the query's stateful operators hold; 0 where it has none.
        phases: The seconds by what they went into, in Spark's words, such as `addBatch`.
    """

    query: str
    number: int
    rows: int
    seconds: float
    state_rows: int
    phases: Mapping[str, float]


def await_all(
    queries: list[StreamingQuery], note: Callable[[list[Batch]], None] = lambda _: None
) -> dict[str, int]:
    """Wait until every query has ended; when one fails, stop the others.

    Args:
        queries: Running queries.
        note: Called with the batches that have ended since it was called last, now and then and at the end.

    Returns:
        Rows read by each query, by its name.

    Raises:
        ServiceError: A query failed; the message has Spark's reason.
    """
    logs = [_BatchLog(query) for query in queries]
    running = logs
    try:
        while running:
            # In turns: a daemon's query never ends, and would hide that another one failed.
            running = [each for each in running if not each.query.awaitTermination(TURN_SECONDS)]
            note([batch for each in logs for batch in each.new()])
    except Exception as error:
        for query in queries:
            query.stop()
        raise ServiceError(
            f"A streaming query failed: {str(error).splitlines()[0]}",
            "Nothing is half-written: mend the cause and run the same command again.",
        ) from error
    return {str(query.name): sum(p.numInputRows for p in query.recentProgress) for query in queries}


class _BatchLog:
    """Tells which batches of a query have ended since it was asked last."""

    def __init__(self, query: StreamingQuery) -> None:
        self.query = query
        self._known = -1
        self._seen: tuple[int, bool] | None = None

    def new(self) -> list[Batch]:
        last = self.query.lastProgress
        # An idle query reports the number of its next batch again and again: not worth reading all reports.
        seen = (last.batchId, last.numInputRows > 0) if last else None
        if seen == self._seen:
            return []
        self._seen = seen
        batches = [
            Batch(
                str(self.query.name),
                each.batchId,
                each.numInputRows,
                each.batchDuration / 1000,
                sum(operator.numRowsTotal for operator in each.stateOperators),
                {
                    phase: duration / 1000
                    for phase, duration in each.durationMs.items()
                    if phase != WHOLE
                },
            )
            for each in self.query.recentProgress
            if each.numInputRows and each.batchId > self._known
        ]
        self._known = max([self._known, *(batch.number for batch in batches)])
        return batches


TOPIC_OF_TABLE = {
    "bronze.user_logs": USER_LOGS,
    "bronze.movie": MOVIE,
    "bronze.rejected": USER_LOGS_REJECTED,
}
