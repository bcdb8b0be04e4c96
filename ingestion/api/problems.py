"""Errors as RFC 9457 problem details: what went wrong and what to do, never how it looks inside."""

import math
from typing import Any

import orjson
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from cinelake.errors import ServiceError
from cinelake.log import get_logger
from ingestion.api.access import MissingScopeError, TooManyRequestsError
from ingestion.api.document import MAX_BATCH
from ingestion.api.intake import BatchTooLargeError
from ingestion.api.key_ring import InvalidKeyError
from ingestion.api.reading import MAX_BODY_BYTES
from ingestion.api.slow_reads import READ_SECONDS

RETRY_AFTER_SECONDS = 5

_DETAILS = {
    408: f"A body has to be there within {READ_SECONDS:g} s; send smaller batches.",
    413: f"A body has at most {MAX_BODY_BYTES} bytes and a batch at most {MAX_BATCH} events; send smaller batches.",
    500: "Something is wrong on the server. Send the same request again later; event ids make that harmless.",
}


def json_response(body: Any, status: int = 200, content_type: str = "application/json") -> Response:
    """A response with a JSON body."""
    return Response(orjson.dumps(body), status=status, content_type=content_type)


def problem(status: int, kind: str, title: str, detail: str, **members: Any) -> Response:
    """A problem-details response.

    Args:
        status: The HTTP status.
        kind: What kind of problem it is, in kebab case; the last part of its `type`.
        title: The kind in words; the same for each occurrence.
        detail: What to do about this occurrence.
        members: Further members, for example `errors`.
    """
    body = {
        "type": f"urn:cinelake:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        **members,
    }
    return json_response(body, status, "application/problem+json")


def unavailable(detail: str) -> Response:
    """503: the client should send the same request again."""
    response = problem(503, "unavailable", "Temporarily unavailable", detail)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def register(app: Flask) -> None:
    """Make every error of the app a problem-details answer."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ServiceError, _service_error)
    app.register_error_handler(InvalidKeyError, _invalid_key)
    app.register_error_handler(MissingScopeError, _missing_scope)
    app.register_error_handler(TooManyRequestsError, _too_many_requests)
    app.register_error_handler(BatchTooLargeError, _batch_too_large)
    app.register_error_handler(Exception, _unexpected)


def _http_error(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    kind = error.name.lower().replace(" ", "-")
    detail = _DETAILS.get(status, error.description or "")
    response = problem(status, kind, error.name, detail)
    if error.code == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response


def _service_error(error: ServiceError) -> Response:
    get_logger("api").warning("events_not_acknowledged", reason=error.message)
    return unavailable("The events are not stored. Send the same request again.")


def _invalid_key(error: InvalidKeyError) -> Response:
    detail = "Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`; `cinelake keys create` makes one."
    response = problem(401, "unauthorized", "Unauthorized", f"{error.message} {detail}")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _missing_scope(error: MissingScopeError) -> Response:
    detail = "`cinelake keys scope` says what a key may do."
    response = problem(403, "insufficient-scope", "Forbidden", f"{error.message} {detail}")
    response.headers["WWW-Authenticate"] = (
        f'Bearer error="insufficient_scope", scope="{error.scope}"'
    )
    return response


def _too_many_requests(error: TooManyRequestsError) -> Response:
    response = problem(
        429,
        "too-many-requests",
        "Too Many Requests",
        f"{error.message} Send fewer, larger batches.",
    )
    response.headers["Retry-After"] = str(math.ceil(error.wait_seconds))
    return response


def _batch_too_large(error: BatchTooLargeError) -> Response:
    return problem(413, "request-entity-too-large", "Request Entity Too Large", error.message)


def _unexpected(error: Exception) -> Response:
    get_logger("api").error("unexpected_error", exc_info=error)
    return problem(500, "internal-server-error", "Internal Server Error", _DETAILS[500])
