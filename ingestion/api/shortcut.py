"""The short way of events: past Flask's routing, contexts and hooks, which take as long as all that is done with one event."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from ingestion.api.layer import Layer
from ingestion.api.routes import EVENTS_PATH, take_events
from ingestion.api.services import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Shortcut(Layer):
    """Answers posts of events by itself; what it cannot answer, and all other requests, go through Flask.

    Args:
        app: The app, its route of events registered.
        services: What `take_events` works with.
    """

    def __init__(self, app: Flask, services: Services) -> None:
        super().__init__(app.wsgi_app)
        self._app = app
        self._services = services
        self._rule = next(rule for rule in app.url_map.iter_rules() if rule.rule == EVENTS_PATH)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        if (
            environ.get("PATH_INFO") != EVENTS_PATH
            or environ["REQUEST_METHOD"] != "POST"
            # From a page of another origin: Flask knows which of them may.
            or "HTTP_ORIGIN" in environ
        ):
            return self._wsgi_app(environ, start_response)
        sent = self._app.request_class(environ)
        sent.url_rule = self._rule
        try:
            answer = take_events(sent, self._services)
        except Exception as error:
            with self._app.request_context(environ):
                answer = self._app.make_response(self._app.handle_user_exception(error))
                return answer(environ, start_response)
        return answer(environ, start_response)
