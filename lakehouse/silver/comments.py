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
        one id and author the earlier one counts, and its wording until it is edited later than that.
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
            _first(COMMENT, "movie_id", "parent_comment_id", "text").alias("written"),
            _last(EDIT, "text").alias("edited"),
            F.min(F.when(F.col("event_type") == DELETE, F.col("occurred_at"))).alias("deleted_at"),
        )
        .where("written is not null")
        .withColumn("is_edited", F.coalesce(F.col("edited.at") > F.col("written.at"), F.lit(False)))
        .select(
            "comment_id",
            "user_id",
            "written.movie_id",
            "written.parent_comment_id",
            F.when(F.col("is_edited"), F.col("edited.text"))
            .otherwise(F.col("written.text"))
            .alias("text"),
            "is_edited",
            F.col("deleted_at").isNotNull().alias("is_deleted"),
            "written.at.event_id",
            F.col("written.at.occurred_at").alias("commented_at"),
            F.when(F.col("is_edited"), F.col("edited.at.occurred_at")).alias("edited_at"),
            "deleted_at",
        )
    )


def _first(event_type: str, *values: str) -> Column:
    """Values of a group's first event of a type, and its place in time as `at`; null where there is none."""
    return F.min_by(F.struct(*values, in_time().alias("at")), _time_of(event_type))


def _last(event_type: str, *values: str) -> Column:
    """The same of the last one."""
    return F.max_by(F.struct(*values, in_time().alias("at")), _time_of(event_type))


def _time_of(event_type: str) -> Column:
    """The place in time of an event of the type; min_by and max_by pass over others."""
    return F.when(F.col("event_type") == event_type, in_time())
