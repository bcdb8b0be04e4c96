"""Writing several tables at once: a small MERGE mostly waits, for its plan, its tasks and its log."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

TABLES_AT_ONCE = 4

Write = Callable[[], None]


def run(writes: Sequence[Write]) -> None:
    """Run writes to different tables side by side; the first failure is raised once all have ended."""
    with ThreadPoolExecutor(TABLES_AT_ONCE) as pool:
        for done in [pool.submit(write) for write in writes]:
            done.result()
