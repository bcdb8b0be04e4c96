"""The broker dies under load: what was answered with 202 is in Kafka, and in silver once."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from pyspark.sql import SparkSession

from cinelake.settings import Settings, load_settings
from cinelake.stack import local
from cinelake.stack.api import endpoint
from cinelake.stack.state import load_state
from ingestion.client import Event, EventSender
from ingestion.topics import USER_LOGS, topic_end_offsets
from lakehouse import changes
from pipeline.stack import bring_up
from pipeline.streams import run_bronze, run_silver

BATCH = 50
PAUSE_SECONDS = 0.25
"""Between two batches of a visitor. Hundreds of events a second are on their way when the broker dies; tens of thousands in all
would prove no more, and take silver a minute."""


@pytest.fixture
def stack(reachable_folder: Path, tmp_path: Path) -> Iterator[Settings]:
    """A stack of the test's own, since others must not lose their broker."""
    places = {
        "CINELAKE_HOME": str(reachable_folder / "chaos"),
        "DBT_PROFILES_DIR": str(reachable_folder / "chaos-dbt"),
    }
    settings = bring_up(load_settings(**places))
    yield settings.model_copy(update={"lake": str(tmp_path / "lake")})
    local.down(settings)


class Visitors(threading.Thread):
    """Sends batches until it is told to stop, and remembers which events were accepted."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.sender = EventSender(endpoint(settings), patience=120, api_key=settings.api_secret)
        self.accepted: set[str] = set()
        self.stopping = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stopping.wait(PAUSE_SECONDS):
                batch = [_event() for _ in range(BATCH)]
                assert self.sender.send(batch).accepted == BATCH
                self.accepted |= {str(event["event_id"]) for event in batch}
        except Exception as error:
            self.error = error


def _event() -> Event:
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": "page_view",
        "occurred_at": "2026-02-03T04:05:06Z",
        "anonymous_id": f"visitor-{uuid.uuid4().hex[:2]}",
    }


def _kill_broker(settings: Settings) -> None:
    process = psutil.Process(load_state(settings.home).processes["kafka"].pid)
    os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=10)


def test_what_was_accepted_while_the_broker_died_is_in_silver_once(
    stack: Settings, spark: SparkSession
) -> None:
    visitors = [Visitors(stack) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for _ in range(2):
        time.sleep(4)
        _kill_broker(stack)
        time.sleep(2)
        bring_up(stack)
    time.sleep(4)
    for visitor in visitors:
        visitor.stopping.set()
    for visitor in visitors:
        visitor.join(timeout=150)
    assert [visitor.error for visitor in visitors if visitor.error] == []
    accepted = set.union(*(visitor.accepted for visitor in visitors))
    assert len(accepted) > 1_000

    messages = sum(topic_end_offsets(stack, USER_LOGS).values())
    run_bronze(lambda: spark, stack)
    run_silver(lambda: spark, stack)
    assert changes.count_rows(stack, "bronze.user_logs") == messages >= len(accepted)
    ids = changes.query(stack, "silver.events", "select event_id from t")["event_id"].to_pylist()
    assert len(ids) == len(set(ids))
    assert set(ids) == accepted
    assert changes.count_rows(stack, "silver.duplicates") == messages - len(accepted)


def test_while_the_broker_is_away_the_answer_is_503_within_bounded_time(stack: Settings) -> None:
    _kill_broker(stack)
    started = time.monotonic()
    answer = requests.post(
        f"{endpoint(stack)}/v1/events",
        json=[_event()],
        headers={"X-API-Key": stack.api_secret},
        timeout=60,
    )
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - started < 20
    assert requests.get(f"{endpoint(stack)}/readyz", timeout=20).status_code == 503
    assert requests.get(f"{endpoint(stack)}/healthz", timeout=20).status_code == 200
    bring_up(stack)
    assert EventSender(endpoint(stack), api_key=stack.api_secret).send([_event()]).accepted == 1
