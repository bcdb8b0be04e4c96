"""The first look at a request: the host that it asks, and the origin of the page that sends it."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from flask import Response
from werkzeug.wsgi import get_host

from ingestion.api.layer import Layer
from ingestion.api.problems import problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ANY = "*"


class KnownOrigins(Layer):
    """Refuses requests of pages whose origin may not use the API.

    A browser sends some requests of any page (`text/plain`, beacons) without asking first, and only keeps the answer from
    it: CORS alone would come when their events are stored.

    Args:
        wsgi_app: What it is around.
        origins: Web origins in lower case, beside the API's own; `*` for any.
    """

    def __init__(self, wsgi_app: "WSGIApplication", origins: Collection[str]) -> None:
        super().__init__(wsgi_app)
        self._origins = frozenset(origins)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        if not environ.get("HTTP_HOST") and environ["SERVER_PROTOCOL"] != "HTTP/1.0":
            # RFC 9112, section 3.2.
            refusal = problem(400, "bad-request", "Bad Request", "The header `Host` is missing.")
        elif "HTTP_ORIGIN" in environ and not self._may(environ["HTTP_ORIGIN"].lower(), environ):
            refusal = _refusal(environ)
        else:
            return self._wsgi_app(environ, start_response)
        return refusal(environ, start_response)

    def _may(self, origin: str, environ: "WSGIEnvironment") -> bool:
        if origin in self._origins or ANY in self._origins:
            return True
        return origin == f"{environ['wsgi.url_scheme']}://{get_host(environ)}".lower()


def _refusal(environ: "WSGIEnvironment") -> Response:
    refusal = problem(
        403,
        "origin-not-allowed",
        "The page's origin is not allowed",
        "CINELAKE_CORS_ORIGINS names the origins whose pages may use the API.",
    )
    if environ["REQUEST_METHOD"] != "OPTIONS":
        # Else the page could not tell a refusal from a lost request, and would send it again.
        refusal.headers["Access-Control-Allow-Origin"] = ANY
    return refusal
