"""`silver.watch_history`: what visitors watched, how far and for how long."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.latest import in_time, property_text

EVENT_TYPES = ["play", "play_progress", "play_complete"]


def transform(events: DataFrame) -> DataFrame:
    """Sum up plays, whatever the order in which their events arrived.

    Args:
        events: Every `play*` event of each visitor that occurs, shaped as `silver.events` with their `session_id`;
            events of other types are passed over.

    Returns:
        Rows of `silver.watch_history`.
    """
    plays = events.where(F.col("event_type").isin(*EVENT_TYPES))
    first = F.min_by(F.struct("anonymous_id", "session_id"), in_time())
    return (
        plays.withColumn("play_id", property_text("play_id"))
        .withColumn("watch_id", watch_id())
        .groupBy("watch_id", "visitor_id", "movie_id")
        .agg(
            F.max("user_id").alias("user_id"),
            F.max("resolved_user_id").alias("resolved_user_id"),
            first.alias("first"),
            F.max("play_id").alias("play_id"),
            F.min("occurred_at").alias("started_at"),
            F.max("occurred_at").alias("ended_at"),
            *positions(),
            F.max(F.col("event_type") == "play_complete").alias("is_completed"),
            F.count("*").alias("event_count"),
        )
        .select(
            "watch_id",
            "visitor_id",
            "user_id",
            "resolved_user_id",
            "first.anonymous_id",
            "movie_id",
            "play_id",
            "first.session_id",
            "started_at",
            "ended_at",
            "last_position_seconds",
            seconds_watched().alias("seconds_watched"),
            "is_completed",
            "event_count",
        )
    )


def watch_id() -> Column:
    """Names the play of a `play*` event: by the id the client gave it, or else by its session."""
    by_play = F.concat_ws("|", F.lit("play"), "visitor_id", "movie_id", property_text("play_id"))
    by_session = F.concat_ws("|", F.lit("session"), "visitor_id", "movie_id", "session_id")
    return F.sha2(F.when(property_text("play_id").isNotNull(), by_play).otherwise(by_session), 256)


def positions() -> list[Column]:
    """Aggregates: the position reported first and the one reported last, in seconds; null where none was."""
    seconds = property_text("position_seconds").try_cast("double")
    # Both pass over rows whose order is null.
    reported = F.when(seconds.isNotNull(), in_time())
    return [
        F.min_by(seconds, reported).alias("first_position_seconds"),
        F.max_by(seconds, reported).alias("last_position_seconds"),
    ]


def seconds_watched() -> Column:
    """Seconds between the two `positions`; 0 where none was reported or the visitor went back."""
    forward = F.col("last_position_seconds") - F.col("first_position_seconds")
    return F.greatest(F.coalesce(forward, F.lit(0.0)), F.lit(0.0))
