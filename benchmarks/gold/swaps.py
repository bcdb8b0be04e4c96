"""Swaps of gold while analysts query it without pause: failures, answers from two versions, and the longest wait."""

import threading
import time
from dataclasses import dataclass, field

import psycopg

from cinelake.settings import Settings
from cinelake.stack.postgres import analyst_uri
from pipeline.swap import swap_gold

READERS = 8
SWAPS = 20
PAUSE_SECONDS = 0.5
"""Between two swaps."""

QUESTION = """
select ratings.tableoid::bigint, dim_movie.tableoid::bigint
from ratings inner join dim_movie using (movie_key)
limit 1
"""
"""Tells which table of each name was read: a swap moves tables, so an answer from two versions pairs those of two."""


@dataclass(eq=False)
class Analyst(threading.Thread):
    """Asks the same question again and again, on one connection.

    Args:
        uri: The analyst's connection.
        stop: Set when it is enough.
    """

    uri: str
    stop: threading.Event
    pairs: set[tuple[int, int]] = field(default_factory=set)
    answers: int = 0
    failures: int = 0
    longest_seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        """Ask until it is enough."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            while not self.stop.is_set():
                asked = time.perf_counter()
                try:
                    row = connection.execute(QUESTION).fetchone()
                except psycopg.Error:
                    self.failures += 1
                    continue
                self.longest_seconds = max(self.longest_seconds, time.perf_counter() - asked)
                self.answers += 1
                if row is not None:
                    self.pairs.add((row[0], row[1]))


def measure(settings: Settings) -> dict[str, float]:
    """Swap `gold` and `gold_next`, which both hold rows, under `READERS` analysts.

    Args:
        settings: Tells where PostgreSQL is.

    Returns:
        Queries answered, queries that failed, answers from two versions, and the longest wait for one in milliseconds.
    """
    stop = threading.Event()
    analysts = [Analyst(analyst_uri(settings), stop) for _ in range(READERS)]
    for analyst in analysts:
        analyst.start()
    try:
        for number in range(SWAPS):
            swap_gold(settings.postgres, f"swap {number}")
            time.sleep(PAUSE_SECONDS)
    finally:
        stop.set()
        for analyst in analysts:
            analyst.join(timeout=60)
    pairs = set().union(*(analyst.pairs for analyst in analysts))
    # Two versions give two pairs; each table that is seen in two pairs was read beside one of another version.
    seen = [table for pair in pairs for table in pair]
    return {
        "swaps": SWAPS,
        "queries": sum(analyst.answers for analyst in analysts),
        "failed_queries": sum(analyst.failures for analyst in analysts),
        "mixed_answers": len(seen) - len(set(seen)),
        "longest_wait_ms": round(max(a.longest_seconds for a in analysts) * 1000, 1),
    }
