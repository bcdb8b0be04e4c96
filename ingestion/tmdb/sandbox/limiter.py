"""The sandbox's own count of requests, apart from the client's: what came in any one second."""

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW = 1.0


class Limiter:
    """Counts each request as it arrives, and says which are too many.

    Args:
        ceiling: Requests in any one second that are not too many.
        clock: Seconds, only forward.
    """

    def __init__(self, ceiling: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.ceiling = ceiling
        self._clock = clock
        self._arrived: deque[float] = deque()
        self._lock = threading.Lock()
        self.total = 0
        """How many requests came."""
        self.peak = 0
        """The most requests that came within any one second."""
        self.over = 0
        """How many were too many."""
        self._first = self._last = 0.0

    def admit(self) -> bool:
        """Count a request; returns whether it is within the ceiling."""
        with self._lock:
            now = self._clock()
            self._first, self._last = (self._first if self.total else now), now
            self.total += 1
            self._arrived.append(now)
            while self._arrived[0] <= now - WINDOW:
                self._arrived.popleft()
            in_window = len(self._arrived)
            self.peak = max(self.peak, in_window)
            is_over = in_window > self.ceiling
            self.over += is_over
            return not is_over

    @property
    def seconds(self) -> float:
        """Between the first request and the last."""
        return self._last - self._first
