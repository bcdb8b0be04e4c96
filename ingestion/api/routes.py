"""The routes of the events API, version 1."""

from typing import cast

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from ingestion.api.intake import MAX_BODY_BYTES, Client, Intake, Publisher, take_in
from ingestion.api.problems import json_response, problem, unavailable
from ingestion.events import json_schema
from ingestion.topics import USER_LOGS, USER_LOGS_REJECTED

blueprint = Blueprint("events", __name__)

PUBLISHER = "cinelake_publisher"
"""The app's publisher, in `app.extensions`."""


@blueprint.post("/v1/events")
def post_events() -> Response:
    """Take one event or a batch; 202 once the broker has acknowledged what was accepted."""
    if request.mimetype != "application/json" or request.content_encoding not in (None, "identity"):
        return problem(
            415,
            "unsupported-media-type",
            "Unsupported Media Type",
            "Send the events as application/json, without a content encoding.",
        )
    body = request.get_data(cache=False)
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    return _answer(take_in(body, _client(), _publisher()))


@blueprint.get("/v1/schema")
def get_schema() -> Response:
    """The event contract as JSON Schema."""
    return json_response(json_schema())


@blueprint.get("/healthz")
def get_health() -> Response:
    """Whether this process answers."""
    return json_response({"status": "ok"})


@blueprint.get("/readyz")
def get_readiness() -> Response:
    """Whether events can be taken: the broker answers and has the topics."""
    if _publisher().is_reachable((USER_LOGS, USER_LOGS_REJECTED)):
        return json_response({"status": "ready"})
    return unavailable("Kafka does not answer, or has no topics yet.")


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


def _client() -> Client:
    return Client(ip=request.remote_addr or None, user_agent=_user_agent())


def _user_agent() -> str | None:
    header = request.headers.get("User-Agent")
    if not header:
        return None
    # WSGI hands headers over as Latin-1, whatever the client meant; most mean UTF-8. PostgreSQL holds no NUL.
    return header.encode("latin-1", "replace").decode("utf-8", "replace").replace("\0", "")


def _publisher() -> Publisher:
    return cast(Publisher, current_app.extensions[PUBLISHER])
