"""`silver.movie_reactions`: which movies each user likes or dislikes."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.latest import deciding, property_text

EVENT_TYPES = ["movie_reaction"]


def transform(events: DataFrame) -> DataFrame:
    """Keep the latest reaction of each user to each movie.

    Args:
        events: Every reaction of each user that occurs, shaped as `silver.events`; events of other types are
            passed over.

    Returns:
        Rows of `silver.movie_reactions`.
    """
    key = [F.col("user_id"), F.col("movie_id")]
    reaction = property_text("reaction").alias("reaction")
    return deciding(events, EVENT_TYPES, key, reaction).select(
        "user_id",
        "movie_id",
        "last.reaction",
        "last.event_id",
        F.col("last.occurred_at").alias("reacted_at"),
    )
