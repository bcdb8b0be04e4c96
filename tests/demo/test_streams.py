"""The streaming daemons beside everything else: they take what comes, come back when killed, and a refresh goes with them."""

import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import requests

from cinelake.settings import PROJECT_ROOT
from cinelake.stack.state import load_env, load_state
from cinelake.stack.streams import STREAMS
from ingestion.sender import EventSender
from tests.demo.metrics import require_alerts, scrape, wait_for
from tests.integration.conftest import CommandLine
from tests.scraping import Scrape

SPARK_DASHBOARD = PROJECT_ROOT / "monitoring" / "grafana" / "dashboards" / "cinelake-spark.json"


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
    streaming.here("simulate", "--users", "5", "--days", "1", "--seed", "91")
    taken = json.loads(streaming.here("bronze", "--json").stdout)
    assert set(taken) == {"bronze, by its daemon"}
    streaming.here("silver")
    ledger = streaming.status()["ledger"]
    assert ledger["accepted"] == ledger["bronze"] > before["bronze"]
    assert ledger["silver"] > before["silver"]
    assert ledger["published"] == before["published"]


def waiting(found: Scrape, consumer: str) -> float:
    """Messages that a consumer has still to take."""
    return found.sum("cinelake_consumer_lag_messages", consumer=consumer)


def nothing_waits(found: Scrape) -> bool:
    """Whether the daemons have taken all there is."""
    return not any(waiting(found, name) for name in STREAMS)


def listening(streaming: CommandLine, service: str) -> set[tuple[str, int]]:
    """Where the processes of a daemon listen."""
    daemon = psutil.Process(streaming.status()["services"][service]["pid"])
    return {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for process in [daemon, *daemon.children(recursive=True)]
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def pages(addresses: set[tuple[str, int]]) -> set[int]:
    """The ports on which a browser finds something."""
    found = set()
    for host, port in addresses:
        # What Spark's own processes tell each other is no HTTP, and some listen to one at a time.
        with suppress(requests.RequestException):
            requests.get(f"http://{host}:{port}", timeout=5)
            found.add(port)
    return found


def test_no_daemon_serves_a_page_and_its_figures_are_the_exporters(
    streaming: CommandLine, home: Path
) -> None:
    found = wait_for(streaming, nothing_waits)
    for service in ("bronze-stream", "silver-stream"):
        addresses = listening(streaming, service)
        assert {host for host, _ in addresses} == {"127.0.0.1"}
        assert pages(addresses) == set()
        assert service not in load_state(home).ports
    asked = set(re.findall(r"\bcinelake_\w+", SPARK_DASHBOARD.read_text()))
    assert len(asked) >= 7
    assert asked <= found.names()
    for stage in STREAMS:
        assert found.sum("cinelake_stream_memory_bytes", consumer=stage) > 100_000_000


def test_a_stopped_daemon_shows_in_its_metrics_and_its_alerts_fire(
    streaming: CommandLine, home: Path, tmp_path: Path
) -> None:
    running = wait_for(streaming, nothing_waits)
    assert running.sum("cinelake_stream_running") == 2
    require_alerts(running, running, 1, "bronze", set(), tmp_path)

    os.kill(streaming.status()["services"]["bronze-stream"]["pid"], signal.SIGKILL)
    streaming.here("simulate", "--users", "2", "--days", "1", "--seed", "93")
    first = wait_for(
        streaming, lambda found: not found.sum("cinelake_stream_running", consumer="bronze")
    )
    began = time.monotonic()
    time.sleep(5)
    second = scrape(streaming)
    waits = {"consumer": "bronze", "topic": "user_logs"}
    assert first.sum("cinelake_consumer_lag_messages", **waits) > 0
    for name, labels in (
        ("cinelake_consumer_lag_seconds", waits),
        ("cinelake_table_freshness_seconds", {"table": "bronze.user_logs"}),
        ("cinelake_table_freshness_seconds", {"table": "silver.events"}),
    ):
        assert second.sum(name, **labels) > first.sum(name, **labels) > 0, name
    assert second.sum("cinelake_stream_running", consumer="silver") == 1
    fire = {"CinelakeStreamDown", "CinelakeStreamLagging"}
    require_alerts(first, second, time.monotonic() - began, "bronze", fire, tmp_path)
    require_alerts(first, second, time.monotonic() - began, "silver", set(), tmp_path)

    # Started again, it has the page that is asked for: on the next port, as another process has that one.
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        asking = streaming.environment | {"CINELAKE_SPARK_UI_PORT": str(taken)}
        CommandLine(asking).run("streams", "watch")
        wait_for(streaming, nothing_waits)
        addresses = listening(streaming, "bronze-stream")
        assert {host for host, _ in addresses} == {"127.0.0.1"}
        (page,) = pages(addresses)
        assert taken < page <= taken + 16
    assert (
        f"address=http://127.0.0.1:{page}"
        in (home / "stack" / "logs" / "bronze-stream.log").read_text()
    )


@contextmanager
def steady_traffic(lakehouse: CommandLine, home: Path) -> Iterator[None]:
    """About 100 events a second while the block runs, so that there is never nothing to take."""
    sender = EventSender(lakehouse.status()["api_url"], api_key=load_env(home)["CINELAKE_API_KEY"])
    is_over = threading.Event()

    def send() -> None:
        while not is_over.wait(0.2):
            events = [
                {
                    "event_id": str(uuid4()),
                    "event_type": "page_view",
                    "occurred_at": datetime.now(UTC).isoformat(),
                    "anonymous_id": f"steady-{number}",
                    "session_id": f"steady-{number}",
                    "properties": {"path": "/"},
                }
                for number in range(20)
            ]
            assert sender.send(events).accepted

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield
        finally:
            is_over.set()
        sending.result()


def test_a_daemon_that_was_killed_is_started_again_and_a_refresh_publishes_under_steady_traffic(
    streaming: CommandLine, home: Path
) -> None:
    pid = streaming.status()["services"]["bronze-stream"]["pid"]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while (problem := streaming.here("status", "--json", check=False)).returncode != 5:
        assert time.monotonic() < deadline, problem.stdout
    watched = json.loads(streaming.run("streams", "watch", "--json").stdout)
    assert watched == {"started_again": ["bronze"], "lag": {"bronze": 0, "silver": 0}}
    streaming.here("simulate", "--users", "5", "--days", "1", "--seed", "92")
    late = streaming.here("streams", "watch", "--max-lag", "0", check=False)
    # Either it was quick, or it is told of.
    assert late.returncode in (0, 5)
    assert late.returncode == 0 or "messages are still to be taken" in late.stderr
    before = streaming.status()["ledger"]
    with steady_traffic(streaming, home):
        # It waits for the daemons in place of the stages that they run, and starts no Spark of its own.
        shown = streaming.here("refresh").stdout
        ledger = streaming.status()["ledger"]
        streaming.here("reconcile")
    assert "start Spark" not in shown
    assert ledger["accepted"] > before["accepted"]
    assert ledger["balanced"] is True, ledger
    assert ledger["facts"] + ledger["duplicates"] + ledger["quarantined"] >= before["accepted"]
    streaming.here("bronze")
    ledger = streaming.status()["ledger"]
    assert ledger["balanced"] is True
    assert ledger["accepted"] == ledger["bronze"]


def test_a_daemon_that_was_stopped_is_left_alone(streaming: CommandLine) -> None:
    # What came while the refresh before was running; each waits for its daemon.
    streaming.here("bronze")
    streaming.here("silver")
    streaming.run("streams", "down")
    watched = json.loads(streaming.run("streams", "watch", "--json").stdout)
    assert watched == {"started_again": [], "lag": {"bronze": 0, "silver": 0}}
