"""Bronze to silver: the same tables come out however messages are cut into batches, repeated or ordered."""

import json
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings
from lakehouse import changes
from lakehouse.contract import table
from lakehouse.silver.refresh import refresh_events, refresh_movies
from tests.unit.silver.conftest import message, uuid_of

CLOCKS = {"detected_at", "first_seen_at", "last_seen_at"}
"""Columns that say when a refresh ran."""
OF_EVENTS = ("events", "sessions", "users", "ratings", "duplicates", "quarantine")
OF_MOVIES = ("movies", "genres", "movie_genres", "quarantine")

Message = tuple[int, int, dict[str, Any]]
"""Partition, offset and value."""


def sent(name: str, minute: int, **fields: Any) -> dict[str, Any]:
    """An event that happened some minutes after midnight and was received a second later."""
    at = f"2026-01-01T{minute // 60:02}:{minute % 60:02}"
    times = {"occurred_at": f"{at}:00.000000Z", "received_at": f"{at}:01.000000Z"}
    return message(event_id=uuid_of(name)) | times | fields


def rated(name: str, minute: int, rating: float, **fields: Any) -> dict[str, Any]:
    properties = {"rating": rating}
    return sent(name, minute, event_type="rating", movie_id=13, properties=properties, **fields)


MESSAGES: list[Message] = [
    (0, 0, sent("first", 0)),
    (0, 1, sent("bridge", 25)),
    (0, 2, sent("second", 50)),
    (0, 3, rated("rating", 51, 8.5)),
    (0, 4, rated("changed", 52, 6.0)),
    (0, 5, sent("first", 0)),
    (0, 6, sent("broken", 53, event_type="sneeze")),
    (1, 0, rated("of bob", 10, 2.0, user_id="bob")),
    (1, 1, rated("of bob", 10, 2.0, user_id="bob") | {"received_at": "2026-01-01T00:09:00Z"}),
    (2, 0, sent("anonymous", 5, user_id=None, anonymous_id="device")),
    # Sent anew after signing in, and received later than under the anonymous id.
    (3, 0, sent("anonymous", 6, user_id="eve", anonymous_id="device")),
]


def bronze(spark: SparkSession, topic: str, messages: Iterable[Message]) -> DataFrame:
    now = datetime(2026, 1, 1)
    rows = [
        (topic, partition, offset, now, None, json.dumps(value).encode(), now.date())
        for partition, offset, value in messages
    ]
    return spark.createDataFrame(rows, table("bronze.user_logs").spark_schema())


def contents(lake: Settings, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of silver tables, sorted, without the times at which a refresh ran."""
    found = {}
    for name in names:
        columns = ", ".join(
            column for column in table(f"silver.{name}").column_names if column not in CLOCKS
        )
        rows = changes.query(lake, f"silver.{name}", f"select {columns} from t").to_pylist()
        found[name] = sorted(rows, key=str)
    return found


def test_batches_their_order_and_their_repetition_do_not_matter(
    spark: SparkSession, empty_lake: Settings, tmp_path: Path
) -> None:
    at_once = empty_lake.model_copy(update={"lake": str(tmp_path / "at-once")})
    shutil.copytree(empty_lake.lake_uri, at_once.lake_uri)
    refresh_events(spark, at_once, bronze(spark, "user_logs", MESSAGES))
    expected = contents(at_once, OF_EVENTS)

    # Of two events the message received first comes second here, of one under another visitor.
    first_batch = [MESSAGES[number] for number in (10, 7, 3, 5, 2)]
    for batch in (first_batch, MESSAGES[::-1]):
        refresh_events(spark, empty_lake, bronze(spark, "user_logs", batch))
    assert contents(empty_lake, OF_EVENTS) == expected

    sizes = {name: len(rows) for name, rows in expected.items()}
    assert sizes == {
        "events": 7,
        "sessions": 3,
        "users": 2,
        "ratings": 2,
        "duplicates": 3,
        "quarantine": 1,
    }
    assert [row["user_id"] for row in expected["users"]] == ["ada", "bob"]
    assert sizes["events"] + sizes["duplicates"] + sizes["quarantine"] == len(MESSAGES)


def answer(movie_id: int, fetched: int, *genres: tuple[int, str], **fields: Any) -> dict[str, Any]:
    return {
        "fetched_at": f"2026-01-{fetched:02}T00:00:00.000000Z",
        "content_hash": f"{movie_id}{fetched}".rjust(64, "0"),
        "movie": {
            "id": movie_id,
            "title": f"Movie {movie_id} of day {fetched}",
            "genres": [{"id": key, "name": name} for key, name in genres],
            **fields,
        },
    }


DRAMA, COMEDY = (18, "Drama"), (35, "Comedy")
ANSWERS: list[Message] = [
    (0, 0, answer(13, 1, DRAMA, COMEDY)),
    (0, 1, answer(13, 3, DRAMA)),
    (0, 2, answer(13, 2, COMEDY)),
    (1, 0, answer(14, 1, COMEDY)),
    (1, 1, answer(15, 1, status="Lost")),
]


@pytest.mark.parametrize("order", [(0, 2, 1, 3, 4), (4, 1, 0, 2, 3)])
def test_the_newest_answer_stands_whatever_the_order(
    spark: SparkSession, empty_lake: Settings, order: tuple[int, ...]
) -> None:
    answers = [ANSWERS[number] for number in order]
    for batch in (answers[:2], answers[2:]):
        refresh_movies(spark, empty_lake, bronze(spark, "movie", batch))
    found = contents(empty_lake, OF_MOVIES)
    assert [row["title"] for row in found["movies"]] == [
        "Movie 13 of day 3",
        "Movie 14 of day 1",
    ]
    pairs = sorted((row["movie_id"], row["genre_id"]) for row in found["movie_genres"])
    assert pairs == [(13, 18), (14, 35)]
    assert {row["genre_id"] for row in found["genres"]} >= {18, 35}
    assert [row["kafka_partition"] for row in found["quarantine"]] == [1]
