"""`silver.identities`: which user an anonymous id belongs to.

Whoever is first seen together with an anonymous id owns it, as customer data platforms do
(https://segment.com/docs/connections/spec/best-practices-identify/): what happened on that device before signing in is
theirs. Others who sign in there later own only what they do while signed in.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.latest import in_time


def transform(events: DataFrame) -> DataFrame:
    """Link anonymous ids to users.

    Args:
        events: Every event of each anonymous id that occurs, shaped as `silver.events`; those that do not carry
            both ids are passed over.

    Returns:
        Rows of `silver.identities`.
    """
    first = F.min_by(F.struct("user_id", "event_id", "occurred_at"), in_time())
    return (
        carrying_both(events)
        .groupBy("anonymous_id")
        .agg(first.alias("first"))
        .select(
            "anonymous_id",
            "first.user_id",
            "first.event_id",
            F.col("first.occurred_at").alias("linked_at"),
        )
    )


def carrying_both(events: DataFrame) -> DataFrame:
    """The events that tell of a link."""
    return events.where("user_id is not null and anonymous_id is not null")


def resolve(events: DataFrame, identities: DataFrame) -> DataFrame:
    """Set `resolved_user_id`: the signed-in user, or the one that the anonymous id belongs to.

    Args:
        events: Rows shaped as `silver.events`; `resolved_user_id` is replaced.
        identities: Rows of `silver.identities` for the anonymous ids that occur.
    """
    owner = identities.select("anonymous_id", F.col("user_id").alias("_owner"))
    return (
        events.join(owner, "anonymous_id", "left")
        .withColumn("resolved_user_id", F.coalesce("user_id", "_owner"))
        .drop("_owner")
    )
