"""How much of TMDB's ceiling a full sync uses, and whether any second went above it.

    .venv/bin/python benchmarks/tmdb/throughput.py

Starts a stack of its own in a temporary folder and a sandbox with a ceiling of 40 requests a second whose answers
take 20 ms, runs a full sync, and prints one line of JSON. The counts are the sandbox's: it counts requests as they
arrive, apart from the client's limiter. Ends with 1 when a second went above the ceiling or less than 0.9 of it was
used. Slow answers lower the rate, so a busy machine does: run it on an idle one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from cinelake.settings import load_settings
from cinelake.stack import local
from ingestion.tmdb.sync import Wanted, sync

AT_LEAST = 0.9


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movies", type=int, default=1200, help="generated movies to sync")
    parser.add_argument("--ceiling", type=int, default=40, help="requests a second")
    parser.add_argument("--catalog", type=Path, help="TMDB-shaped file instead of generated movies")
    parser.add_argument("--too-many", type=float, default=0, help="share of 429")
    parser.add_argument("--server-error", type=float, default=0, help="share of 5xx")
    parser.add_argument("--truncated", type=float, default=0, help="share of answers cut off")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cinelake-benchmark-"))
    # As root, PostgreSQL runs as another account, which has to get in.
    folder.chmod(0o755)
    places = {"CINELAKE_HOME": str(folder / "home"), "DBT_PROFILES_DIR": str(folder / "dbt")}
    try:
        local.up(load_settings(**places))
        figures = measure(options, places)
    finally:
        local.down(load_settings(**places))
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures))
    return 0 if figures["share"] >= AT_LEAST and figures["over_ceiling"] == 0 else 1


def measure(options: argparse.Namespace, places: dict[str, str]) -> dict[str, float]:
    """Sync everything from a sandbox; returns the sandbox's figures."""
    served = ["--catalog", str(options.catalog)] if options.catalog else []
    sandbox = subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("cinelake")), "tmdb", "sandbox", *served),
            *("--movies", str(options.movies), "--ceiling", str(options.ceiling)),
            *("--too-many", str(options.too_many), "--server-error", str(options.server_error)),
            *("--truncated", str(options.truncated), "--slow-seconds", "0.02"),
            *("--slow", str(1 - options.too_many - options.server_error - options.truncated)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        printed = dict(sandbox.stdout.readline().strip().split("=", 1) for _ in range(2))
        settings = load_settings(
            **places, **printed, CINELAKE_TMDB_REQUESTS_PER_SECOND=str(options.ceiling)
        )
        base = printed["TMDB_BASE_URL"].removesuffix("/3")
        moments: list[tuple[float, int]] = []

        def note(done: int, total: int) -> None:
            if done in (0, total):
                stats = requests.get(f"{base}/sandbox/stats", timeout=10).json()
                moments.append((time.monotonic(), stats["requests"]))

        result = sync(settings, Wanted("full"), note)
        stats = requests.get(f"{base}/sandbox/stats", timeout=10).json()
    finally:
        sandbox.terminate()
        sandbox.wait(10)
    # From the first movie asked for to the last one stored, without the listing before it.
    (start, before), (end, after) = moments[0], moments[-1]
    rate = (after - before) / (end - start)
    return {
        "movies": result.new,
        "published": result.published,
        "requests": after - before,
        "seconds": round(end - start, 2),
        "rate": round(rate, 2),
        "ceiling": options.ceiling,
        "share": round(rate / options.ceiling, 3),
        "peak_per_second": stats["peak_per_second"],
        "over_ceiling": stats["over_ceiling"],
    }


if __name__ == "__main__":
    sys.exit(main())
