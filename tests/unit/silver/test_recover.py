"""Recovery: a mended message goes where it would have gone at first, once, whatever is killed in between."""

import json
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cinelake.settings import Settings
from lakehouse import changes, recover, recoveries, tables
from lakehouse.mapping import Mapping
from lakehouse.recover import Selection
from lakehouse.silver.refresh import refresh_events, refresh_movies
from tests.unit.silver.conftest import answer, message, rows_of_messages, uuid_of

RENAME = Mapping.model_validate(
    [
        {"rename": {"from": "movie", "to": "movie_id"}},
        {"cast": {"field": "movie_id", "type": "int"}},
    ]
)


def rated(name: str, second: int, **fields: Any) -> dict[str, Any]:
    received = f"2026-01-01T00:00:{second:02}.000000Z"
    properties = {"rating": 8.5}
    event = message(event_id=uuid_of(name), event_type="rating", properties=properties)
    return event | {"received_at": received} | fields


EVENTS = [
    rated("good", 1, movie_id=13),
    rated("renamed", 2, movie="14"),
    rated("renamed, received again", 3, movie="15"),
    rated("beyond repair", 4, movie="Forrest Gump"),
    rated("sent twice", 9, movie_id=16, user_id="bob"),
    rated("sent twice", 5, movie="16", user_id="bob"),
    rated("renamed, received again", 6, movie="15"),
    message(event_id=uuid_of("sneeze"), event_type="sneeze"),
]


def offsets(lake: Settings, name: str, columns: str = "") -> list[tuple[Any, ...]]:
    query = f"select kafka_offset {columns} from t order by 1"
    return [tuple(row.values()) for row in changes.query(lake, name, query).to_pylist()]


def versions(lake: Settings) -> dict[str, int]:
    names = ("events", "duplicates", "quarantine", "recoveries", "ratings")
    return {name: changes.current_version(lake, f"silver.{name}") for name in names}


def test_mended_events_are_moved_once_and_the_first_received_counts(
    spark: SparkSession, empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = rows_of_messages(spark, EVENTS, "user_logs")
    refresh_events(spark, empty_lake, messages)
    assert offsets(empty_lake, "silver.events") == [(0,), (4,)]
    before = versions(empty_lake)
    selection = Selection("missing_field", "user_logs", RENAME)

    (dry,) = recover.recover(spark, empty_lake, selection, None)
    assert (dry.held, dry.passing, dry.recovered) == (5, 4, 0)
    assert dry.broken == {
        ("wrong_type", "movie_id should be a whole number; it is a text of 12 characters"): 1
    }
    assert dry.example is not None
    assert dry.example.place == "user_logs/0/1"
    assert json.loads(dry.example.before or b"")["movie"] == "14"
    assert json.loads(dry.example.after or b"")["movie_id"] == 14
    assert dry.example.reason == ""
    assert versions(empty_lake) == before

    with monkeypatch.context() as patch:
        patch.setattr(recoveries, "record", _killed)
        with pytest.raises(KeyboardInterrupt):
            recover.recover(spark, empty_lake, selection, "killed")
    assert len(offsets(empty_lake, "silver.quarantine")) == 6, "nothing left before it was noted"
    (done,) = recover.recover(spark, empty_lake, selection, "second")
    assert (done.held, done.passing, done.recovered) == (5, 4, 4)

    # Of the event that was sent twice the recovered message was received first.
    assert offsets(empty_lake, "silver.events") == [(0,), (1,), (2,), (5,)]
    assert offsets(empty_lake, "silver.duplicates") == [(4,), (6,)]
    held = offsets(empty_lake, "silver.quarantine", ", rule, attempts")
    assert held == [(3, "wrong_type", 2), (7, "value_not_allowed", 1)]
    noted = offsets(empty_lake, "silver.recoveries", ", event_id, rule, mapping, run_id")
    canonical = RENAME.canonical
    assert noted == [
        (place, EVENTS[place]["event_id"], "missing_field", canonical, "second")
        for place in (1, 2, 5, 6)
    ]
    movies = changes.query(empty_lake, "silver.ratings", "select movie_id from t order by 1")
    assert [row["movie_id"] for row in movies.to_pylist()] == [13, 14, 15, 16]

    names = ("events", "duplicates", "quarantine", "recoveries")
    after = {name: offsets(empty_lake, f"silver.{name}") for name in names}
    (again,) = recover.recover(spark, empty_lake, selection, "again")
    assert (again.held, again.recovered) == (0, 0)
    # The micro-batch runs again, as after a crash before its commit.
    refresh_events(spark, empty_lake, recoveries.as_recovered(spark, empty_lake, messages))
    assert {name: offsets(empty_lake, f"silver.{name}") for name in names} == after


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_movie_comes_back_and_a_second_failure_is_noted(
    spark: SparkSession, empty_lake: Settings
) -> None:
    answers = [answer(status="Lost"), answer(id=14, status="Found"), None]
    messages = rows_of_messages(spark, answers, "movie")
    refresh_movies(spark, empty_lake, messages)
    first = changes.query(empty_lake, "silver.quarantine", "select * from t").to_pylist()
    assert {row["attempts"] for row in first} == {1}

    steps = [{"drop": {"field": "movie.status"}}, {"drop": {"field": "content_hash"}}]
    (broken,) = recover.recover(
        spark,
        empty_lake,
        Selection("value_not_allowed", "movie", Mapping.model_validate(steps)),
        "one",
    )
    assert (broken.held, broken.passing, broken.recovered) == (2, 0, 0)
    query = "select * from t where kafka_offset < 2 order by kafka_offset"
    rows = changes.query(empty_lake, "silver.quarantine", query)
    assert [(row["rule"], row["attempts"]) for row in rows.to_pylist()] == [
        ("missing_field", 2)
    ] * 2
    assert all(row["last_seen_at"] > row["first_seen_at"] for row in rows.to_pylist())
    assert [row["payload"] for row in rows.to_pylist()] == [
        json.dumps(each).encode() for each in answers[:2]
    ]

    repaired = Selection("missing_field", None, Mapping.model_validate(steps[:1]))
    movies, events = recover.recover(spark, empty_lake, repaired, "two")
    assert (movies.topic, movies.recovered, events.held) == ("movie", 2, 0)
    found = changes.query(empty_lake, "silver.movies", "select movie_id, status from t order by 1")
    assert [tuple(row.values()) for row in found.to_pylist()] == [(13, None), (14, None)]
    assert offsets(empty_lake, "silver.quarantine") == [(2,)]
    # Bronze still says what was sent; who reads it again finds what silver holds.
    seen = recoveries.as_recovered(spark, empty_lake, messages).orderBy("offset").collect()
    assert [row["value"] and b"status" in row["value"] for row in seen] == [False, False, None]
    assert tables.read(spark, empty_lake, "silver.recoveries").count() == 2
