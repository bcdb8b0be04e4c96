"""The stream that all simulated visitors send together, in the order in which it is sent."""

import heapq
import random
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from cinelake.errors import BadInputError
from ingestion.chance import chance_of
from ingestion.events import NAMESPACE, iso_utc
from ingestion.generated_catalog import generated_movies
from ingestion.simulate.faults import broken
from ingestion.simulate.visitors import Movie, Visitor, make_visitors, movie_from
from ingestion.simulate.visits import Step, Visit, is_unknown

DEFAULT_START = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT_SEED = 2026
_ONE_DAY = timedelta(days=1)
_REMEMBERED_COMMENTS = 500
_LATE_HOURS = (25, 72)
_DUPLICATE_MINUTES = (0, 180)


class SimulatedEvent(NamedTuple):
    """One event to send, and the `User-Agent` header to send it with."""

    user_agent: str
    event: dict[str, Any]


@dataclass
class SimulationTruth:
    """What a simulation has sent so far: what every later stage must find again.

    Args:
        sent: Events in all: `distinct + bad + duplicates`.
        distinct: Good events, each counted once.
        bad: Events that must be refused.
        duplicates: Good events sent once more.
        late: Good events sent more than a day after events that happened after them.
        unknown_movies: Good events about a movie that no catalogue holds.
        ratings: Pairs of user and movie that were ever rated.
        by_type: Good events by type, each counted once.
        users: Users with at least one good event.
    """

    sent: int = 0
    distinct: int = 0
    bad: int = 0
    duplicates: int = 0
    late: int = 0
    unknown_movies: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    user_ids: set[str] = field(default_factory=set, repr=False)
    rated: set[tuple[str, int]] = field(default_factory=set, repr=False)

    @property
    def ratings(self) -> int:
        """Pairs of user and movie that were ever rated."""
        return len(self.rated)

    @property
    def users(self) -> int:
        """Users with at least one good event."""
        return len(self.user_ids)

    def add_good(self, event: dict[str, Any]) -> None:
        """Count a good event that was not sent before."""
        self.distinct += 1
        self.by_type[event["event_type"]] += 1
        self.unknown_movies += is_unknown(event.get("movie_id", 0))
        if "user_id" in event:
            self.user_ids.add(event["user_id"])
        if event["event_type"] == "rating":
            self.rated.add((event["user_id"], event["movie_id"]))


class _Kind(NamedTuple):
    """Why an event is in the stream; it is counted when it is sent, and not before."""

    is_bad: bool = False
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
        late_rate: Share of the good events that are sent one to three days late.
        duplicate_rate: Share of the good events that are sent twice.
        truth: Counts what is sent, as it is sent.

    Returns:
        The events in the order to send them.

    Raises:
        BadInputError: An argument is out of range, or the days are not over yet.
    """
    _check(users, days, start, movies, (bad_rate, late_rate, duplicate_rate))
    if movies is None:
        movies = [movie_from(answer) for answer in generated_movies()]
    # The ids must differ whenever the events may.
    catalogue = _name_of(movies)
    rates = (bad_rate, late_rate, duplicate_rate)
    run = f"simulate:{seed}:{users}:{days}:{iso_utc(start)}:{rates}:{catalogue}"
    steps = _days(users, days, seed, start, movies)
    return _Stream(run, rates, truth or SimulationTruth()).events(steps)


def _check(
    users: int,
    days: int,
    start: datetime,
    movies: Sequence[Movie] | None,
    rates: Sequence[float],
) -> None:
    if users < 1 or days < 1:
        raise BadInputError("A simulation needs at least one user and one day.")
    if movies is not None and not movies:
        raise BadInputError("A simulation needs a catalogue with at least one movie.")
    if any(not 0 <= rate <= 1 for rate in rates):
        raise BadInputError("A rate of bad, late or duplicate events is a number from 0 to 1.")
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
    comments: deque[tuple[str, int]] = deque(maxlen=_REMEMBERED_COMMENTS)
    end = start + days * _ONE_DAY
    for number in range(days):
        day = start + number * _ONE_DAY
        known = list(comments)
        steps: list[Step] = []
        for visitor in visitors:
            chance = chance_of("visit", seed, visitor.number, number)
            for visit in _visits(visitor, movies, known, day, chance):
                steps += [step for step in visit.steps() if step.at < end]
                # Others see a comment from the next day on, so that no vote comes before it.
                comments.extend(visit.new_comments)
        yield day + _ONE_DAY, steps


def _visits(
    visitor: Visitor,
    movies: Sequence[Movie],
    comments: Sequence[tuple[str, int]],
    day: datetime,
    chance: random.Random,
) -> Iterator[Visit]:
    whole, part = divmod(visitor.visits_a_day, 1)
    for _ in range(int(whole) + (chance.random() < part)):
        hour = min(max(chance.gauss(18, 4), 0), 23.5)
        yield Visit(visitor, movies, comments, day + timedelta(hours=hour), chance)


class _Stream:
    """Puts steps into the order of sending, gives them their ids, and adds what goes wrong on the way."""

    def __init__(self, run: str, rates: tuple[float, float, float], truth: SimulationTruth) -> None:
        self._run = run
        self._bad_rate, self._late_rate, self._duplicate_rate = rates
        self._truth = truth
        self._chance = chance_of(run)
        self._counter = count()
        self._turns = count()
        self._queue: list[tuple[datetime, int, SimulatedEvent, _Kind]] = []

    def events(self, days: Iterator[tuple[datetime, list[Step]]]) -> Iterator[SimulatedEvent]:
        """The events in the order of sending; what no later day can precede is sent and forgotten."""
        for end_of_day, steps in days:
            for step in steps:
                self._add(step)
            yield from self._send_until(end_of_day)
        yield from self._send_until(datetime.max.replace(tzinfo=UTC))

    def _add(self, step: Step) -> None:
        event = {"event_id": self._new_id(), "occurred_at": iso_utc(step.at), **step.event}
        is_late = self._happens(self._late_rate)
        at = step.at + timedelta(hours=self._chance.uniform(*_LATE_HOURS)) * is_late
        self._push(at, SimulatedEvent(step.user_agent, event), _Kind(is_late=is_late))
        if self._happens(self._duplicate_rate):
            again = at + timedelta(minutes=self._chance.uniform(*_DUPLICATE_MINUTES))
            self._push(again, SimulatedEvent(step.user_agent, event), _Kind(is_duplicate=True))
        if self._happens(self._bad_rate):
            bad = broken({**event, "event_id": self._new_id()}, self._chance)
            self._push(at, SimulatedEvent(step.user_agent, bad), _Kind(is_bad=True))

    def _send_until(self, moment: datetime) -> Iterator[SimulatedEvent]:
        while self._queue and self._queue[0][0] < moment:
            _, _, sent, kind = heapq.heappop(self._queue)
            self._truth.sent += 1
            self._truth.late += kind.is_late
            self._truth.bad += kind.is_bad
            self._truth.duplicates += kind.is_duplicate
            if not kind.is_bad and not kind.is_duplicate:
                self._truth.add_good(sent.event)
            yield sent

    def _push(self, at: datetime, event: SimulatedEvent, kind: _Kind) -> None:
        heapq.heappush(self._queue, (at, next(self._turns), event, kind))

    def _happens(self, rate: float) -> bool:
        return self._chance.random() < rate

    def _new_id(self) -> str:
        return str(uuid.uuid5(NAMESPACE, f"{self._run}:{next(self._counter)}"))
