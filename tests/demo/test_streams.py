"""The streaming daemons beside everything else: they take what comes, come back when killed, and a refresh goes with them."""

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.integration.conftest import CommandLine


@pytest.fixture(scope="module")
def streaming(lakehouse: CommandLine) -> Iterator[CommandLine]:
    """The home, with its daemons."""
    lakehouse.run("streams", "up")
    yield lakehouse
    lakehouse.run("streams", "down")
    assert not {name for name in lakehouse.status()["services"] if name.endswith("-stream")}


def test_daemons_bring_events_to_silver_and_leave_gold_alone(
    streaming: CommandLine,
) -> None:
    before = streaming.status()["ledger"]
    streaming.run("simulate", "--users", "5", "--days", "1", "--seed", "91")
    taken = json.loads(streaming.run("bronze", "--json").stdout)
    assert set(taken) == {"bronze, by its daemon"}
    streaming.run("silver")
    ledger = streaming.status()["ledger"]
    assert ledger["accepted"] == ledger["bronze"] > before["bronze"]
    assert ledger["silver"] > before["silver"]
    assert ledger["published"] == before["published"]


def test_a_daemon_that_was_killed_is_started_again_and_counts_nothing_twice(
    streaming: CommandLine,
) -> None:
    pid = streaming.status()["services"]["bronze-stream"]["pid"]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while (problem := streaming.run("status", "--json", check=False)).returncode != 5:
        assert time.monotonic() < deadline, problem.stdout
    watched = json.loads(streaming.run("streams", "watch", "--json").stdout)
    assert watched == {"started_again": ["bronze"], "lag": {"bronze": 0, "silver": 0}}
    streaming.run("simulate", "--users", "5", "--days", "1", "--seed", "92")
    late = streaming.run("streams", "watch", "--max-lag", "0", check=False)
    # Either it was quick, or it is told of.
    assert late.returncode in (0, 5)
    assert late.returncode == 0 or "messages are still to be taken" in late.stderr
    # It waits for the daemons in place of the stages that they run.
    streaming.run("refresh")
    ledger = streaming.status()["ledger"]
    assert ledger["balanced"] is True
    assert ledger["accepted"] == ledger["bronze"]
    streaming.run("reconcile")


def test_a_daemon_that_was_stopped_is_left_alone(streaming: CommandLine) -> None:
    streaming.run("streams", "down")
    watched = json.loads(streaming.run("streams", "watch", "--json").stdout)
    assert watched == {"started_again": [], "lag": {"bronze": 0, "silver": 0}}
