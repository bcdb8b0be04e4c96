"""Seconds to read real User-Agents: `python -m benchmarks.devices DATA`.

Reads every string of `DATA/user-agents/browsers.txt` once, none of them known from before, and prints the seconds beside
those of ua-parser's own functions called string by string, in the same run. It ends with 1 when the limit is missed or a
string has no family.
"""

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
import ua_parser

from lakehouse.silver import devices

LIMIT_SECONDS = 5.0


def read_strings(folder: Path) -> list[str]:
    """The User-Agents of a folder with the real data sets."""
    file = folder / "user-agents" / "browsers.txt"
    lines = file.read_text("utf-8-sig", errors="replace").splitlines()
    return [line.split("\t")[-1] for line in lines]


def main() -> int:
    """Measure and print."""
    if len(sys.argv) != 2:
        sys.exit("Name the folder with the real data sets: python -m benchmarks.devices DATA")
    strings = read_strings(Path(sys.argv[1]))
    ua_parser.parse(strings[0])  # compiles the rules

    started = time.perf_counter()
    for text in strings:
        ua_parser.parse(text)
    alone = time.perf_counter() - started

    devices.remembered.cache_clear()
    started = time.perf_counter()
    rows = devices.parse_all(pa.array(strings)).to_pylist()
    seconds = time.perf_counter() - started

    without = sum(not (row["browser"] and row["os"] and row["device"]) for row in rows)
    figures = {
        "user_agents": len(strings),
        "seconds": round(seconds, 2),
        "ua_parser_string_by_string_seconds": round(alone, 2),
        "without_a_family": without,
        "limit_seconds": LIMIT_SECONDS,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(seconds > LIMIT_SECONDS or without > 0)


if __name__ == "__main__":
    raise SystemExit(main())
