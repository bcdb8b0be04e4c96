"""The simulations whose events the tests send: a small one for every run, and one of full size for `make prove`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from ingestion.simulate import simulate
from ingestion.simulate.stream import SimulatedEvent

START = datetime(2026, 1, 5, tzinfo=UTC)
SEED = 12


@dataclass(frozen=True)
class Simulation:
    """Arguments of `cinelake simulate`."""

    users: int
    days: int
    events: int
    bad_rate: float
    late_rate: float
    duplicate_rate: float

    def arguments(self) -> list[str]:
        """As the command takes them."""
        named = {
            "users": self.users,
            "days": self.days,
            "seed": SEED,
            "start": START.date(),
            "events": self.events,
            "bad-rate": self.bad_rate,
            "late-rate": self.late_rate,
            "duplicate-rate": self.duplicate_rate,
        }
        return [part for name, value in named.items() for part in (f"--{name}", str(value))]

    def stream(self) -> Iterator[SimulatedEvent]:
        """The events that the command sends."""
        stream = simulate(
            self.users,
            self.days,
            SEED,
            START,
            bad_rate=self.bad_rate,
            late_rate=self.late_rate,
            duplicate_rate=self.duplicate_rate,
        )
        return islice(stream, self.events)


SMALL = Simulation(30, 14, 3_000, bad_rate=0.06, late_rate=0.06, duplicate_rate=0.06)
FULL = Simulation(370, 30, 200_000, bad_rate=0.02, late_rate=0.05, duplicate_rate=0.03)
