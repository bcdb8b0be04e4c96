"""The stream that all simulated visitors send together, in the order in which it is sent."""

import heapq
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from cinelake.errors import BadInputError
from ingestion.chance import chance_of
from ingestion.events import NAMESPACE, iso_utc
from ingestion.generated_catalog import generated_movies
from ingestion.simulate.faults import Fault, broken
from ingestion.simulate.rhythm import visit_times
from ingestion.simulate.truth import SimulationTruth
from ingestion.simulate.visitors import Movie, make_visitors, movie_from
from ingestion.simulate.visits import KnownComment, Step, Visit

DEFAULT_START = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT_SEED = 2026
_BEHAVIOUR = 2
"""Raised whenever the same arguments would make other events than before: then their ids must be others as well."""
_ONE_DAY = timedelta(days=1)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_REMEMBERED_COMMENTS = 500
_LATE_HOURS = (25, 72)
_LONGEST_DELAY = timedelta(hours=_LATE_HOURS[1])
_DUPLICATE_MINUTES = (0, 180)


class SimulatedEvent(NamedTuple):
    """One event to send, and the `User-Agent` header to send it with."""

    user_agent: str
    event: dict[str, Any]


class _Sent(NamedTuple):
    """An event that waits to be sent, and why; it is counted when it is sent, and not before."""

    event: SimulatedEvent
    fault: Fault | None = None
    is_duplicate: bool = False
    is_late: bool = False


def simulate(
    users: int,
    days: int,
    seed: int = DEFAULT_SEED,
    start: datetime = DEFAULT_START,
    *,
    movies: Sequence[Movie] | None = None,
    bad_rate: float = 0.0,
    late_rate: float = 0.0,
    duplicate_rate: float = 0.0,
    truth: SimulationTruth | None = None,
) -> Iterator[SimulatedEvent]:
    """Simulate visitors. The same arguments give the same events, ids included; memory holds a few days.

    Args:
        users: Visitors; about a quarter of them never sign in.
        days: Days they visit.
        seed: The source of all chance.
        start: The first moment of the first day; all days must be over.
        movies: The catalogue they watch. Default: the generated one.
        bad_rate: Bad events for each good one, 0 to 1.
        late_rate: Share of the good events that are sent one to three days late: after events of days that
            followed, as far as such days are simulated.
        duplicate_rate: Share of the good events that are sent twice.
        truth: Counts what is sent, as it is sent: who takes the first few events alone finds those alone.

    Returns:
        The events in the order to send them. Good ones are in the order in which they occurred, but for late ones
        and for progress reports that a client held back.

    Raises:
        BadInputError: An argument is out of range, or the days are not over yet.
    """
    _check(users, days, start, movies, (bad_rate, late_rate, duplicate_rate))
    if movies is None:
        movies = [movie_from(answer) for answer in generated_movies()]
    # The ids must differ whenever the events may.
    catalogue = _name_of(movies)
    rates = (bad_rate, late_rate, duplicate_rate)
    run = f"simulate:{_BEHAVIOUR}:{seed}:{users}:{days}:{iso_utc(start)}:{rates}:{catalogue}"
    steps = _days(users, days, seed, start, movies)
    return _Stream(run, rates, truth).events(steps)


def _check(
    users: int,
    days: int,
    start: datetime,
    movies: Sequence[Movie] | None,
    rates: Sequence[float],
) -> None:
    if users < 1 or days < 1:
        raise BadInputError(
            "A simulation needs at least one user and one day.",
            "Give --users and --days of 1 or more.",
        )
    if movies is not None and not movies:
        raise BadInputError(
            "A simulation needs a catalogue with at least one movie.",
            "Name some, or leave the movies out: then they are generated.",
        )
    if any(not 0 <= rate <= 1 for rate in rates):
        raise BadInputError(
            "A rate of bad, late or duplicate events is a number from 0 to 1.",
            "Correct --bad-rate, --late-rate or --duplicate-rate, for example 0.02.",
        )
    if start.tzinfo is None:
        raise BadInputError(
            f"The start {start} has no time zone.", "Write it like 2026-01-01T00:00:00Z."
        )
    if start + days * _ONE_DAY > datetime.now(UTC):
        raise BadInputError(
            f"{days} days from {start:%Y-%m-%d} on are not over yet.",
            "Start earlier or simulate fewer days: events in the future are quarantined.",
        )


def _name_of(movies: Sequence[Movie]) -> str:
    """A short name for a catalogue: the same movies, the same name."""
    described = ";".join(f"{m.movie_id},{sorted(m.genres)},{m.minutes}" for m in movies)
    return uuid.uuid5(NAMESPACE, described).hex


def _days(
    users: int, days: int, seed: int, start: datetime, movies: Sequence[Movie]
) -> Iterator[tuple[datetime, list[Step]]]:
    """The end of each day, and all steps of the visits that began on it."""
    visitors = make_visitors(users, seed, movies)
    comments: list[KnownComment] = []
    end = start + days * _ONE_DAY
    for number in range(days):
        day = start + number * _ONE_DAY
        written: list[KnownComment] = []
        steps: list[Step] = []
        for visitor in visitors:
            chance = chance_of("visit", seed, visitor.number, number)
            for at in visit_times(visitor.visits_a_day, visitor.place.timezone, day, chance):
                visit = Visit(visitor, movies, comments, at, chance)
                steps += [step for step in visit.steps() if step.at < end]
                written += visit.new_comments
        yield day + _ONE_DAY, steps
        # Others see a comment from the next day on; some of them were written after midnight.
        comments = sorted(comments + written)[-_REMEMBERED_COMMENTS:]


class _Stream:
    """Puts steps into the order of sending, gives them their ids, and adds what goes wrong on the way."""

    def __init__(
        self, run: str, rates: tuple[float, float, float], truth: SimulationTruth | None
    ) -> None:
        self._run = run
        self._bad_rate, self._late_rate, self._duplicate_rate = rates
        self._truth = truth
        self._chance = chance_of(run)
        self._counter = count()
        self._turns = count()
        self._queue: list[tuple[datetime, int, _Sent]] = []

    def events(self, days: Iterator[tuple[datetime, list[Step]]]) -> Iterator[SimulatedEvent]:
        """The events in the order of sending; what no later day can precede is sent and forgotten."""
        for end_of_day, steps in days:
            for step in steps:
                self._add(step)
            yield from self._send_until(end_of_day)
            if self._truth is not None:
                self._truth.settle(end_of_day - _LONGEST_DELAY)
        yield from self._send_until(_END_OF_TIME)

    def _add(self, step: Step) -> None:
        event = {"event_id": self._new_id(), "occurred_at": iso_utc(step.at), **step.event}
        at = step.at + step.held_back
        is_late = self._happens(self._late_rate)
        if is_late:
            at = step.at + timedelta(hours=self._chance.uniform(*_LATE_HOURS))
        self._push(at, _Sent(SimulatedEvent(step.user_agent, event), is_late=is_late))
        if self._happens(self._duplicate_rate):
            again = at + timedelta(minutes=self._chance.uniform(*_DUPLICATE_MINUTES))
            self._push(again, _Sent(SimulatedEvent(step.user_agent, event), is_duplicate=True))
        if self._happens(self._bad_rate):
            fault, bad = broken({**event, "event_id": self._new_id()}, self._chance)
            self._push(at, _Sent(SimulatedEvent(step.user_agent, bad), fault))

    def _send_until(self, moment: datetime) -> Iterator[SimulatedEvent]:
        while self._queue and self._queue[0][0] < moment:
            _, _, sent = heapq.heappop(self._queue)
            if self._truth is not None:
                _count(self._truth, sent)
            yield sent.event

    def _push(self, at: datetime, sent: _Sent) -> None:
        heapq.heappush(self._queue, (at, next(self._turns), sent))

    def _happens(self, rate: float) -> bool:
        return self._chance.random() < rate

    def _new_id(self) -> str:
        return str(uuid.uuid5(NAMESPACE, f"{self._run}:{next(self._counter)}"))


def _count(truth: SimulationTruth, sent: _Sent) -> None:
    if sent.fault:
        truth.add_bad(sent.fault)
    elif sent.is_duplicate:
        truth.add_duplicate()
    else:
        truth.add_good(sent.event.event, is_late=sent.is_late, user_agent=sent.event.user_agent)
