from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest

from cinelake.errors import BadInputError
from ingestion.events import EVENT_TYPES, InvalidEventError, validate_event
from ingestion.simulate import DEFAULT_START, Movie, SimulatedEvent, SimulationTruth, simulate

RATES = {"bad_rate": 0.05, "late_rate": 0.05, "duplicate_rate": 0.05}


def is_good(sent: SimulatedEvent) -> bool:
    try:
        validate_event(sent.event)
    except InvalidEventError:
        return False
    return True


def test_the_same_arguments_send_the_same_events() -> None:
    assert list(simulate(20, 3, **RATES)) == list(simulate(20, 3, **RATES))


@pytest.mark.parametrize(
    "other",
    [
        {"users": 21},
        {"days": 4},
        {"seed": 1},
        {"start": DEFAULT_START + timedelta(days=1)},
        {"bad_rate": 0.1},
        {"movies": [Movie(1, frozenset({28}), 90)]},
    ],
)
def test_other_arguments_share_no_event_id(other: dict[str, object]) -> None:
    arguments: dict[str, object] = {"users": 20, "days": 3}
    first = {sent.event["event_id"] for sent in simulate(**arguments)}  # type: ignore[arg-type]
    second = simulate(**(arguments | other))  # type: ignore[arg-type]
    assert first.isdisjoint(sent.event.get("event_id") for sent in second)


def test_without_rates_every_event_is_good_distinct_and_in_order() -> None:
    sent = list(simulate(30, 5))
    assert all(map(is_good, sent))
    assert len({one.event["event_id"] for one in sent}) == len(sent)
    times = [one.event["occurred_at"] for one in sent]
    assert times == sorted(times)


def test_the_days_are_kept_and_none_is_in_the_future() -> None:
    times = [datetime.fromisoformat(s.event["occurred_at"]) for s in simulate(50, 4)]
    assert min(times) >= DEFAULT_START
    assert max(times) < DEFAULT_START + timedelta(days=4)
    with pytest.raises(BadInputError, match="not over yet"):
        simulate(1, 2, start=datetime.now(UTC) - timedelta(days=1))


def test_a_long_simulation_has_every_event_type() -> None:
    truth = SimulationTruth()
    assert list(simulate(100, 14, truth=truth))
    assert set(truth.by_type) == set(EVENT_TYPES)
    assert truth.unknown_movies > 0


def test_the_truth_is_what_was_sent() -> None:
    truth = SimulationTruth()
    sent = list(simulate(40, 6, truth=truth, **RATES))
    good = [one.event for one in sent if is_good(one)]
    distinct = {event["event_id"]: event for event in good}
    assert truth.sent == len(sent) == truth.distinct + truth.bad + truth.duplicates
    assert truth.bad == len(sent) - len(good)
    assert truth.distinct == len(distinct)
    assert truth.by_type == Counter(event["event_type"] for event in distinct.values())
    rated = {(e["user_id"], e["movie_id"]) for e in good if e["event_type"] == "rating"}
    assert truth.ratings == len(rated)
    assert truth.users == len({event["user_id"] for event in good if "user_id" in event})
    assert min(truth.bad, truth.late, truth.duplicates) > 0


def test_a_duplicate_is_the_same_event_once_more() -> None:
    truth = SimulationTruth()
    sent = [one.event for one in simulate(40, 6, duplicate_rate=0.2, truth=truth)]
    first: dict[str, dict[str, object]] = {}
    for event in sent:
        assert first.setdefault(event["event_id"], event) == event
    assert truth.duplicates == len(sent) - len(first) > 0


def test_late_events_come_a_day_after_younger_ones() -> None:
    truth = SimulationTruth()
    latest = datetime.min.replace(tzinfo=UTC)
    behind = 0
    for one in simulate(60, 8, late_rate=0.05, truth=truth):
        at = datetime.fromisoformat(one.event["occurred_at"])
        behind += latest - at > timedelta(days=1)
        latest = max(latest, at)
    # At the very end nothing younger is left to overtake a late event.
    assert 0.5 * truth.late < behind <= truth.late


def test_some_sessions_are_named_and_watching_never_looks_like_leaving() -> None:
    sent = [one.event for one in simulate(60, 5)]
    assert 0 < sum("session_id" in event for event in sent) < len(sent)
    plays: dict[str, list[datetime]] = {}
    for event in sent:
        play = (event.get("properties") or {}).get("play_id")
        if play:
            plays.setdefault(play, []).append(datetime.fromisoformat(event["occurred_at"]))
    gaps = [b - a for times in plays.values() for a, b in pairwise(times)]
    assert gaps
    assert max(gaps) < timedelta(minutes=30)


def test_nobody_votes_on_or_answers_a_comment_that_is_not_there_yet() -> None:
    comments: set[str] = set()
    votes = 0
    for one in simulate(80, 8):
        properties = one.event.get("properties") or {}
        if one.event["event_type"] == "comment":
            assert properties.get("parent_comment_id", None) in comments | {None}
            comments.add(properties["comment_id"])
        elif one.event["event_type"] == "comment_vote":
            votes += 1
            assert properties["comment_id"] in comments
    assert votes


def test_there_are_signed_in_and_anonymous_visitors_on_several_devices() -> None:
    sent = list(simulate(60, 5))
    assert len({one.user_agent for one in sent}) > 3
    with_user = sum("user_id" in one.event for one in sent)
    assert 0 < with_user < len(sent)


def test_a_large_simulation_starts_at_once() -> None:
    assert len(list(islice(simulate(200, 250), 10))) == 10


@pytest.mark.parametrize(
    "arguments",
    [
        {"users": 0, "days": 1},
        {"users": 1, "days": 0},
        {"users": 1, "days": 1, "bad_rate": 1.5},
        {"users": 1, "days": 1, "movies": []},
        {"users": 1, "days": 1, "start": datetime(2026, 1, 1)},
    ],
)
def test_arguments_out_of_range_are_refused_at_once(arguments: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        simulate(**arguments)  # type: ignore[arg-type]
