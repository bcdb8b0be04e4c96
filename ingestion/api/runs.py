"""The run that a request says it is a part of: its log lines carry that run's id in place of the process's own."""

import re

import structlog
from flask import Flask, g, request

from cinelake.log import RUN_ID_HEADER, get_logger
from cinelake.settings import RUN_ID_PATTERN

log = get_logger("api")

_RUN_ID = "HTTP_" + RUN_ID_HEADER.upper().replace("-", "_")
"""The header as WSGI names it."""


def register(app: Flask) -> None:
    """Bind the run's id while a request is handled."""
    app.before_request(_begin)
    app.teardown_request(_end)


def note_events(accepted: int, rejected: int) -> None:
    """Log what became of a body, if it belongs to a run; a line for each visitor's would be too many."""
    if g.get("run_tokens"):
        log.info("events", accepted=accepted, rejected=rejected)


def _begin() -> None:
    named = request.environ.get(_RUN_ID)
    if named and re.fullmatch(RUN_ID_PATTERN, named):
        g.run_tokens = structlog.contextvars.bind_contextvars(run_id=named)


def _end(_: BaseException | None) -> None:
    tokens = g.pop("run_tokens", None)
    if tokens:
        # The thread goes on with the next request.
        structlog.contextvars.reset_contextvars(**tokens)
