"""Seconds of gold by increments and built anew: `python -m benchmarks.gold`.

Starts a PostgreSQL in a home of its own, fills silver with a million generated events, has dbt build gold from them (without
tests), adds ten thousand events and has dbt build what they feed, as a refresh does. Then it swaps gold under analysts who
query without pause. It ends with 1 when the increment takes more than 0.15 of the full refresh, a query of `docs/sql-cookbook.md` more than 300 ms,
or a swap fails, mixes or holds up (200 ms) a query.
"""

import json
import sys

from benchmarks.gold import cookbook, silver, swaps
from benchmarks.home import own_home
from cinelake.settings import Settings
from cinelake.stack.postgres import POSTGRES
from pipeline import gold_sources
from pipeline.dbt import DbtResult

EVENTS = 1_000_000
NEW_EVENTS = 10_000
RATIO_LIMIT = 0.15
QUERY_LIMIT_MS = 300.0
WAIT_LIMIT_MS = 200.0
SLOWEST_NODES = 8


def main() -> int:
    """Measure and print."""
    with own_home((POSTGRES,)) as settings:
        return measure(settings)


def measure(settings: Settings) -> int:
    """Fill silver, build gold twice, ask the cookbook's questions, swap; 1 when a limit is passed."""
    silver.fill(settings, EVENTS)
    full = silver.build_gold(settings, "--full-refresh", target="next")
    gold_sources.note(settings, gold_sources.see(settings))
    silver.put_events(settings, EVENTS, EVENTS + NEW_EVENTS, version=2)
    selected = gold_sources.selection(settings, gold_sources.see(settings))
    assert selected, "the build before is noted, and events have come since"
    increment = silver.build_gold(settings, *selected, target="next")
    silver.build_gold(settings)
    timed = cookbook.measure(settings)
    swapped = swaps.measure(settings)
    slowest = max(timed, key=lambda query: query.milliseconds)
    ratio = increment.seconds / full.seconds
    figures = {
        "events": EVENTS,
        "new_events": NEW_EVENTS,
        "full_refresh_seconds": round(full.seconds, 1),
        "full_refresh_slowest": _slowest(full),
        "increment_seconds": round(increment.seconds, 1),
        "increment_slowest": _slowest(increment),
        "ratio": round(ratio, 3),
        "ratio_limit": RATIO_LIMIT,
        "queries_ms": {query.question: round(query.milliseconds, 1) for query in timed},
        "query_limit_ms": QUERY_LIMIT_MS,
        **swapped,
        "wait_limit_ms": WAIT_LIMIT_MS,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(f"\nThe slowest query, {slowest.question}\n{slowest.plan}\n")
    return int(
        ratio > RATIO_LIMIT
        or slowest.milliseconds > QUERY_LIMIT_MS
        or bool(swapped["failed_queries"] or swapped["mixed_answers"])
        or swapped["longest_wait_ms"] > WAIT_LIMIT_MS
    )


def _slowest(result: DbtResult) -> dict[str, float]:
    nodes = sorted(result.nodes, key=lambda node: -node.seconds)[:SLOWEST_NODES]
    return {node.name: round(node.seconds, 2) for node in nodes}


if __name__ == "__main__":
    raise SystemExit(main())
