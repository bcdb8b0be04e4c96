"""`silver.sessions`: visits, by the id the client gave or cut by inactivity."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.silver import watch_history
from lakehouse.silver.latest import property_text

VISIT = ["visitor_id", "client_session_id"]
"""Events of one visitor with one given id are one session; those without an id share a null here."""

COUNTED = ["page_view", "movie_view", "search", "play", "play_complete", "rating", "comment"]
"""Event types that a session counts, each in a column of its own."""
OF_CLIENT = ["session_start", "session_end"]
"""Event types that tell of no interest: the client sends them by itself."""


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
    # max_by and min_by pass over rows whose order is null.
    when_known = F.when(F.col("anonymous_id").isNotNull(), F.struct("occurred_at", "event_id"))
    page = property_text("path")
    when_page = F.when(
        (F.col("event_type") == "page_view") & page.isNotNull(),
        F.struct("occurred_at", "event_id"),
    )
    sessions = events.groupBy("session_id", "visitor_id").agg(
        F.max("user_id").alias("user_id"),
        F.max("resolved_user_id").alias("resolved_user_id"),
        F.max_by("anonymous_id", when_known).alias("anonymous_id"),
        F.max(F.col("client_session_id").isNotNull()).alias("is_given"),
        F.max("client_session_id").alias("client_session_id"),
        F.min("occurred_at").alias("started_at"),
        F.max("occurred_at").alias("ended_at"),
        F.count("*").alias("event_count"),
        F.min_by(page, when_page).alias("entry_page"),
        F.max_by(page, when_page).alias("exit_page"),
        *(F.count_if(F.col("event_type") == name).alias(f"{name}_count") for name in COUNTED),
        (F.count_if(~F.col("event_type").isin(*OF_CLIENT)) <= 1).alias("is_bounce"),
    )
    micros = F.unix_micros("ended_at") - F.unix_micros("started_at")
    return (
        sessions.withColumn("duration_seconds", micros / 1_000_000)
        .join(_watched(events), "session_id", "left")
        .withColumn("seconds_watched", F.coalesce("seconds_watched", F.lit(0.0)))
    )


def _watched(events: DataFrame) -> DataFrame:
    """Seconds watched in each session that has a play, by the positions reported in it."""
    plays = events.where(F.col("event_type").isin(*watch_history.EVENT_TYPES))
    in_session = plays.groupBy("session_id", watch_history.watch_id().alias("watch_id")).agg(
        *watch_history.positions()
    )
    return in_session.groupBy("session_id").agg(
        F.sum(watch_history.seconds_watched()).alias("seconds_watched")
    )
