from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinelake.errors import BadInputError
from ingestion.chance import chance_of
from ingestion.events import EVENT_TYPES, InvalidEventError, validate_event
from ingestion.simulate import (
    DEFAULT_START,
    Movie,
    SimulatedEvent,
    SimulationTruth,
    movie_from,
    simulate,
)
from ingestion.simulate.faults import API_FAULTS, SILVER_FAULTS
from ingestion.simulate.rhythm import visit_times

RATES = {"bad_rate": 0.05, "late_rate": 0.05, "duplicate_rate": 0.05}
TODAY = datetime(2026, 6, 1, tzinfo=UTC)


def is_valid(sent: SimulatedEvent) -> bool:
    try:
        validate_event(sent.event)
    except InvalidEventError:
        return False
    return True


def at(event: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(event["occurred_at"]))


@settings(max_examples=15, deadline=None)
@given(
    users=st.integers(1, 12),
    days=st.integers(1, 5),
    seed=st.integers(-(2**40), 2**40),
    rates=st.tuples(*[st.floats(0, 1)] * 3),
)
def test_the_same_arguments_send_the_same_bytes(
    users: int, days: int, seed: int, rates: tuple[float, float, float]
) -> None:
    named = dict(zip(("bad_rate", "late_rate", "duplicate_rate"), rates, strict=True))
    first, second = (
        b"\n".join(orjson.dumps([*sent]) for sent in simulate(users, days, seed, **named))
        for _ in range(2)
    )
    assert first == second


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


@pytest.mark.parametrize(
    ("answer", "movie"),
    [
        ({"genres": [{"id": 18, "name": "Drama"}], "runtime": 90.0}, Movie(7, frozenset({18}), 90)),
        ({}, Movie(7, frozenset(), 95)),
        ({"genres": None, "runtime": 0}, Movie(7, frozenset(), 95)),
        ({"genres": "Drama", "runtime": "90"}, Movie(7, frozenset(), 95)),
        ({"genres": [{}, 5, {"id": None}], "runtime": 2**60}, Movie(7, frozenset(), 95)),
    ],
)
def test_visitors_watch_a_movie_whatever_its_answer_holds(
    answer: dict[str, object], movie: Movie
) -> None:
    assert movie_from({"id": 7, **answer}) == movie
    sent = [one.event for one in simulate(5, 2, movies=[movie])]
    assert all(map(is_valid, simulate(5, 2, movies=[movie])))
    assert 7 in {event.get("movie_id") for event in sent}


def test_without_rates_every_event_is_good_and_distinct() -> None:
    sent = list(simulate(30, 5))
    assert all(map(is_valid, sent))
    assert len({one.event["event_id"] for one in sent}) == len(sent)


def test_without_rates_only_progress_reports_are_out_of_order() -> None:
    sent = [one.event for one in simulate(60, 8)]
    others = [event["occurred_at"] for event in sent if event["event_type"] != "play_progress"]
    assert others == sorted(others)
    progress = [event["occurred_at"] for event in sent if event["event_type"] == "play_progress"]
    assert progress != sorted(progress)


def test_progress_arrives_after_younger_progress_of_its_play() -> None:
    truth = SimulationTruth()
    last: dict[str, str] = {}
    overtaken = 0
    for one in simulate(60, 8, truth=truth):
        if one.event["event_type"] == "play_progress":
            play = one.event["properties"]["play_id"]
            overtaken += one.event["occurred_at"] < last.get(play, "")
            last[play] = max(last.get(play, ""), one.event["occurred_at"])
    assert truth.out_of_order == overtaken > 0


def test_the_days_are_kept_and_none_is_in_the_future() -> None:
    times = [at(s.event) for s in simulate(50, 4)]
    assert min(times) >= DEFAULT_START
    assert max(times) < DEFAULT_START + timedelta(days=4)
    with pytest.raises(BadInputError, match="not over yet"):
        simulate(1, 2, start=datetime.now(UTC) - timedelta(days=1))


def test_a_long_simulation_has_every_event_type() -> None:
    truth = SimulationTruth()
    assert list(simulate(100, 14, truth=truth))
    assert set(truth.by_type) == set(EVENT_TYPES)
    assert truth.unknown_movies > 0


@pytest.mark.parametrize("fault", API_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_that_the_api_notices_has_exactly_the_expected_reason(fault: object) -> None:
    reasons = set()
    for one in islice(simulate(30, 5), 400):
        with pytest.raises(InvalidEventError) as refused:
            validate_event(fault.breaks(dict(one.event)))  # type: ignore[attr-defined]
        reasons.add(tuple(f"{p.field or 'event'}: {p.reason}" for p in refused.value.problems))
    assert reasons == {(fault.expected,)}  # type: ignore[attr-defined]


def test_a_fault_that_silver_notices_passes_the_api() -> None:
    for one in islice(simulate(30, 5), 400):
        for fault in SILVER_FAULTS:
            event = validate_event(fault.breaks(dict(one.event)))
            assert event.occurred_at > datetime.now(UTC) + timedelta(days=1)


def test_every_fault_occurs_and_is_counted_by_name() -> None:
    truth = SimulationTruth()
    assert list(simulate(60, 6, truth=truth, bad_rate=0.2))
    assert set(truth.faults) == {fault.name for fault in (*API_FAULTS, *SILVER_FAULTS)}
    assert truth.refused == sum(truth.reasons.values())
    assert truth.quarantined == sum(truth.rules.values())
    assert 0.1 < truth.quarantined / truth.bad < 0.3


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_the_rates_hold(rate: float) -> None:
    truth = SimulationTruth()
    assert list(simulate(100, 10, truth=truth, bad_rate=rate, late_rate=rate, duplicate_rate=rate))
    assert truth.distinct > 10_000
    for share in (truth.bad, truth.late, truth.duplicates):
        assert share / truth.distinct == pytest.approx(rate, rel=0.2)


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
        behind += latest - at(one.event) > timedelta(days=1)
        latest = max(latest, at(one.event))
    assert truth.overtaken == behind
    # At the very end nothing younger is left to overtake a late event.
    assert 0.5 * truth.late < behind <= truth.late


def test_some_sessions_are_named_and_some_of_their_events_forget_it() -> None:
    named: Counter[str] = Counter()
    nameless: Counter[str] = Counter()
    for one in simulate(60, 8):
        visitor = str(one.event.get("user_id") or one.event["anonymous_id"])
        (named if "session_id" in one.event else nameless)[visitor] += 1
    assert any(visitor not in named for visitor in nameless)
    assert any(0 < nameless[visitor] < named[visitor] / 10 for visitor in named)


def test_watching_never_looks_like_leaving() -> None:
    plays: dict[str, list[datetime]] = {}
    for one in simulate(60, 5):
        play = (one.event.get("properties") or {}).get("play_id")
        if play:
            plays.setdefault(play, []).append(at(one.event))
    gaps = [b - a for times in plays.values() for a, b in pairwise(sorted(times))]
    assert gaps
    assert max(gaps) < timedelta(minutes=30)


def test_a_movie_left_is_taken_up_again_where_it_was_left() -> None:
    truth = SimulationTruth()
    events = sorted((one.event for one in simulate(60, 20, truth=truth)), key=at)
    user_of = dict(truth.links)
    left: dict[tuple[object, object], set[float]] = {}
    taken_up = 0
    for event in events:
        if not event["event_type"].startswith("play"):
            continue
        anonymous = event.get("anonymous_id")
        who = (event.get("user_id") or user_of.get(anonymous, anonymous), event["movie_id"])
        position = event["properties"].get("position_seconds")
        if event["event_type"] == "play" and position > 0:
            taken_up += 1
            assert position in left[who]
        elif position is not None:
            left.setdefault(who, set()).add(position)
    assert taken_up > 20


def test_whoever_signs_in_carries_both_ids_once() -> None:
    both: Counter[str] = Counter()
    users_of: dict[str, set[str]] = {}
    nobody: set[str] = set()
    user_only: set[str] = set()
    for event in sorted((one.event for one in simulate(80, 14)), key=at):
        user, anonymous = event.get("user_id"), event.get("anonymous_id")
        if user and anonymous:
            both[anonymous] += 1
            users_of.setdefault(anonymous, set()).add(user)
        elif user:
            user_only.add(user)
        else:
            # Before the sign-in, and never after it.
            assert anonymous not in users_of
            nobody.add(anonymous)
    converts = nobody & set(both)
    assert converts
    assert {both[anonymous] for anonymous in converts} == {1}
    assert user_only <= {user for anonymous in converts for user in users_of[anonymous]}
    assert user_only
    assert all(len(users) == 1 for users in users_of.values())


def test_nobody_votes_on_or_answers_a_comment_that_is_not_there_yet() -> None:
    comments: dict[str, dict[str, object]] = {}
    seen: Counter[str] = Counter()
    for event in sorted((one.event for one in simulate(80, 10, late_rate=0.05)), key=at):
        kind, properties = event["event_type"], event.get("properties") or {}
        if kind == "comment":
            parent = properties.get("parent_comment_id")
            if parent:
                assert comments[parent]["movie_id"] == event["movie_id"]
                seen["answer"] += 1
            comments[properties["comment_id"]] = event
        elif "comment_id" in properties:
            seen[kind] += 1
            comment = comments[properties["comment_id"]]
            if kind != "comment_vote":
                assert comment["user_id"] == event["user_id"]
    assert set(seen) == {"answer", "comment_vote", "comment_edit", "comment_delete"}


def test_there_are_signed_in_and_anonymous_visitors_on_several_devices() -> None:
    sent = list(simulate(60, 5))
    assert len({one.user_agent for one in sent}) > 3
    with_user = sum("user_id" in one.event for one in sent)
    assert 0 < with_user < len(sent)


@pytest.mark.parametrize("timezone", ["Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata"])
def test_people_watch_in_the_evening_and_on_weekends_where_they_live(timezone: str) -> None:
    chance = chance_of("rhythm", timezone)
    hours: Counter[int] = Counter()
    weekdays: Counter[int] = Counter()
    for number in range(140):
        day = DEFAULT_START + timedelta(days=number)
        times = list(visit_times(20.0, timezone, day, chance))
        assert times == sorted(times)
        assert all(day <= time < day + timedelta(days=1) for time in times)
        for time in times:
            local = time.astimezone(ZoneInfo(timezone))
            hours[local.hour] += 1
            weekdays[local.weekday()] += 1
    assert sum(hours.values()) == pytest.approx(140 * 20, rel=0.1)
    assert sum(hours[hour] for hour in range(18, 23)) > 4 * sum(hours[h] for h in range(1, 6))
    assert min(weekdays[day] for day in (4, 5, 6)) > max(weekdays[day] for day in range(4))


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
