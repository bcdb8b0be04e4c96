"""Prometheus metrics of the events API, summed over its workers.

With several workers prometheus-client keeps the numbers in files below `PROMETHEUS_MULTIPROC_DIR`, which the local
stack sets; without that variable they are those of this process.
"""

import os
import time

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
ACCEPTED = EVENTS.labels("accepted")
REJECTED = EVENTS.labels("rejected")


def register(app: Flask) -> None:
    """Count and time every request of the app."""
    app.before_request(_begin)
    app.after_request(_end)


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
    route = request.url_rule.rule if request.url_rule else "none"
    REQUESTS.labels(route, response.status_code).inc()
    SECONDS.labels(route).observe(time.perf_counter() - g.began)
    return response
