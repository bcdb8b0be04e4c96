"""`silver.ratings`: what each user last thought of each movie."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.latest import deciding

EVENT_TYPES = ["rating", "rating_removed"]


def transform(events: DataFrame) -> DataFrame:
    """Keep the latest rating or removal of each user and movie.

    Args:
        events: Every rating event of each user and movie that occurs, shaped as `silver.events`; events of
            other types are passed over.

    Returns:
        Rows of `silver.ratings`.
    """
    key = [F.col("user_id"), F.col("movie_id")]
    is_rating = F.col("last.event_type") == "rating"
    return deciding(events, EVENT_TYPES, key, F.col("rating")).select(
        "user_id",
        "movie_id",
        F.when(is_rating, F.col("last.rating")).alias("rating"),
        "last.event_id",
        F.col("last.occurred_at").alias("rated_at"),
        (~is_rating).alias("is_removed"),
    )
