"""Small frames for the silver transforms."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from pyspark.sql import DataFrame, SparkSession

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


def rows_of_messages(
    spark: SparkSession, values: Sequence[Event | bytes | None], topic: str
) -> DataFrame:
    """Rows of `bronze.user_logs` or `bronze.movie` from dictionaries or raw bytes; the offset is the place."""
    now = datetime(2026, 1, 1)
    rows = [
        (
            topic,
            0,
            offset,
            now,
            None,
            json.dumps(v).encode() if isinstance(v, dict) else v,
            now.date(),
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
        schema = table("silver.events").spark_schema()
        for field in schema.fields:
            field.nullable = True
        return frame_of(spark, [_row(event) for event in events], schema)

    return make


def _row(event: Event) -> tuple[Any, ...]:
    fields = {
        "user_id": "ada",
        "event_type": "page_view",
        "schema_version": 1,
        "is_late": False,
    } | event
    minutes = fields.pop("at", 0)
    fields["occurred_at"] = datetime(2026, 1, 1 + minutes // 1440, minutes // 60 % 24, minutes % 60)
    fields.setdefault("received_at", fields["occurred_at"])
    fields["event_id"] = uuid_of(str(fields.get("event_id", minutes)))
    user, anonymous = fields.get("user_id"), fields.get("anonymous_id")
    fields["visitor_id"] = f"u:{user}" if user else f"a:{anonymous}"
    return tuple(fields.get(name) for name in table("silver.events").column_names)
