"""`silver.watchlist`: which movies each user wants to watch, and since when."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.latest import in_time

ADD, REMOVE = "watchlist_add", "watchlist_remove"
EVENT_TYPES = [ADD, REMOVE]


def transform(events: DataFrame) -> DataFrame:
    """Tell what became of each movie that a user ever put on the list or took off.

    Args:
        events: Every watchlist event of each user that occurs, shaped as `silver.events`; events of other types
            are passed over.

    Returns:
        Rows of `silver.watchlist`.
    """
    last = F.max_by(F.struct("event_type", "event_id", "occurred_at"), in_time())
    return (
        events.where(F.col("event_type").isin(*EVENT_TYPES))
        .groupBy("user_id", "movie_id")
        .agg(
            last.alias("last"),
            _last_time(ADD).alias("added_at"),
            _last_time(REMOVE).alias("removed_at"),
        )
        .select(
            "user_id",
            "movie_id",
            (F.col("last.event_type") == ADD).alias("is_listed"),
            "added_at",
            "removed_at",
            "last.event_id",
            F.col("last.occurred_at").alias("changed_at"),
        )
    )


def _last_time(event_type: str) -> Column:
    return F.max(F.when(F.col("event_type") == event_type, F.col("occurred_at")))
