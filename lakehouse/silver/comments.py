"""`silver.comments`: what users wrote about movies, in its last wording."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.latest import in_time, property_text

COMMENT, EDIT, DELETE = "comment", "comment_edit", "comment_delete"
EVENT_TYPES = [COMMENT, EDIT, DELETE]


def transform(events: DataFrame) -> DataFrame:
    """Sum up comments. Only the author can edit or delete one; an edit that came first waits for its comment.

    Args:
        events: Every comment event of each user that occurs, shaped as `silver.events`; events of other types are
            passed over.

    Returns:
        Rows of `silver.comments` without their place in the thread, one a user and comment. Of two comments with
        one id and author the earlier one counts.
    """
    told = events.where(F.col("event_type").isin(*EVENT_TYPES)).select(
        "user_id",
        "movie_id",
        "event_type",
        "event_id",
        "occurred_at",
        "received_at",
        *(property_text(name).alias(name) for name in ("comment_id", "parent_comment_id", "text")),
    )
    return (
        told.groupBy("user_id", "comment_id")
        .agg(
            F.min_by(
                F.struct("movie_id", "parent_comment_id", "event_id", "occurred_at"),
                _time_of(COMMENT),
            ).alias("written"),
            F.max_by(F.struct("text", "event_type", "occurred_at"), _time_of(COMMENT, EDIT)).alias(
                "said"
            ),
            F.min(F.when(F.col("event_type") == DELETE, F.col("occurred_at"))).alias("deleted_at"),
        )
        .where("written is not null")
        .withColumn("is_edited", F.col("said.event_type") == EDIT)
        .select(
            "comment_id",
            "user_id",
            "written.movie_id",
            "written.parent_comment_id",
            "said.text",
            "is_edited",
            F.col("deleted_at").isNotNull().alias("is_deleted"),
            "written.event_id",
            F.col("written.occurred_at").alias("commented_at"),
            F.when(F.col("is_edited"), F.col("said.occurred_at")).alias("edited_at"),
            "deleted_at",
        )
    )


def _time_of(*event_types: str) -> Column:
    """The place in time of an event of these types; min_by and max_by pass over others."""
    return F.when(F.col("event_type").isin(*event_types), in_time())
