"""Bronze to silver: each micro-batch of new messages updates every silver table it touches.

Every step writes by key (insert what is new, update what differs), so that a batch that is run again after a crash
leaves the same tables as one that ran once. What depends on a visitor's whole history (sessions, users, ratings) is
computed anew from it for the visitors in the batch, so that the order of arrival does not matter.
"""

from collections.abc import Callable
from threading import Lock

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from cinelake.log import get_logger
from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import table
from lakehouse.quarantine import COORDINATES, quarantine
from lakehouse.recoveries import as_recovered
from lakehouse.silver import events, ratings, sessions, users
from lakehouse.silver.refresh_movies import refresh_movies
from spark_streaming.bronze import Trigger

log = get_logger("silver")


def refresh_events(spark: SparkSession, settings: Settings, messages: DataFrame) -> None:
    """Bring `events`, `sessions`, `users`, `ratings`, `duplicates` and `quarantine` up to date with new messages.

    Args:
        spark: The session.
        settings: Tells where the lake is, and the limits and keys of `events.Policy`.
        messages: New rows of `bronze.user_logs`.
    """
    policy = events.Policy(
        settings.pseudonym_secret, settings.late_after_hours, settings.future_tolerance_minutes
    )
    judged = events.transform(messages, policy).persist()
    try:
        bad = judged.where("broken is not null")
        if not bad.isEmpty():
            quarantine(spark, settings, bad, table("silver.events"))
        good = judged.where("broken is null").drop("broken", "payload")
        if not good.isEmpty():
            _merge_events(spark, settings, good)
    finally:
        judged.unpersist()


def _merge_events(spark: SparkSession, settings: Settings, good: DataFrame) -> None:
    silver_events = tables.read(spark, settings, "silver.events")
    first = events.first_received(good)
    held = silver_events.join(first.select("event_id"), "event_id", "left_semi").persist()
    winners = events.first_received(held.unionByName(first)).persist()
    # New, or received before the message that silver holds.
    fresh = winners.join(held, ["event_id", *COORDINATES], "left_anti").persist()
    visitors = good.select("visitor_id").union(held.select("visitor_id")).distinct().persist()
    history = silver_events.join(F.broadcast(visitors), "visitor_id", "left_semi").join(
        fresh.select("event_id"), "event_id", "left_anti"
    )
    stored = history.withColumnRenamed("session_id", "_stored_session_id")
    arrived = fresh.drop("session_id").withColumn("_stored_session_id", F.lit(None).cast("string"))
    complete = sessions.assign(stored.unionByName(arrived), settings.session_gap_minutes).persist()
    try:
        repeats = _repeats(good.unionByName(held), winners).persist()
        changed = complete.where(~F.col("session_id").eqNullSafe(F.col("_stored_session_id")))
        # Each input below is read before the table it comes from is written: `complete` is materialised here.
        log.info(
            "batch", visitors=visitors.count(), events=complete.count(), repeats=repeats.count()
        )
        # First, as a message that loses its place in `silver.events` is in no later batch: killed between the two
        # writes, or asked again once the place is taken, nobody would know that it was there.
        if not repeats.isEmpty():
            tables.insert_new(spark, settings, table("silver.duplicates"), repeats)
        tables.upsert(spark, settings, table("silver.events"), changed)
        for name, owners, rows in (
            ("silver.sessions", visitors, sessions.transform(complete)),
            ("silver.users", _users(visitors), users.transform(complete)),
            ("silver.ratings", _users(visitors), ratings.transform(complete)),
        ):
            tables.replace_for(spark, settings, table(name), rows, owners)
        repeats.unpersist()
    finally:
        for frame in (held, winners, fresh, visitors, complete):
            frame.unpersist()


def _users(visitors: DataFrame) -> DataFrame:
    """The users among the visitors, as the column `user_id`."""
    is_user = F.col("visitor_id").startswith("u:")
    return visitors.where(is_user).select(F.substring("visitor_id", 3, 2**31 - 1).alias("user_id"))


def _repeats(messages: DataFrame, winners: DataFrame) -> DataFrame:
    """Messages whose event is counted at other Kafka coordinates, as rows of `silver.duplicates`."""
    counted_at = winners.select(
        "event_id", *(F.col(name).alias(f"_counted_{name}") for name in COORDINATES)
    )
    elsewhere = ~tables.all_of([F.col(name) == F.col(f"_counted_{name}") for name in COORDINATES])
    return (
        messages.join(counted_at, "event_id")
        .where(elsewhere)
        .select(*COORDINATES, "event_id", F.current_timestamp().alias("detected_at"))
        .dropDuplicates(COORDINATES)
    )


Refresh = Callable[[SparkSession, Settings, DataFrame], None]

REFRESH_OF_SOURCE: dict[str, Refresh] = {
    "bronze.movie": refresh_movies,
    "bronze.user_logs": refresh_events,
}
"""Which function each bronze table feeds; movies first, so that events find their movie."""


_writing = Lock()
"""Held by the query whose batch is being written: both write to quarantine, and two writers could conflict there."""


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
        with _writing:
            messages = as_recovered(batch.sparkSession, settings, batch)
            refresh(batch.sparkSession, settings, messages)

    return (
        spark.readStream.format("delta")
        .load(tables.table_path(settings, source))
        .writeStream.foreachBatch(handle)
        .queryName(f"silver from {source}")
        .option("checkpointLocation", tables.checkpoint_path(settings, f"silver.{source}"))
        .trigger(**trigger.options())
        .start()
    )
