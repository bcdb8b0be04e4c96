"""`silver.sessions`: where one visit ends and the next begins."""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame

from lakehouse.silver import sessions
from tests.unit.silver.conftest import assert_rows, moment

GAP = 30


def _spans(events: DataFrame) -> list[tuple[str, int]]:
    """Visitor and number of events of each session, in order of time."""
    rows = (
        sessions.transform(sessions.assign(events, GAP))
        .orderBy("started_at", "visitor_id")
        .collect()
    )
    return [(row.visitor_id, row.event_count) for row in rows]


def test_a_session_sums_up_its_events(silver_events: Callable[..., DataFrame]) -> None:
    def seen(at: int, event_type: str = "page_view", **properties: Any) -> dict[str, Any]:
        about = {"event_type": event_type, "properties": json.dumps(properties)}
        return {"at": at, "session_id": "s", "anonymous_id": "device", "movie_id": 13} | about

    events = silver_events(
        seen(9, path="/last"),
        seen(0, "session_start"),
        seen(1, path="/first"),
        seen(2, "movie_view"),
        seen(3, "play", play_id="p", position_seconds=0),
        seen(8, "play_complete", play_id="p", position_seconds=300),
    )
    session = {
        "session_id": "s",
        "visitor_id": "u:ada",
        "user_id": "ada",
        "anonymous_id": "device",
        "is_given": False,
        "started_at": moment(0),
        "ended_at": moment(9),
        "event_count": 6,
        "entry_page": "/first",
        "exit_page": "/last",
        "page_view_count": 2,
        "movie_view_count": 1,
        "search_count": 0,
        "play_count": 1,
        "play_complete_count": 1,
        "rating_count": 0,
        "comment_count": 0,
        "duration_seconds": 540.0,
        "is_bounce": False,
        "seconds_watched": 300.0,
    }
    assert_rows(sessions.transform(events), "sessions", session)


def test_a_pause_of_thirty_minutes_is_still_the_same_session(
    silver_events: Callable[..., DataFrame],
) -> None:
    assert _spans(silver_events({"at": 0}, {"at": 30}, {"at": 61})) == [("u:ada", 2), ("u:ada", 1)]


def test_visitors_do_not_share_sessions(silver_events: Callable[..., DataFrame]) -> None:
    events = silver_events({"at": 0}, {"at": 1, "user_id": None, "anonymous_id": "x"}, {"at": 2})
    assert _spans(events) == [("u:ada", 2), ("a:x", 1)]


def test_a_given_id_holds_a_session_together_over_any_pause(
    silver_events: Callable[..., DataFrame],
) -> None:
    given_id = {"client_session_id": "s1"}
    events = silver_events({"at": 0, **given_id}, {"at": 10}, {"at": 600, **given_id})
    row = sessions.transform(sessions.assign(events, GAP)).where("is_given").collect()[0]
    assert (row.event_count, row.client_session_id) == (2, "s1")
    assert (row.ended_at - row.started_at).total_seconds() == 600 * 60


def test_two_visitors_with_one_given_id_have_two_sessions(
    silver_events: Callable[..., DataFrame],
) -> None:
    given_id = {"client_session_id": "s1"}
    assert (
        len(_spans(silver_events({"at": 0, **given_id}, {"at": 1, "user_id": "bob", **given_id})))
        == 2
    )


def test_a_late_event_that_bridges_two_sessions_merges_them(
    silver_events: Callable[..., DataFrame],
) -> None:
    assert len(_spans(silver_events({"at": 0}, {"at": 50}))) == 2
    assert len(_spans(silver_events({"at": 0}, {"at": 50}, {"at": 25}))) == 1


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, 300), min_size=1, max_size=15, unique=True), st.randoms())
def test_the_order_of_arrival_does_not_matter(
    silver_events: Callable[..., DataFrame], minutes: list[int], chance: random.Random
) -> None:
    shuffled = minutes.copy()
    chance.shuffle(shuffled)

    def assigned(order: list[int]) -> list[tuple[str, str]]:
        frame = sessions.assign(silver_events(*({"at": at} for at in order)), GAP)
        return sorted((row.event_id, row.session_id) for row in frame.collect())

    assert assigned(minutes) == assigned(shuffled)
    in_order = sorted(minutes)
    expected = 1 + sum(b - a > GAP for a, b in pairwise(in_order))
    assert len({session for _, session in assigned(minutes)}) == expected
