"""What is put around the Flask app, for each request: a hook of Flask's own would look the request up anew each time."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Layer:
    """A WSGI application (PEP 3333) around another one; by itself it hands requests on.

    Args:
        wsgi_app: What it is around.
    """

    def __init__(self, wsgi_app: "WSGIApplication") -> None:
        self._wsgi_app = wsgi_app

    @classmethod
    def put_around(cls, app: Flask) -> None:
        """Put one around an app, outside of those that are there."""
        app.wsgi_app = cls(app.wsgi_app)  # type: ignore[method-assign]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        return self._wsgi_app(environ, start_response)
