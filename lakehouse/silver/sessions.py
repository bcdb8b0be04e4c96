"""`silver.sessions`: visits, by the id the client gave or cut by inactivity."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

VISIT = ["visitor_id", "client_session_id"]
"""Events of one visitor with one given id are one session; those without an id share a null here."""


def assign(events: DataFrame, gap_minutes: int) -> DataFrame:
    """Give every event its session.

    A session without a given id starts after more than `gap_minutes` without an event of that visitor, as web
    analytics counts them (https://support.google.com/analytics/answer/12798876). The id depends only on the
    visitor and the session's first event, so that the order of arrival does not matter.

    Args:
        events: The complete events of each visitor that occurs, shaped as `silver.events`.
        gap_minutes: The longest pause inside a session.

    Returns:
        The same rows with `session_id` set.
    """
    in_order = Window.partitionBy(*VISIT).orderBy("occurred_at", "event_id")
    gap = F.expr(f"interval {gap_minutes} minutes")
    starts = F.col("client_session_id").isNull() & (
        F.col("occurred_at") - F.lag("occurred_at").over(in_order) > gap
    )
    numbered = events.withColumn(
        "_number", F.sum(F.coalesce(starts, F.lit(False)).cast("int")).over(in_order)
    )
    first_event = F.first("event_id").over(
        Window.partitionBy(*VISIT, "_number").orderBy("occurred_at", "event_id")
    )
    natural_key = F.when(
        F.col("client_session_id").isNotNull(),
        F.concat_ws("|", F.lit("given"), "visitor_id", "client_session_id"),
    ).otherwise(F.concat_ws("|", F.lit("cut"), "visitor_id", first_event))
    return numbered.withColumn("session_id", F.sha2(natural_key, 256)).drop("_number")


def transform(events: DataFrame) -> DataFrame:
    """Sum up sessions.

    Args:
        events: Rows of `silver.events` with their `session_id`; every event of each session that occurs.

    Returns:
        Rows of `silver.sessions`.
    """
    # max_by passes over rows whose order is null.
    when_known = F.when(F.col("anonymous_id").isNotNull(), F.struct("occurred_at", "event_id"))
    return events.groupBy("session_id", "visitor_id").agg(
        F.max("user_id").alias("user_id"),
        F.max_by("anonymous_id", when_known).alias("anonymous_id"),
        F.max(F.col("client_session_id").isNotNull()).alias("is_given"),
        F.max("client_session_id").alias("client_session_id"),
        F.min("occurred_at").alias("started_at"),
        F.max("occurred_at").alias("ended_at"),
        F.count("*").alias("event_count"),
    )
