"""What ratings, votes, reactions and watchlists have in common: of one person about one thing the latest event decides."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

TIME_ORDER = ["occurred_at", "received_at", "event_id"]
"""By the client's clock, then by the server's, then by `event_id`: no two events are equal, however they arrived."""


def in_time() -> Column:
    """The place of an event in time, to be compared with that of others."""
    return F.struct(*TIME_ORDER)


def property_text(name: str) -> Column:
    """A property of an event as text; null where the event has none of that name."""
    return F.get_json_object("properties", f"$.{name}")


def deciding(
    events: DataFrame, event_types: Sequence[str], key: Sequence[Column], *values: Column
) -> DataFrame:
    """The latest event of each key.

    Args:
        events: Rows shaped as `silver.events`; all events of those types of each key that occurs.
        event_types: The types that count; others are passed over.
        key: What tells the rows apart, each column with its name.
        values: What is wanted of the latest event besides `event_type`, `event_id` and `occurred_at`.

    Returns:
        A row a key: the key's columns, and the struct `last` with the values.
    """
    last = F.struct("event_type", "event_id", "occurred_at", *values)
    return (
        events.where(F.col("event_type").isin(*event_types))
        .groupBy(*key)
        .agg(F.max_by(last, in_time()).alias("last"))
    )
