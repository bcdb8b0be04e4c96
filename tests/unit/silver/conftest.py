"""Small frames for the silver transforms."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType
from pyspark.testing import assertDataFrameEqual

from lakehouse.contract import table
from lakehouse.frames import frame_of

Event = dict[str, Any]


def uuid_of(name: str) -> str:
    """A stable UUID for a name."""
    return str(uuid5(NAMESPACE_URL, name))


def message(**fields: Any) -> Event:
    """A valid event as the API publishes it, with some fields replaced."""
    event: Event = {
        "event_id": uuid_of("one"),
        "event_type": "page_view",
        "schema_version": 1,
        "occurred_at": "2026-01-01T00:00:00.000000Z",
        "received_at": "2026-01-01T00:00:01.000000Z",
        "user_id": "ada",
        "anonymous_id": None,
        "session_id": None,
        "movie_id": None,
        "context": {"user_agent": "test", "ip": "192.0.2.1", "locale": "en-GB"},
        "properties": {},
    }
    return event | fields


def published(movie: Event, **envelope: Any) -> Event:
    """A TMDB answer as the outbox publishes it."""
    hash_of_it = sha256(json.dumps([movie, envelope]).encode()).hexdigest()
    fetched_at = "2026-01-01T00:00:00.000000Z"
    return {"fetched_at": fetched_at, "content_hash": hash_of_it, "movie": movie} | envelope


def answer(**fields: Any) -> Event:
    """A published answer about Forrest Gump with some fields replaced, those beside the movie included."""
    movie = {
        "id": 13,
        "title": " Forrest Gump ",
        "release_date": "1994-07-06",
        "runtime": 142.0,
        "budget": 55000000,
        "revenue": 677945399,
        "genres": [{"id": 35, "name": "Comedy"}, {"id": 18, "name": "Drama"}],
    }
    beside = {name: fields.pop(name) for name in ("fetched_at", "deleted_at") if name in fields}
    return published(movie | fields, **beside)


TAKEN = datetime(2026, 2, 1)
"""When Kafka took the messages of these tests: after all that they tell of."""


def rows_of_messages(
    spark: SparkSession, values: Sequence[Event | bytes | None], topic: str
) -> DataFrame:
    """Rows of `bronze.user_logs` or `bronze.movie` from dictionaries or raw bytes; the offset is the place."""
    rows = [
        (
            topic,
            0,
            offset,
            TAKEN,
            None,
            json.dumps(v).encode() if isinstance(v, dict) else v,
            TAKEN.date(),
        )
        for offset, v in enumerate(values)
    ]
    return frame_of(spark, rows, table("bronze.user_logs").spark_schema())


@pytest.fixture
def bronze_rows(spark: SparkSession) -> Callable[..., DataFrame]:
    """Rows of `bronze.user_logs` or `bronze.movie` from dictionaries or raw bytes."""

    def make(*values: Event | bytes | None, topic: str = "user_logs") -> DataFrame:
        return rows_of_messages(spark, values, topic)

    return make


@pytest.fixture
def silver_events(spark: SparkSession) -> Callable[..., DataFrame]:
    """Rows of `silver.events`; `at` is minutes after 2026-01-01, other fields as given, `event_id` by name."""

    def make(*events: Event) -> DataFrame:
        schema = nullable("events", table("silver.events").column_names)
        return frame_of(spark, [_row(event) for event in events], schema)

    return make


def assert_rows(found: DataFrame, name: str, *rows: Event) -> None:
    """A frame holds these rows of a silver table and no other, in the types of its contract.

    Args:
        found: What a transform made; it may leave out columns that others fill.
        name: The table.
        rows: Its rows in any order; a field that is not given is null.
    """
    for row in rows:
        assert row.keys() <= set(found.columns)
    values = [tuple(row.get(column) for column in found.columns) for row in rows]
    expected = frame_of(found.sparkSession, values, nullable(name, found.columns))
    with pytest.MonkeyPatch.context() as patch:
        # The comparison loads pandas on Spark, which wants this set and would leave it so for what is tested next.
        patch.setenv("PYARROW_IGNORE_TIMEZONE", "1")
        assertDataFrameEqual(found, expected)


def nullable(name: str, columns: Sequence[str]) -> StructType:
    """The types of columns of a silver table, each of which may be null."""
    schema = table(f"silver.{name}").spark_schema()
    fields = StructType([schema[column] for column in columns])
    for field in fields:
        field.nullable = True
    return fields


def moment(minutes: int) -> datetime:
    """Minutes after 2026-01-01."""
    return datetime(2026, 1, 1) + timedelta(minutes=minutes)


def _row(event: Event) -> tuple[Any, ...]:
    fields = {
        "user_id": "ada",
        "event_type": "page_view",
        "schema_version": 1,
        "is_late": False,
    } | event
    minutes = fields.pop("at", 0)
    fields["occurred_at"] = moment(minutes)
    fields.setdefault("received_at", fields["occurred_at"])
    fields["event_id"] = uuid_of(str(fields.get("event_id", minutes)))
    user, anonymous = fields.get("user_id"), fields.get("anonymous_id")
    fields["visitor_id"] = f"u:{user}" if user else f"a:{anonymous}"
    return tuple(fields.get(name) for name in table("silver.events").column_names)
