"""What goes wrong on the way to TMDB, at given rates. The same seed draws the same sequence."""

import threading
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

from ingestion.chance import chance_of

Fault = Literal["too_many", "server_error", "slow", "truncated", "malformed"]


@dataclass(frozen=True)
class FaultRates:
    """The share of requests that meet each fault; together at most 1.

    Args:
        too_many: Answered with 429.
        server_error: Answered with 500, 502, 503 or 504.
        slow: Answered well, but late.
        truncated: The connection ends in the middle of the answer.
        malformed: A whole answer that is not JSON, or not gzip for the file of ids.
    """

    too_many: float = 0.0
    server_error: float = 0.0
    slow: float = 0.0
    truncated: float = 0.0
    malformed: float = 0.0

    def __post_init__(self) -> None:
        rates = list(asdict(self).values())
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError("each rate should be at least 0, and all together at most 1")


class Faults:
    """Draws a fault, or none, for each request.

    Args:
        rates: How often each comes.
        seed: The same seed draws the same sequence.
    """

    def __init__(self, rates: FaultRates, seed: int) -> None:
        self._rates: dict[Fault, float] = {
            "too_many": rates.too_many,
            "server_error": rates.server_error,
            "slow": rates.slow,
            "truncated": rates.truncated,
            "malformed": rates.malformed,
        }
        self._chance = chance_of("tmdb sandbox faults", seed)
        self._lock = threading.Lock()
        self.drawn: Counter[str] = Counter()
        """How often each fault was drawn."""

    def draw(self) -> Fault | None:
        """The fault of the next request, None for most."""
        with self._lock:
            place = self._chance.random()
            for fault, rate in self._rates.items():
                if place < rate:
                    self.drawn[fault] += 1
                    return fault
                place -= rate
            return None

    def server_error(self) -> int:
        """One of the statuses that a failing server has."""
        with self._lock:
            return self._chance.choice((500, 502, 503, 504))
