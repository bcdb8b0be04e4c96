"""Prometheus metrics of the events API, summed over its workers.

With several workers prometheus-client keeps the numbers in files below `PROMETHEUS_MULTIPROC_DIR`, which the local
stack sets; without that variable they are those of this process.
"""

import os
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from ingestion.api.layer import Layer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

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
    _Measured.put_around(app)


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


class _Measured(Layer):
    """Counts and times what passes."""

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        began = time.perf_counter()
        route, status = "none", "500"

        def start(line: str, *rest: Any) -> Callable[[bytes], object]:
            nonlocal route, status
            route, status = _route(environ), line[:3]
            return start_response(line, *rest)

        try:
            return self._wsgi_app(environ, start)
        finally:
            requests, seconds = _series(route, status)
            requests.inc()
            seconds.observe(time.perf_counter() - began)


def _route(environ: "WSGIEnvironment") -> str:
    # Flask takes the request out of here once it is answered. A path that is no route is the client's own word: it
    # would make a new series each time.
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return rule.rule if rule else "none"


@lru_cache(maxsize=1024)
def _series(route: str, status: str) -> tuple[Counter, Histogram]:
    """The series of a route and a status: to look their labels up costs as much as to count."""
    return REQUESTS.labels(route, status), SECONDS.labels(route)
