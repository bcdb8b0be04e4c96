"""How many requests a key may make: one limit for all workers, without a server of its own.

The algorithm is GCRA, the leaky bucket as a single number a key: the "theoretical arrival time" of ITU-T I.371. Those
numbers are in memory that the workers inherit from their parent.
"""

import mmap
import threading
import time
from functools import lru_cache
from struct import Struct
from zlib import crc32

SLOTS = 4096
BURST_SECONDS = 1.0
"""How much of its rate a key may use at once after a pause."""

_SLOT = Struct("qd")
"""A checksum of the key's id (0 for a free slot), and its theoretical arrival time in seconds."""


class RateLimiter:
    """Counts requests by name, in memory shared with every process that is forked after it was made.

    Two processes that decide about one name in the same microsecond may both let a request through: a limit that
    is exact to the last request would cost a lock between processes, and a worker that dies inside one would stop all.
    """

    def __init__(self) -> None:
        self._slots = mmap.mmap(-1, SLOTS * _SLOT.size)
        self._lock = threading.Lock()

    def wait_seconds(self, name: str, rate: float) -> float:
        """Ask for one request.

        Args:
            name: Whose request it is.
            rate: Requests a second that are allowed in the long run.

        Returns:
            0 when it may go ahead, else the seconds until it may; a refused request costs nothing.
        """
        now = time.monotonic()
        with self._lock:
            place, checksum, arrival = self._find(name)
            arrival = max(arrival, now)
            wait = arrival - now - BURST_SECONDS
            if wait > 0:
                return wait
            _SLOT.pack_into(self._slots, place, checksum, arrival + 1 / rate)
        return 0.0

    def _find(self, name: str) -> tuple[int, int, float]:
        """Place in memory, checksum and arrival time of a name; when all slots are taken, names share one."""
        checksum = crc32(name.encode()) + 1
        for step in range(SLOTS):
            place = (checksum + step) % SLOTS * _SLOT.size
            owner, arrival = _SLOT.unpack_from(self._slots, place)
            if owner in (0, checksum):
                return place, checksum, arrival
        place = checksum % SLOTS * _SLOT.size
        return place, checksum, _SLOT.unpack_from(self._slots, place)[1]


@lru_cache(maxsize=1)
def shared_limiter() -> RateLimiter:
    """The limiter of this process and of those it forks."""
    return RateLimiter()
