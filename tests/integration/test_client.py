"""The backend client on the real API and Kafka: what was tracked arrives, whoever is killed meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from cinelake.settings import Settings
from cinelake.stack.local import start_api
from cinelake.stack.state import load_state
from ingestion.client import CinelakeClient, Limits
from tests.kafka_events import events_of

QUICK = Limits(batch_events=50, batch_age=0.1)


@pytest.fixture
def api_url(stack: Settings) -> Iterator[str]:
    """The API, running before the test and after it."""
    yield start_api(stack)
    start_api(stack)


def kill_api(stack: Settings) -> None:
    """Kill the API's master and workers without a warning."""
    master = psutil.Process(load_state(stack.home).processes["api"].pid)
    family = [master, *master.children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)


def test_events_tracked_while_the_api_is_killed_and_brought_back_all_arrive_and_count_once(
    stack: Settings, api_url: str, tmp_path: Path
) -> None:
    user = f"outage-{uuid4()}"
    tracked: list[str] = []

    def track(count: int) -> None:
        for number in range(count):
            rating = {"rating": number % 20 / 2 + 0.5}
            tracked.append(
                client.track("rating", user_id=user, movie_id=number + 1, properties=rating)
            )

    with CinelakeClient(
        api_url, api_key=stack.api_secret, spool_folder=tmp_path, limits=QUICK
    ) as client:
        track(300)
        # Requests are on their way: those that Kafka has and nobody answered are sent twice.
        kill_api(stack)
        track(300)
        assert not client.flush(timeout=0.5)
        assert list(tmp_path.glob("*.jsonl"))
        assert start_api(stack) == api_url
        track(300)
        assert client.flush(timeout=60)
    arrived = [event["event_id"] for event in events_of(stack, user)]
    assert set(arrived) == set(tracked)
    assert len(set(arrived)) == 900
    assert list(tmp_path.iterdir()) == []


DOOMED = """
import sys, time
from pathlib import Path
from ingestion.client import CinelakeClient, Limits
client = CinelakeClient(
    sys.argv[1], api_key=sys.argv[4], spool_folder=Path(sys.argv[2]), limits=Limits(batch_age=0.1)
)
while True:
    ids = [client.track("page_view", user_id=sys.argv[3]) for _ in range(20)]
    client.flush(timeout=0.05)
    # From here on, flush has promised that they are on disk or answered.
    print(*ids, flush=True)
"""


def test_a_client_process_killed_while_the_api_is_away_loses_nothing_it_had_spooled(
    stack: Settings, api_url: str, tmp_path: Path
) -> None:
    user = f"doomed-{uuid4()}"
    command = [sys.executable, "-c", DOOMED, api_url, str(tmp_path), user, stack.api_secret]
    kill_api(stack)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as doomed:
        assert doomed.stdout
        promised = [doomed.stdout.readline() for _ in range(10)]
        time.sleep(0.03)
        doomed.send_signal(signal.SIGKILL)
        # The last line may be cut; what is whole was promised.
        rest = doomed.stdout.read().splitlines(keepends=True)
        promised += [line for line in rest if line.endswith("\n")]
    start_api(stack)
    with CinelakeClient(api_url, api_key=stack.api_secret, spool_folder=tmp_path) as heir:
        assert heir.flush(timeout=60)
    ids = {event_id for line in promised for event_id in line.split()}
    assert len(ids) >= 200
    arrived = [event["event_id"] for event in events_of(stack, user)]
    assert ids <= set(arrived)
    assert list(tmp_path.glob("*.jsonl")) == []


def test_processes_that_share_a_spool_bring_everything_through_an_outage(
    stack: Settings, api_url: str, tmp_path: Path
) -> None:
    user = f"shared-{uuid4()}"
    kill_api(stack)
    command = [sys.executable, "-c", DOOMED, api_url, str(tmp_path), user, stack.api_secret]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    promised: list[str] = []
    for process in both:
        assert process.stdout
        promised += [process.stdout.readline() for _ in range(5)]
    start_api(stack)
    with CinelakeClient(api_url, api_key=stack.api_secret, spool_folder=tmp_path) as third:
        third.flush(timeout=5)
        for process in both:
            promised += [process.stdout.readline() for _ in range(5) if process.stdout]
            process.kill()
            process.communicate()
        # Both are dead: what they left is the third's to send.
        assert third.flush(timeout=60)
    ids = {event_id for line in promised for event_id in line.split()}
    assert ids <= {event["event_id"] for event in events_of(stack, user)}
    assert list(tmp_path.glob("*.jsonl")) == []
