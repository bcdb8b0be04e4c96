"""`silver.users`: what is known of each signed-in user."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

PROFILE = {
    "name": "$.name",
    "email_hash": "$.email_hash",
    "country": "$.country",
    "locale": "$.locale",
    "birth_year": "$.birth_year",
    "timezone": "$.timezone",
}
"""Profile columns and where `user_upsert` carries them in its properties."""


def transform(events: DataFrame) -> DataFrame:
    """Sum up users; each profile field has the value of the latest `user_upsert` that gave one.

    Args:
        events: The complete events of each user that occurs, shaped as `silver.events`.

    Returns:
        Rows of `silver.users`.
    """
    signed_in = events.where(F.col("user_id").isNotNull())
    return signed_in.groupBy("user_id").agg(
        *(latest(name).alias(name) for name in PROFILE),
        F.min("occurred_at").alias("first_seen_at"),
        F.max("occurred_at").alias("last_seen_at"),
        F.count("*").alias("event_count"),
    )


def latest(name: str) -> Column:
    """Aggregate: what the latest `user_upsert` that gave it says of a profile column; null where none did."""
    is_profile = F.col("event_type") == "user_upsert"
    value = F.when(is_profile, F.get_json_object("properties", PROFILE[name]))
    order = F.when(value.isNotNull(), F.struct("occurred_at", "event_id"))
    last = F.max_by(value, order)
    return last.try_cast("int") if name == "birth_year" else last
