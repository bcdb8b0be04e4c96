"""A refresh by Airflow against the same commands by hand: `python -m benchmarks.airflow`.

Starts the stack and Airflow in a home of its own, refreshes once so that all tables are there, then sends 10,000 events and
has Airflow run `medallion_refresh`, and sends as many again and runs the same commands one after the other, dbt as
Airflow's producer task does; all that twice, of which the faster run of each side counts, so that a disturbance counts for
neither. It ends with 1 when Airflow took more than 25 s longer, from the run's start to its end, or more than 2 s to parse
a DAG file.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cinelake.settings import PROJECT_ROOT, load_settings
from cinelake.stack.dbt_profile import dbt_environment
from pipeline.stages import STAGES
from tests.airflow_client import AirflowClient

EVENTS = 10_000
ROUNDS = 2
LIMIT_SECONDS = 25.0
PARSE_LIMIT_SECONDS = 2.0
DAG = "medallion_refresh"
BIN = Path(sys.executable).parent
COMMANDS = [
    *(f"{stage.command} --json" if stage.command else "dbt" for stage in STAGES),
    "docs build",
]
"""What the tasks of the DAG call, in their order."""


class Home:
    """A home with a stack and Airflow.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self._environment = os.environ | {
            "CINELAKE_HOME": str(self.path),
            "DBT_PROFILES_DIR": str(folder / "dbt"),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "CINELAKE_RUN_ID": "by-hand",
        }

    def call(self, *arguments: str) -> str:
        """Run a command; what it printed."""
        if arguments == ("dbt",):
            return self._dbt()
        done = subprocess.run(
            [BIN / "cinelake", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        return done.stdout

    def send(self, seed: int) -> None:
        """Send 10,000 events."""
        self.call("simulate", "--events", str(EVENTS), "--seed", str(seed))

    def _dbt(self) -> str:
        settings = load_settings(CINELAKE_HOME=str(self.path))
        project = PROJECT_ROOT / "dbt_project"
        command = [
            *(BIN / "dbt", "build", "--target", "next", "--quiet"),
            *("--select", "path:models/intermediate", "path:models/marts", "resource_type:test"),
            *("--exclude", "resource_type:unit_test", "--project-dir", project),
            *("--profiles-dir", project / "env_profile"),
            *("--target-path", self.path / "dbt" / "by-hand", "--log-path", self.path / "dbt"),
        ]
        subprocess.run(
            [str(word) for word in command],
            env=self._environment | dbt_environment(settings),
            check=True,
        )
        return ""


def main() -> int:
    """Measure and print; 1 when Airflow adds more than it may."""
    with _own_home() as home:
        airflow = AirflowClient.from_output(home.call("airflow", "up"))
        home.send(0)
        home.call("refresh")
        runs, calls = [], []
        for round_ in range(1, ROUNDS + 1):
            home.send(2 * round_)
            runs.append(_by_airflow(airflow))
            home.send(2 * round_ + 1)
            calls.append(_by_hand(home))
        parsed = {
            dag["dag_id"]: round(dag["last_parse_duration"], 2)
            for dag in airflow.ask("GET", "/dags")["dags"]
        }
    by_airflow, tasks = min(runs, key=lambda run: run[0])
    by_hand = min(calls, key=lambda call: sum(call.values()))
    added = by_airflow - sum(by_hand.values())
    figures = {
        "events": EVENTS,
        "airflow_seconds": round(by_airflow, 1),
        "by_hand_seconds": round(sum(by_hand.values()), 1),
        "added_seconds": round(added, 1),
        "limit_seconds": LIMIT_SECONDS,
        "parse_seconds": parsed,
        "parse_limit_seconds": PARSE_LIMIT_SECONDS,
        "tasks": tasks,
        "by_hand": {name: round(seconds, 1) for name, seconds in by_hand.items()},
        "rounds": [
            [round(seconds, 1), round(sum(call.values()), 1)]
            for (seconds, _), call in zip(runs, calls, strict=True)
        ],
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(added > LIMIT_SECONDS or max(parsed.values()) > PARSE_LIMIT_SECONDS)


@contextmanager
def _own_home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="cinelake-bench-") as folder:
        # As root, PostgreSQL runs as another account, which has to get in.
        Path(folder).chmod(0o755)
        home = Home(Path(folder))
        try:
            yield home
        finally:
            home.call("down")


def _by_airflow(airflow: AirflowClient) -> tuple[float, dict[str, float]]:
    run_id = airflow.trigger(DAG)
    airflow.succeed(DAG, run_id, 900)
    run = airflow.ask("GET", f"/dags/{DAG}/dagRuns/{run_id}")
    started, ended = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    tasks = {
        task["task_id"]: round(task["duration"], 1)
        for task in airflow.instances(DAG, run_id)
        if not task["task_id"].endswith((".run", ".test", "_run", "_done"))
    }
    return (ended - started).total_seconds(), tasks


def _by_hand(home: Home) -> dict[str, float]:
    taken = {}
    for command in COMMANDS:
        started = time.monotonic()
        home.call(*command.split())
        taken[command] = time.monotonic() - started
    return taken


if __name__ == "__main__":
    raise SystemExit(main())
