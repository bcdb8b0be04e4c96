"""The routes of the events API, version 1."""

from datetime import UTC, datetime
from functools import lru_cache

from flask import Request, Response, request
from flask_openapi3 import APIBlueprint
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.http import parse_options_header

from ingestion.api import metrics, runs
from ingestion.api.access import admit
from ingestion.api.addresses import canonical_ip
from ingestion.api.document import (
    FORBIDDEN,
    Answer,
    State,
    answer_of,
    events_body,
    key_with,
    problem_of,
)
from ingestion.api.intake import Intake, keep_unreadable, take_in
from ingestion.api.problems import json_response, problem, unavailable
from ingestion.api.reading import CompressedBodyError, read_body
from ingestion.api.scopes import Scope
from ingestion.api.services import Services, services
from ingestion.events import Observed, iso_utc, json_schema
from ingestion.topics import USER_LOGS, USER_LOGS_REJECTED

blueprint = APIBlueprint("events", __name__)

EVENTS_PATH = "/v1/events"
CONTENT_TYPES = ("application/json", "text/plain")
"""`text/plain` is what `navigator.sendBeacon` sends without asking the server first."""


@blueprint.post(
    EVENTS_PATH,
    operation_id="postEvents",
    security=key_with(Scope.WRITE),
    openapi_extensions={"requestBody": events_body()},
    responses={
        202: answer_of(Answer, "At least one event was accepted; `errors` says which were not."),
        400: problem_of("The body is not JSON, or the request is not HTTP."),
        401: problem_of("No key, or one that is not good."),
        403: problem_of(FORBIDDEN),
        408: problem_of("The body took too long."),
        413: problem_of("The body is too long, or holds too many events."),
        415: problem_of("The body is neither JSON nor gzip of it."),
        422: problem_of("No event is valid."),
        429: problem_of("The key has used up its rate.", retry_after=True),
        503: problem_of("The events are not stored; send them again.", retry_after=True),
    },
)
def post_events() -> Response:
    """Take one event or a batch; 202 once the broker has acknowledged what was accepted."""
    return take_events(request, services())


def take_events(sent: Request, used: Services) -> Response:
    """Take the events of a request; this needs no context of Flask.

    Args:
        sent: The request, its body not read yet.
        used: Keys, limits, and where events go.

    Returns:
        202 once the broker has acknowledged what was accepted, or an answer that says why nothing was.

    Raises:
        CinelakeError: The request may not send, or its events could not be stored.
        HTTPException: Its body cannot be taken.
    """
    key = admit(sent, used, Scope.WRITE)
    environ = sent.environ
    if _media_type(environ.get("CONTENT_TYPE", "")) not in CONTENT_TYPES:
        raise UnsupportedMediaType("Send the events as application/json, plain or with gzip.")
    now = iso_utc(datetime.now(UTC))
    observed = Observed(
        now,
        canonical_ip(environ.get("REMOTE_ADDR", "")),
        _user_agent(environ.get("HTTP_USER_AGENT")),
        key.key_id,
    )
    try:
        intake = take_in(read_body(sent), observed, used.publisher)
    except CompressedBodyError as error:
        intake = keep_unreadable(error.body, error.message, observed, used.publisher)
    metrics.count_events(intake.accepted, intake.rejected)
    runs.note_events(sent, intake.accepted, intake.rejected)
    return _answer(intake)


@blueprint.get(
    "/v1/schema",
    operation_id="getSchema",
    responses={
        200: {
            "description": "JSON Schema of each version of the event contract.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
def get_schema() -> Response:
    """The event contract as JSON Schema."""
    return json_response(json_schema())


@blueprint.get(
    "/healthz", operation_id="getHealth", responses={200: answer_of(State, "The API answers.")}
)
def get_health() -> Response:
    """Whether this process answers."""
    return json_response({"status": "ok"})


@blueprint.get(
    "/readyz",
    operation_id="getReadiness",
    responses={
        200: answer_of(State, "Events can be taken."),
        503: problem_of("Kafka or the keys cannot be reached.", retry_after=True),
    },
)
def get_readiness() -> Response:
    """Whether events can be taken: the broker answers and has the topics, and keys can be checked."""
    used = services()
    if not used.publisher.is_reachable((USER_LOGS, USER_LOGS_REJECTED)):
        return unavailable("Kafka does not answer, or has no topics yet.")
    if not used.keys.is_loaded():
        return unavailable("PostgreSQL does not answer, so no key can be checked.")
    return json_response({"status": "ready"})


@blueprint.get(
    "/metrics",
    operation_id="getMetrics",
    responses={
        200: {
            "description": "Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def get_metrics() -> Response:
    """Metrics for Prometheus, summed over all workers."""
    return metrics.exposition()


def _answer(intake: Intake) -> Response:
    counts = {"accepted": intake.accepted, "rejected": intake.rejected, "errors": intake.errors}
    if intake.accepted:
        return json_response(counts, 202)
    if not intake.is_json:
        detail = intake.errors[0]["reason"]
        return problem(400, "not-json", "The body is not JSON", detail, **counts)
    return problem(
        422,
        "invalid-events",
        "No event is valid",
        "Correct what `errors` lists; GET /v1/schema shows the contract.",
        **counts,
    )


@lru_cache(maxsize=256)
def _media_type(content_type: str) -> str:
    """What a `Content-Type` names, without its parameters."""
    return parse_options_header(content_type)[0].lower()


def _user_agent(header: str | None) -> str | None:
    if not header:
        return None
    # WSGI hands headers over as Latin-1, whatever the client meant; most mean UTF-8. PostgreSQL holds no NUL.
    return header.encode("latin-1", "replace").decode("utf-8", "replace").replace("\0", "")
