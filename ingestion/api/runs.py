"""The run that a request says it is a part of: its log lines carry that run's id in place of the process's own."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog
from flask import Flask, Request

from cinelake.log import RUN_ID_HEADER, get_logger
from cinelake.settings import RUN_ID_PATTERN
from ingestion.api.layer import Layer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = get_logger("api")

_RUN_ID = "HTTP_" + RUN_ID_HEADER.upper().replace("-", "_")
"""The header as WSGI names it."""


def register(app: Flask) -> None:
    """Bind the run's id while a request is handled."""
    _InRun.put_around(app)


def note_events(request: Request, accepted: int, rejected: int) -> None:
    """Log what became of a body, if it belongs to a run; a line for each visitor's would be too many."""
    if _run_id(request.environ):
        log.info("events", accepted=accepted, rejected=rejected)


class _InRun(Layer):
    """Outside of Flask, so that a request of no run pays for one look at its headers and nothing else."""

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        run_id = _run_id(environ)
        if run_id is None:
            return self._wsgi_app(environ, start_response)
        # The thread goes on with the next request.
        with structlog.contextvars.bound_contextvars(run_id=run_id):
            return self._wsgi_app(environ, start_response)


def _run_id(environ: "WSGIEnvironment") -> str | None:
    named: str | None = environ.get(_RUN_ID)
    return named if named and re.fullmatch(RUN_ID_PATTERN, named) else None
