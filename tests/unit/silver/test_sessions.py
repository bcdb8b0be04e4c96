"""`silver.sessions`: where one visit ends and the next begins."""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver import sessions, watch_history
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
    events = silver_events({"at": 0, **given_id}, {"at": 600, **given_id})
    (row,) = sessions.transform(sessions.assign(events, GAP)).collect()
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


BESIDE = [
    ({"a": [0, 600]}, 300, "a"),
    ({"a": [100]}, 70, "a"),
    ({"a": [100]}, 130, "a"),
    ({"a": [100]}, 69, None),
    ({"a": [100]}, 131, None),
    ({"a": [0, 60], "b": [20, 80]}, 30, "b"),
    ({"a": [0, 60], "b": [20, 80]}, 70, "a"),
    ({"a": [0, 600], "b": [20, 40]}, 70, "b"),
    ({"a": [0, 600], "b": [20, 40]}, 71, "a"),
    ({"a": [0, 600], "b": [20, 900], "c": [30, 40]}, 500, "b"),
    ({"a": [20, 600], "b": [20, 900]}, 500, "a"),
    ({"a": [0, 600], "b": [320]}, 300, "a"),
    ({"b": [100], "a": [100]}, 90, "a"),
    ({"b": [100], "a": [110]}, 90, "b"),
    ({"b": [100, 200], "a": [100]}, 125, "a"),
    ({"b": [100], "a": [100, 120]}, 100, "a"),
    ({"b": [100, 300], "a": [100]}, 200, "b"),
]
"""Minutes of the events of each given session, the minute of an event without an id, and whose it is."""


def test_an_event_without_an_id_belongs_to_the_session_around_it(
    silver_events: Callable[..., DataFrame],
) -> None:
    rows = []
    for number, (named, at, _) in enumerate(BESIDE):
        for name, times in {None: [at], **named}.items():
            rows += [
                {
                    "at": minutes,
                    "client_session_id": name,
                    "user_id": str(number),
                    "event_id": f"{number} {name} {minutes}",
                }
                for minutes in times
            ]
    assigned = sessions.assign(silver_events(*rows), GAP)
    found = (
        sessions.transform(assigned)
        .join(assigned.where(F.col("client_session_id").isNull()), "session_id", "left_semi")
        .collect()
    )
    assert {int(row.user_id): row.client_session_id for row in found} == {
        number: expected for number, (_, _, expected) in enumerate(BESIDE)
    }
    assert all(row.is_given == (row.client_session_id is not None) for row in found)


def test_an_event_taken_in_does_not_widen_the_session(
    silver_events: Callable[..., DataFrame],
) -> None:
    events = silver_events({"at": 0, "client_session_id": "s1"}, {"at": 30}, {"at": 31})
    assert _spans(events) == [("u:ada", 2), ("u:ada", 1)]


def test_a_session_that_grows_takes_in_what_was_cut_before(
    silver_events: Callable[..., DataFrame],
) -> None:
    before = ({"at": 0, "client_session_id": "s1"}, {"at": 100}, {"at": 140})
    assert [count for _, count in _spans(silver_events(*before))] == [1, 1, 1]
    after = (*before, {"at": 200, "client_session_id": "s1"})
    assert [count for _, count in _spans(silver_events(*after))] == [4]


def test_a_session_has_the_device_it_began_with(
    silver_events: Callable[..., DataFrame],
) -> None:
    def seen(at: int, device: str | None = None) -> dict[str, Any]:
        told = {"browser": f"{device} browser", "os": f"{device} os", "is_bot": False}
        return {"at": at, "session_id": "s"} | ({"device": device} | told if device else {})

    events = silver_events(seen(5, "second"), seen(0), seen(3, "first"), seen(9))
    (row,) = sessions.transform(events).collect()
    assert (row.device, row.browser, row.os) == ("first", "first browser", "first os")
    assert row.is_bot is False


def test_the_sessions_of_a_play_share_its_seconds(silver_events: Callable[..., DataFrame]) -> None:
    def at(minute: int, session: str, position: float, play: str) -> dict[str, Any]:
        properties = json.dumps({"play_id": play, "position_seconds": position})
        about = {"event_type": "play_progress", "movie_id": 13, "properties": properties}
        return {"at": minute, "event_id": f"{play} {minute}", "session_id": session} | about

    events = silver_events(
        *(at(minute, "s1", position, "p") for minute, position in ((0, 60), (1, 160))),
        *(at(minute, "s2", position, "p") for minute, position in ((2, 100), (3, 360))),
        # Went back in the second session: all that it came to was reached in the first.
        *(at(minute, "s1", position, "back") for minute, position in ((0, 0), (1, 500))),
        at(2, "s2", 300, "back"),
        *(at(minute, "s3", position, "nothing") for minute, position in ((0, 50), (1, 10))),
    )
    found = {row.session_id: row.seconds_watched for row in sessions.transform(events).collect()}
    assert found == {"s1": 100.0 + 300.0, "s2": 200.0, "s3": 0.0}
    of_plays = watch_history.transform(events).agg(F.sum("seconds_watched")).collect()[0][0]
    assert sum(found.values()) == of_plays


def test_ids_that_hold_separators_are_told_apart(silver_events: Callable[..., DataFrame]) -> None:
    parts = [("auth0|42", "s1"), ("auth0", "42|s1"), ("auth0\\", "42|s1"), ("auth0\\|42", "s1")]
    events = silver_events(
        *({"user_id": user, "client_session_id": given_id} for user, given_id in parts)
    )
    found = {row.session_id for row in sessions.assign(events, GAP).collect()}
    assert len(found) == len(parts)


def test_many_visits_are_told_apart_by_the_rule_as_it_reads(
    silver_events: Callable[..., DataFrame],
) -> None:
    """Three hundred visitors with sessions that overlap, touch, nest and meet at one time, in any order."""
    chance = random.Random(2026)
    visitors = [_visitor(chance) for _ in range(300)]
    expected = {
        frozenset(f"{number} {place}" for place in session)
        for number, events in enumerate(visitors)
        for session in _sessions(events)
    }
    rows = [
        {
            "at": at,
            "client_session_id": name,
            "user_id": str(number),
            "event_id": f"{number} {place}",
            "app_version": f"{number} {place}",
        }
        for number, events in enumerate(visitors)
        for place, (at, name) in enumerate(events)
    ]
    chance.shuffle(rows)
    found: dict[str, set[str]] = {}
    for row in sessions.assign(silver_events(*rows), GAP).collect():
        found.setdefault(row.session_id, set()).add(row.app_version)
    assert {frozenset(session) for session in found.values()} == expected


Visit = tuple[int, str | None]
"""The minute of an event, and the session id that it carries."""


def _visitor(chance: random.Random) -> list[Visit]:
    """Events in bursts; mostly each at a time of its own, on a grid on which pauses of exactly the gap are frequent."""
    length = chance.choice((100, 400, 3000))
    names = (None, None, "a", "b", "c", "d", "e")[: chance.randint(2, 7)]
    return [
        (chance.randrange(0, length, 10), chance.choice(names))
        for _ in range(chance.randint(1, 25))
    ]


def _sessions(events: list[Visit]) -> list[set[int]]:
    """The places in the list of the events of each session, by trying every session for every event."""
    named: dict[str, list[int]] = {}
    for at, name in events:
        if name is not None:
            named.setdefault(name, []).append(at)
    members: dict[str, set[int]] = {}
    left_over = []
    for place, (at, name) in enumerate(events):
        holders = [n for n, times in named.items() if min(times) - GAP <= at <= max(times) + GAP]
        earlier = [(at - t, n) for n in holders for t in named[n] if t <= at]
        later = [(t - at, n) for n in holders for t in named[n] if t > at]
        owner = name or min(earlier or later, default=(0, None))[1]
        if owner is None:
            left_over.append((at, place))
        else:
            members.setdefault(owner, set()).add(place)
    left_over.sort()
    cut: list[set[int]] = []
    for index, (at, place) in enumerate(left_over):
        if index == 0 or at - left_over[index - 1][0] > GAP:
            cut.append(set())
        cut[-1].add(place)
    return [*members.values(), *cut]


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
