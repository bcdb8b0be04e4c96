"""The highest memory while something runs."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psutil


class MemoryPeak(threading.Thread):
    """Samples memory, and keeps the highest figure, for as long as its context lasts.

    Args:
        now: Bytes that are held now; by default those of this process.
        seconds: How often it is asked.
    """

    def __init__(self, now: Callable[[], int] | None = None, seconds: float = 0.5) -> None:
        super().__init__(daemon=True)
        self._now = now or (lambda: resident(psutil.Process().pid))
        self._seconds = seconds
        self._over = threading.Event()
        self.peak_bytes = self._now()

    def run(self) -> None:
        """Sample until the context ends."""
        while not self._over.wait(self._seconds):
            self.peak_bytes = max(self.peak_bytes, self._now())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        self.join()


def resident(pid: int) -> int:
    """Bytes that one process holds, without its children; 0 when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
