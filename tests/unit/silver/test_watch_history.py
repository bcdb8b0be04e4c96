"""`silver.watch_history`: a play from events in any order."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.silver import watch_history
from tests.unit.silver.conftest import assert_rows, moment

Events = Callable[..., DataFrame]


def _play(at: int, kind: str = "play_progress", **fields: Any) -> dict[str, Any]:
    names = ("play_id", "position_seconds")
    properties = {name: fields.pop(name) for name in names if name in fields}
    return {
        "at": at,
        "event_type": kind,
        "movie_id": 13,
        "session_id": "s",
        "properties": json.dumps({"play_id": "p1"} | properties),
        **fields,
    }


def test_a_play_is_summed_up_whatever_the_order(silver_events: Events) -> None:
    events = silver_events(
        _play(20, position_seconds=1200.5),
        _play(45, "play_complete"),
        _play(0, "play", position_seconds=0, anonymous_id="device"),
        _play(40, position_seconds=2400),
        {"at": 99},
    )
    play = {
        "watch_id": sha256(b"play|u:ada|13|p1").hexdigest(),
        "visitor_id": "u:ada",
        "user_id": "ada",
        "anonymous_id": "device",
        "movie_id": 13,
        "play_id": "p1",
        "session_id": "s",
        "started_at": moment(0),
        "ended_at": moment(45),
        "last_position_seconds": 2400.0,
        "seconds_watched": 2400.0,
        "is_completed": True,
        "event_count": 4,
    }
    assert_rows(watch_history.transform(events), "watch_history", play)


def test_a_play_taken_up_again_counts_from_where_it_went_on(silver_events: Events) -> None:
    events = silver_events(_play(0, "play", position_seconds=600), _play(10, position_seconds=1200))
    (row,) = watch_history.transform(events).collect()
    assert (row.seconds_watched, row.is_completed) == (600.0, False)


def test_going_back_watches_nothing_less(silver_events: Events) -> None:
    events = silver_events(_play(0, "play", position_seconds=600), _play(1, position_seconds=10))
    (row,) = watch_history.transform(events).collect()
    assert (row.seconds_watched, row.last_position_seconds) == (0.0, 10.0)


def test_a_play_without_positions_was_watched_for_no_known_time(silver_events: Events) -> None:
    (row,) = watch_history.transform(silver_events(_play(0, "play"))).collect()
    assert (row.seconds_watched, row.last_position_seconds) == (0.0, None)


def test_plays_are_told_apart_by_visitor_movie_and_play_or_session(silver_events: Events) -> None:
    without_id = {"play_id": None}
    events = silver_events(
        _play(0),
        _play(1, user_id="bob"),
        _play(2, movie_id=14),
        _play(3, play_id="p2"),
        _play(4, **without_id),
        _play(5, **without_id),
        _play(6, session_id="another", **without_id),
    )
    rows = watch_history.transform(events).collect()
    assert sorted(row.event_count for row in rows) == [1, 1, 1, 1, 1, 2]
    assert len({row.watch_id for row in rows}) == 6
