"""Prometheus metrics of the events API, summed over its workers.

With several workers prometheus-client keeps the numbers in files below `PROMETHEUS_MULTIPROC_DIR`, which the local
stack sets; without that variable they are those of this process.
"""

import os
import time
from functools import lru_cache

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

EVENTS = Counter("cinelake_api_events", "Events by what became of them.", ["outcome"])
REQUESTS = Counter("cinelake_api_requests", "Requests by route and status.", ["route", "status"])
SECONDS = Histogram(
    "cinelake_api_request_seconds",
    "From reading the request to its answer, the wait for the broker included.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
_ACCEPTED = EVENTS.labels("accepted")
_REJECTED = EVENTS.labels("rejected")


def register(app: Flask) -> None:
    """Count and time every request of the app."""
    app.before_request(_begin)
    app.after_request(_end)


def count_events(accepted: int, rejected: int) -> None:
    """Count the events of a body by what became of them."""
    # A step of nothing would cost as much as any other.
    if accepted:
        _ACCEPTED.inc(accepted)
    if rejected:
        _REJECTED.inc(rejected)


def exposition() -> Response:
    """All metrics in Prometheus' text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    # A path that is no route is the client's own word: it would make a new series each time.
    rule = request.url_rule
    requests, seconds = _series(rule.rule if rule else "none", response.status_code)
    requests.inc()
    seconds.observe(time.perf_counter() - g.began)
    return response


@lru_cache(maxsize=1024)
def _series(route: str, status: int) -> tuple[Counter, Histogram]:
    """The series of a route and a status: to look their labels up costs as much as to count."""
    return REQUESTS.labels(route, status), SECONDS.labels(route)
