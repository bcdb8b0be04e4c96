"""Runs the benchmark of the events API and prints its figures as JSON.

Everything shares this machine's cores: the load, gunicorn's workers and the broker. So the figures are ratios to
peers measured in the same run:

- batches of 100, in events a second, to a bare confluent-kafka producer that serialises (orjson) and sends the same
  events, and waits for all acknowledgements at the end; besides, what two routes of bare Flask under the same gunicorn reach
  of that producer: one that parses and produces, and one that checks each event too;
- single events, in requests a second, to a Flask route under the same gunicorn that only produces to Kafka;
- the 99th percentile of single events at half of that load.

With `--minutes N` it goes on sending for that long and prints the memory of each worker at the start and the end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import psutil
from confluent_kafka import Producer

from benchmarks.api.load import Request, run_load
from cinelake.settings import Settings, load_settings
from cinelake.stack import api, local, ports
from cinelake.stack.service import settings_environment
from cinelake.stack.state import load_state
from ingestion.api import keys
from ingestion.api.routes import EVENTS_PATH
from ingestion.producer import EventProducer
from ingestion.topics import USER_LOGS
from pipeline.stack import bring_up

BATCH = 100
BATCHES = 2_000
SINGLES = 8_000
ROUNDS = 7
WARM_UP_ROUNDS = 3
"""Rounds that do not count: a JVM compiles what it does most, with up to a fifth of two cores, in its first minute."""
CONNECTIONS = 16
LIMITS = {"batch_ratio": 0.30, "single_ratio": 0.80, "single_p99_ms": 100.0}


def _event(number: int) -> dict[str, Any]:
    return {
        "event_id": str(uuid.UUID(int=number + 1)),
        "event_type": "rating",
        "schema_version": 1,
        "occurred_at": "2026-01-01T12:00:00.000Z",
        "user_id": f"user-{number % 1000}",
        "session_id": f"session-{number % 1000}",
        "movie_id": number % 5000 + 1,
        "context": {"locale": "en-GB", "app_version": "3.4.1", "screen": "412x915"},
        "properties": {"rating": number % 20 / 2 + 0.5},
    }


def bare_producer(settings: Settings) -> float:
    """Events a second of a producer that serialises and sends, nothing else.

    It is as safe as the API's, and batches as librdkafka does by itself: faster where nobody waits for an answer.
    """
    config = EventProducer(settings, queue_size=BATCH * BATCHES + 1)._config
    for of_the_api in ("linger.ms", "max.in.flight.requests.per.connection"):
        del config[of_the_api]
    producer = Producer(config)
    events = [_event(number) for number in range(BATCH * BATCHES)]
    acknowledged = 0

    def note(error: object, _message: object) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    started = time.perf_counter()
    for event in events:
        key, value = event["user_id"].encode(), orjson.dumps(event)
        producer.produce(USER_LOGS, value=value, key=key, on_delivery=note)
        producer.poll(0)
    producer.flush()
    seconds = time.perf_counter() - started
    assert acknowledged == len(events), f"{len(events) - acknowledged} events were lost"
    return len(events) / seconds


def batches_of(count: int, size: int) -> list[Request]:
    """Requests of so many events each."""
    return [
        _post({"events": [_event(n) for n in range(start, start + size)]})
        for start in range(0, count * size, size)
    ]


def singles_of(count: int) -> list[Request]:
    """Requests of one event each."""
    return [_post(_event(number)) for number in range(count)]


def _post(body: dict[str, Any]) -> Request:
    return Request(EVENTS_PATH, orjson.dumps(body), 202)


def asked_at(path: str, requests: list[Request]) -> list[Request]:
    """The same requests, for a route of a peer."""
    return [replace(request, path=path) for request in requests]


@contextmanager
def peer(settings: Settings, folder: Path) -> Iterator[str]:
    """The bare Flask routes under the API's own gunicorn; their address."""
    port = ports.choose([])
    command = [
        "benchmarks.api.peer:create_app()" if part == api.APP else part
        for part in api.command(settings, port)
    ]
    environment = (
        os.environ | settings_environment(settings) | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    )
    # In a session of its own, as the stack starts the API: Linux shares the cores out between sessions.
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        try:
            time.sleep(3)
            yield f"http://{ports.HOST}:{port}"
        finally:
            server.terminate()


def workers_memory(settings: Settings) -> list[float]:
    """MiB of each worker of the API."""
    master = psutil.Process(load_state(settings.home).processes["api"].pid)
    return [round(w.memory_full_info().uss / 2**20, 1) for w in master.children()]


def measure(settings: Settings, key: str, folder: Path) -> dict[str, float]:
    """All figures: medians of `ROUNDS`, in which a side and its peers take turns.

    A shared machine is twice as fast in one minute as in the next: the ratio is that of neighbours in time, and one
    lucky round decides nothing.
    """
    url = api.endpoint(settings)
    batches, singles = batches_of(BATCHES, BATCH), singles_of(SINGLES)
    with peer(settings, folder) as address:

        def loaded(root: str, requests: list[Request], size: int) -> Callable[[], float]:
            return lambda: run_load(root, requests, key=key, connections=CONNECTIONS).rate * size

        batch, unchecked, checked, bare = rates(
            loaded(url, batches, BATCH),
            loaded(address, asked_at("/batch", batches), BATCH),
            loaded(address, asked_at("/checked-batch", batches), BATCH),
            lambda: bare_producer(settings),
        )
        single, plain = rates(
            loaded(url, singles, 1), loaded(address, asked_at("/one", singles), 1)
        )
    calm = run_load(url, singles, key=key, connections=CONNECTIONS, rate=median(single) / 2)
    return {
        "bare_producer_events_per_second": round(median(bare)),
        "batch_events_per_second": round(median(batch)),
        "batch_ratio": round(ratio(batch, bare), 3),
        "flask_unchecked_batch_ratio": round(ratio(unchecked, bare), 3),
        "flask_checked_batch_ratio": round(ratio(checked, bare), 3),
        "flask_peer_requests_per_second": round(median(plain)),
        "single_requests_per_second": round(median(single)),
        "single_ratio": round(ratio(single, plain), 3),
        "single_p50_ms": round(calm.percentile(0.50) * 1000, 1),
        "single_p99_ms": round(calm.percentile(0.99) * 1000, 1),
    }


def rates(*sides: Callable[[], float]) -> list[list[float]]:
    """The rates of each side, measured in turns for `ROUNDS` after those of the warm-up."""
    rounds = [[side() for side in sides] for _ in range(WARM_UP_ROUNDS + ROUNDS)]
    return [list(rates_of_one) for rates_of_one in zip(*rounds[WARM_UP_ROUNDS:], strict=True)]


def ratio(side: list[float], other: list[float]) -> float:
    """The median of the rounds' own ratios."""
    return median(one / other for one, other in zip(side, other, strict=True))


def soak(settings: Settings, key: str, minutes: float) -> dict[str, Any]:
    """Memory of the workers before and after so many minutes of load; the first minute warms up."""
    url, requests = api.endpoint(settings), batches_of(200, BATCH)
    run_load(url, requests, key=key, connections=CONNECTIONS, rate=20)
    before = workers_memory(settings)
    ends = time.monotonic() + minutes * 60
    while time.monotonic() < ends:
        run_load(url, requests, key=key, connections=CONNECTIONS, rate=20)
    return {
        "soak_minutes": minutes,
        "worker_mib_before": before,
        "worker_mib_after": workers_memory(settings),
    }


def main() -> int:
    """Measure, print, and end with 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description="Benchmark of the events API.")
    parser.add_argument("--minutes", type=float, default=0.0, help="watch the workers' memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cinelake-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        places = {
            "CINELAKE_HOME": str(folder / "home"),
            "DBT_PROFILES_DIR": str(folder / "dbt"),
            "CINELAKE_API_RATE_LIMIT": "1000000",
        }
        settings = load_settings(**places)
        try:
            settings = bring_up(settings)
            key = keys.create_key(settings, "load", requests_per_second=1_000_000)
            (folder / "peer").mkdir()
            figures: dict[str, Any] = measure(settings, key, folder / "peer")
            if options.minutes:
                figures |= soak(settings, key, options.minutes)
        finally:
            local.down(settings)
    sys.stdout.write(json.dumps(figures | {"limits": LIMITS}, indent=2) + "\n")
    return int(
        figures["batch_ratio"] < LIMITS["batch_ratio"]
        or figures["single_ratio"] < LIMITS["single_ratio"]
        or figures["single_p99_ms"] > LIMITS["single_p99_ms"]
    )


if __name__ == "__main__":
    raise SystemExit(main())
