"""An API over real HTTP that answers what a test tells it to, and remembers what it was sent."""

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from flask import Flask, Response, request
from recording_publisher import serving


class Request(NamedTuple):
    at: float
    ids: list[str]
    events: list[dict[str, Any]]
    headers: dict[str, str]


class ScriptedApi:
    """Gives the `answers` of the script, each once; then it accepts everything."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[Response] = deque()
        self.scripted: list[Request] = []
        """The requests that got an answer of the script."""
        self.accepted: list[Request] = []
        """Those after it."""

    def accepted_ids(self) -> list[str]:
        return [event_id for each in self.accepted for event_id in each.ids]

    def post_events(self) -> Response:
        events = request.get_json()["events"]
        ids = [event["event_id"] for event in events]
        seen = Request(time.monotonic(), ids, events, dict(request.headers))
        if self.answers:
            self.scripted.append(seen)
            return self.answers.popleft()
        self.accepted.append(seen)
        return answer(202, {"accepted": len(events), "rejected": 0, "errors": []})


def answer(
    status: int, body: dict[str, Any] | None = None, retry_after: str | None = None
) -> Response:
    headers = {"Retry-After": retry_after} if retry_after else None
    return Response(json.dumps(body or {}), status, headers, mimetype="application/json")


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    api = ScriptedApi()
    app = Flask("scripted")
    app.add_url_rule("/v1/events", view_func=api.post_events, methods=["POST"])
    with serving(app) as url:
        api.url = url
        yield api
