"""`silver.comment_votes`: what each user last thought of each comment."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.latest import deciding, property_text

EVENT_TYPES = ["comment_vote"]


def transform(events: DataFrame) -> DataFrame:
    """Keep the latest vote of each user and comment.

    Args:
        events: Every vote of each user that occurs, shaped as `silver.events`; events of other types are
            passed over.

    Returns:
        Rows of `silver.comment_votes`.
    """
    key = [F.col("user_id"), property_text("comment_id").alias("comment_id")]
    vote = property_text("vote").alias("vote")
    return deciding(events, EVENT_TYPES, key, vote).select(
        "user_id",
        "comment_id",
        "last.vote",
        "last.event_id",
        F.col("last.occurred_at").alias("voted_at"),
    )
