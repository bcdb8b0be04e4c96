"""`silver.ratings`: what each user last thought of each movie."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

RATING_EVENTS = ["rating", "rating_removed"]


def transform(events: DataFrame) -> DataFrame:
    """Keep the latest rating or removal of each user and movie.

    Latest is by the client's clock, then by the server's, then by `event_id`, so that the order of arrival does
    not matter.

    Args:
        events: Every rating event of each user and movie that occurs, shaped as `silver.events`; events of
            other types are passed over.

    Returns:
        Rows of `silver.ratings`.
    """
    decided = F.max_by(
        F.struct("event_type", "rating", "event_id", "occurred_at"),
        F.struct("occurred_at", "received_at", "event_id"),
    )
    return (
        events.where(F.col("event_type").isin(*RATING_EVENTS))
        .groupBy("user_id", "movie_id")
        .agg(decided.alias("decided"))
        .select(
            "user_id",
            "movie_id",
            F.when(F.col("decided.event_type") == "rating", F.col("decided.rating")).alias(
                "rating"
            ),
            F.col("decided.event_id").alias("event_id"),
            F.col("decided.occurred_at").alias("rated_at"),
            (F.col("decided.event_type") == "rating_removed").alias("is_removed"),
        )
    )
