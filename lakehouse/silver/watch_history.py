"""`silver.watch_history`: what visitors watched, how far and for how long."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.keys import hashed_key
from lakehouse.silver.latest import TIME_ORDER, in_time, property_text

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
    return F.coalesce(
        hashed_key(F.lit("play"), "visitor_id", "movie_id", property_text("play_id")),
        hashed_key(F.lit("session"), "visitor_id", "movie_id", "session_id"),
    )


def parts_watched(plays: DataFrame) -> DataFrame:
    """Share the seconds of each play out among the events that report a position.

    An event has the seconds by which the play came further there than ever before, from the first position reported to the
    last. So no part is negative, and they add up to the seconds of the play, whoever went back on the way.

    Args:
        plays: Every `play*` event of each play that occurs, shaped as `silver.events` with their `session_id`.

    Returns:
        The events that report a position, with `seconds_watched`.
    """
    play = Window.partitionBy("_watch_id")
    so_far = play.orderBy(*TIME_ORDER)
    return (
        plays.withColumn("_watch_id", watch_id())
        .withColumn("_position", _position())
        .where("_position is not null")
        .withColumn("_forward", F.col("_position") - F.first("_position").over(so_far))
        .withColumn("_whole", F.max_by("_forward", in_time()).over(play))
        .withColumn("_reached", F.greatest(F.least("_forward", "_whole"), F.lit(0.0)))
        .withColumn("_furthest", F.max("_reached").over(so_far))
        .withColumn(
            "seconds_watched",
            F.col("_furthest") - F.coalesce(F.lag("_furthest").over(so_far), F.lit(0.0)),
        )
    )


def positions() -> list[Column]:
    """Aggregates: the position reported first and the one reported last, in seconds; null where none was."""
    seconds = _position()
    # Both pass over rows whose order is null.
    reported = F.when(seconds.isNotNull(), in_time())
    return [
        F.min_by(seconds, reported).alias("first_position_seconds"),
        F.max_by(seconds, reported).alias("last_position_seconds"),
    ]


def _position() -> Column:
    """How far the play was, in seconds; null where the event does not tell."""
    return property_text("position_seconds").try_cast("double")


def seconds_watched() -> Column:
    """Seconds between the two `positions`; 0 where none was reported or the visitor went back."""
    forward = F.col("last_position_seconds") - F.col("first_position_seconds")
    return F.greatest(F.coalesce(forward, F.lit(0.0)), F.lit(0.0))
