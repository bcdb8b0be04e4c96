"""Kills under a real Airflow: of a task, of the scheduler, of the broker. The run ends right, and gold was never wrong.

And what people are told of a run that is late.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.airflow_client import OVER_SECONDS, AirflowClient
from tests.integration.conftest import CommandLine, command_line, own_home
from tests.integration.inbox import Inbox, open_inbox
from tests.waiting import eventually

MEDALLION = "medallion_refresh"
RUN_SECONDS = 1800
SOON_SECONDS = 300
DEADLINE_MINUTES = 1


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """Where people are told of what fails, or is late, under Airflow."""
    with open_inbox() as found:
        yield found


@pytest.fixture(scope="module")
def lakehouse(full_scale: None, reachable_folder: Path, inbox: Inbox) -> Iterator[CommandLine]:
    """The command line of a home with Airflow, which starts nothing by the clock, and whose runs are all late."""
    home = reachable_folder / "airflow"
    with own_home(home):
        patient = CommandLine(
            command_line(home).environment
            | {
                "CINELAKE_ALERT_WEBHOOK": inbox.webhook,
                "CINELAKE_REFRESH_DEADLINE_MINUTES": str(DEADLINE_MINUTES),
                "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
                # Seen sooner than by a person, who would not mind to wait.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            }
        )
        patient.run("airflow", "up")
        patient.run("simulate", "--users", "30", "--days", "3")
        patient.run("refresh")
        yield patient


@pytest.fixture(scope="module")
def airflow(lakehouse: CommandLine) -> AirflowClient:
    """Airflow's API."""
    return AirflowClient.from_output(lakehouse.run("airflow", "up").stdout)


def processes(lakehouse: CommandLine, *words: str) -> list[psutil.Process]:
    """Processes of the home whose command line holds all these words."""
    home = lakehouse.environment["CINELAKE_HOME"]
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if all(word in line for word in words) and process.environ().get("CINELAKE_HOME") == home:
            found.append(process)
    return found


def facts(lakehouse: CommandLine) -> int:
    """How many facts analysts see."""
    return int(lakehouse.sql("select count(*) from fact_user_event")[0][0])


def test_a_run_that_is_late_is_told_while_it_runs_and_is_over_when_it_has_ended(
    lakehouse: CommandLine, airflow: AirflowClient, inbox: Inbox
) -> None:
    late = f"{MEDALLION} is late"
    lakehouse.run("simulate", "--users", "10", "--days", "1", "--seed", "4")
    run_id = airflow.trigger(MEDALLION)
    eventually(lambda: inbox.posts_about(late), SOON_SECONDS)
    assert "running" in airflow.tasks(MEDALLION, run_id).values()
    airflow.succeed(MEDALLION, run_id, RUN_SECONDS)
    eventually(lambda: len(inbox.posts_about(late)) > 1, OVER_SECONDS)
    told, over = inbox.posts_about(late)
    assert told.startswith(f"*Cinelake: problem: Airflow DAG {late}")
    assert f"has not ended within {DEADLINE_MINUTES} min" in told
    assert over.startswith(f"*Cinelake: over: Airflow DAG {late}")


def test_a_task_that_is_killed_is_tried_again_and_counts_nothing_twice(
    lakehouse: CommandLine, airflow: AirflowClient
) -> None:
    before = facts(lakehouse)
    lakehouse.run("simulate", "--users", "10", "--days", "1", "--seed", "5")
    run_id = airflow.trigger(MEDALLION)
    eventually(lambda: airflow.tasks(MEDALLION, run_id)["silver_events"] == "running", SOON_SECONDS)
    silver = ("cinelake", "silver", "bronze.user_logs")
    eventually(lambda: bool(processes(lakehouse, *silver)), SOON_SECONDS)
    time.sleep(5)
    for process in processes(lakehouse, *silver):
        os.killpg(os.getpgid(process.pid), signal.SIGKILL)
    assert facts(lakehouse) == before
    airflow.succeed(MEDALLION, run_id, RUN_SECONDS)
    tries = {task["task_id"]: task["try_number"] for task in airflow.instances(MEDALLION, run_id)}
    assert tries["silver_events"] > 1
    ledger = lakehouse.status()["ledger"]
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})
    assert facts(lakehouse) > before


def test_a_scheduler_that_is_killed_comes_back_and_the_run_goes_on(
    lakehouse: CommandLine, airflow: AirflowClient
) -> None:
    before = facts(lakehouse)
    lakehouse.run("simulate", "--users", "10", "--days", "1", "--seed", "6")
    run_id = airflow.trigger(MEDALLION)
    eventually(lambda: airflow.tasks(MEDALLION, run_id)["silver_movies"] == "running", SOON_SECONDS)
    for process in processes(lakehouse, "airflow", "scheduler"):
        process.kill()
    eventually(lambda: lakehouse.run("status", "--json", check=False).returncode == 5, SOON_SECONDS)
    assert facts(lakehouse) == before
    lakehouse.run("airflow", "up")
    airflow = AirflowClient(airflow.url, airflow.user, airflow.password)
    airflow.succeed(MEDALLION, run_id, RUN_SECONDS)
    ledger = lakehouse.status()["ledger"]
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})
    assert facts(lakehouse) > before


def test_a_broker_that_is_down_for_a_minute_costs_retries_and_nothing_else(
    lakehouse: CommandLine, airflow: AirflowClient
) -> None:
    lakehouse.run("simulate", "--users", "10", "--days", "1", "--seed", "7")
    before = facts(lakehouse)
    os.kill(lakehouse.status()["services"]["kafka"]["pid"], signal.SIGKILL)
    killed = time.monotonic()
    run_id = airflow.trigger(MEDALLION)
    eventually(lambda: airflow.tasks(MEDALLION, run_id)["bronze"] == "up_for_retry", SOON_SECONDS)
    assert facts(lakehouse) == before
    time.sleep(max(60 - (time.monotonic() - killed), 0))
    lakehouse.run("up")
    airflow.succeed(MEDALLION, run_id, RUN_SECONDS)
    ledger = lakehouse.status()["ledger"]
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})
    assert facts(lakehouse) > before
