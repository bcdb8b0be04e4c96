"""The limit that all threads share: a token bucket that paces, and places that are strict.

TMDB counts requests as they arrive, and a thread that was held up arrives later than it was let go. So a
bucket alone lets a little more than its rate through a single second. Here a request also holds one of as many
places as the second may have, and gives it back one second after its answer: of two requests in one place the
second arrives at least a second after the first, whatever held them up. No second has more than the places.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ingestion.tmdb.errors import GO_ON_LATER, StoppedError

PACE = 0.975
"""The bucket fills at this share of the limit, so that the places are seldom waited for."""
BURST_SECONDS = 0.05
"""The bucket holds what fills within this time: a late thread does not lose its turn, and none rushes."""
WINDOW = 1.0


class Schedule:
    """When the next request may leave. Knows no clock and no threads.

    Args:
        per_second: The most requests that may arrive in any one second.
        now: Seconds on any clock that only goes forward.
    """

    def __init__(self, per_second: int, now: float) -> None:
        self._rate = per_second * PACE
        self._burst = max(1.0, self._rate * BURST_SECONDS)
        # Not full at the start: an earlier process may have used up the last second.
        self._tokens = 1.0
        self._filled = now
        self._free = deque([now] * per_second)
        self._closed_until = now

    def wait(self, now: float) -> float | None:
        """Seconds until a request may leave: 0 for now, None while each place is taken by one under way."""
        if not self._free:
            return None
        self._fill(now)
        for_token = (1.0 - self._tokens) / self._rate
        return max(for_token, self._free[0] - now, self._closed_until - now, 0.0)

    def leave(self) -> None:
        """Take the token and the place of a request that may leave now."""
        self._tokens -= 1.0
        self._free.popleft()

    def arrive(self, now: float) -> None:
        """Give back a place: the answer is there, or will not come."""
        self._free.append(now + WINDOW)

    def close(self, until: float) -> None:
        """Let nothing leave before that time."""
        self._closed_until = max(self._closed_until, until)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now


class RateLimit:
    """A schedule on the real clock for any number of threads, first come, first served.

    Args:
        per_second: The most requests that may arrive in any one second.
        clock: Seconds, only forward.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._schedule = Schedule(per_second, clock())
        # One thread at a time watches the clock; the others queue for this lock instead of all waking up.
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._is_over = False

    @contextmanager
    def request(self) -> Iterator[None]:
        """Wait until a request may leave; the block sends it and waits for its answer.

        Raises:
            StoppedError: No request may leave any more.
        """
        with self._turn, self._changed:
            while not self._is_over and (seconds := self._schedule.wait(self._clock())) != 0:
                self._changed.wait(seconds)
            if self._is_over:
                raise StoppedError("The sync was stopped.", GO_ON_LATER)
            self._schedule.leave()
        try:
            yield
        finally:
            with self._changed:
                self._schedule.arrive(self._clock())
                self._changed.notify()

    def pause(self, seconds: float) -> None:
        """Let no thread's request leave for that long; those under way are not touched."""
        with self._changed:
            self._schedule.close(self._clock() + seconds)
            self._changed.notify()

    def stop(self) -> None:
        """Let nothing leave any more, and those that wait know at once."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
