"""Time and memory of a whole refresh: `python -m benchmarks.refresh [DATA | --users N]`.

Runs the demonstration in a home of its own, on the data sets of a folder or on generated data, or a first refresh of what so
many simulated visitors do in two weeks (240 events each), and prints the seconds of every stage and the highest memory that all processes together held (the services, the API, Spark, Python). Memory is the
proportional set size, which counts a page that several processes share once; it is sampled twice a second. Of the
Python process alone, without Spark's JVM, it is the resident set size.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import psutil

from benchmarks.memory import MemoryPeak, resident
from cinelake.settings import load_settings
from cinelake.stack.state import load_state
from pipeline import runs

CINELAKE = str(Path(sys.executable).with_name("cinelake"))
REFRESH_LIMIT_SECONDS = 300
MEMORY_LIMIT_GIB = 8
PYTHON_LIMIT_GIB = 1


def _held_by_all(home: Path, command: int) -> int:
    """Bytes of the services of a home, and of a process with its children."""
    roots = [ref.pid for ref in load_state(home).processes.values()]
    family: dict[int, psutil.Process] = {}
    for pid in [*roots, command]:
        try:
            process = psutil.Process(pid)
            family |= {each.pid: each for each in [process, *process.children(recursive=True)]}
        except psutil.NoSuchProcess:
            continue
    return sum(_pss(process) for process in family.values())


def _pss(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(full, "pss", full.rss))


def _commands() -> list[list[str]]:
    """What is to be run, of which the last command is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="?", type=Path, help="folder of the data sets")
    parser.add_argument("--users", type=int, help="simulated visitors, in place of data sets")
    given = parser.parse_args()
    if given.users:
        visits = ["simulate", "--users", str(given.users), "--days", "14"]
        return [["up"], visits, ["refresh"]]
    return [["demo", *(["--data", str(given.data.resolve())] if given.data else [])]]


def main() -> int:
    """Run, print, and end with 1 when a limit of the README is passed."""
    *before, measured = _commands()
    with tempfile.TemporaryDirectory(prefix="cinelake-bench-") as folder:
        # As root, PostgreSQL runs as another account, which has to get in.
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        environment = os.environ | {
            "CINELAKE_HOME": str(home),
            "DBT_PROFILES_DIR": f"{folder}/dbt",
        }
        try:
            for command in before:
                subprocess.run([CINELAKE, *command], env=environment, check=True)
            with (
                subprocess.Popen([CINELAKE, *measured], env=environment) as process,
                MemoryPeak(partial(_held_by_all, home, process.pid)) as memory,
                MemoryPeak(partial(resident, process.pid)) as own,
            ):
                code = process.wait()
            if code != 0:
                return code
            run = runs.latest(load_settings(CINELAKE_HOME=str(home)))
        finally:
            subprocess.run([CINELAKE, "down"], env=environment, check=False)
    assert run is not None, "a command that ended well has recorded its run"
    seconds = sum(spent for _, spent in run.stages)
    gibibytes, python = (each.peak_bytes / 2**30 for each in (memory, own))
    figures = {
        "stages_seconds": {name: round(spent, 1) for name, spent in run.stages},
        "refresh_seconds": round(seconds, 1),
        "refresh_limit_seconds": REFRESH_LIMIT_SECONDS,
        "peak_memory_gib": round(gibibytes, 2),
        "memory_limit_gib": MEMORY_LIMIT_GIB,
        "peak_memory_of_python_gib": round(python, 2),
        "memory_of_python_limit_gib": PYTHON_LIMIT_GIB,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(
        seconds > REFRESH_LIMIT_SECONDS or gibibytes > MEMORY_LIMIT_GIB or python > PYTHON_LIMIT_GIB
    )


if __name__ == "__main__":
    raise SystemExit(main())
