"""Seconds and weight of the docs site of a million events: `python -m benchmarks.site`.

Starts the stores in a home of its own, fills silver and gold with a million generated events, and the lake with the same
events and as many messages; has the gold gate check them, and builds the site twice: as the first time, and as after
every later refresh, when dbt has read its project before. It ends with 1 when the later build takes more than 20 s, or
the site weighs more than 5 MB without Data Docs and dbt docs.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks import lake
from benchmarks.gold import silver
from benchmarks.home import own_home
from cinelake.settings import Settings
from docs_site.build import DATA_DOCS, DBT_DOCS
from ingestion.topics import ensure_topics
from pipeline import docs, gates

EVENTS = 1_000_000
SECONDS_LIMIT = 20.0
BYTES_LIMIT = 5_000_000


def main() -> int:
    """Measure and print."""
    with own_home() as settings:
        return measure(settings)


def measure(settings: Settings) -> int:
    """Fill the layers, build the site twice; 1 when a limit is passed."""
    ensure_topics(settings)
    silver.fill(settings, EVENTS)
    silver.build_gold(settings, "--full-refresh")
    silver.build_gold(settings, "--full-refresh", target="next")
    lake.fill(settings)
    gates.gate_gold(settings, "benchmark")
    first, _ = _build(settings)
    later, folder = _build(settings)
    weight = _weight(folder)
    figures = {
        "events": EVENTS,
        "first_build_seconds": round(first, 1),
        "build_seconds": round(later, 1),
        "seconds_limit": SECONDS_LIMIT,
        "bytes": weight,
        "bytes_limit": BYTES_LIMIT,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(later > SECONDS_LIMIT or weight > BYTES_LIMIT)


def _build(settings: Settings) -> tuple[float, Path]:
    started = time.monotonic()
    page = docs.build(settings)
    return time.monotonic() - started, page.parent.resolve()


def _weight(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(
        path.stat().st_size
        for path in files
        if not {DATA_DOCS, DBT_DOCS} & set(path.relative_to(folder).parts)
    )


if __name__ == "__main__":
    raise SystemExit(main())
