"""The Flask app that takes events over HTTP."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from cinelake.settings import Settings, get_settings
from ingestion.api import metrics, pages, problems, recommend_routes, routes, runs
from ingestion.api.document import EventsApi
from ingestion.api.key_ring import KeyRing
from ingestion.api.layer import Layer
from ingestion.api.origins import KnownOrigins
from ingestion.api.rate_limit import shared_limiter
from ingestion.api.reading import MAX_BODY_BYTES
from ingestion.api.recommendations import Recommendations
from ingestion.api.services import EXTENSION, Keys, Publisher, Recommender, Services
from ingestion.api.shortcut import Shortcut
from ingestion.producer import EventProducer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PREFLIGHT_SECONDS = 86_400
_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def create_app(
    settings: Settings | None = None,
    publisher: Publisher | None = None,
    keys: Keys | None = None,
    recommendations: Recommender | None = None,
) -> Flask:
    """Make the app; nothing is connected before the first request, so that a server may fork after this.

    Args:
        settings: Default: the settings of this process.
        publisher: Where events go. Default: Kafka.
        keys: Who may send. Default: those in PostgreSQL.
        recommendations: What is recommended. Default: what gold holds.

    Raises:
        SettingError: `KAFKA_BOOTSTRAP_SERVERS` is not set.
    """
    settings = settings or get_settings()
    app = EventsApi()
    # For whatever reads a body by Flask's own means; the events are read by `read_body`, which keeps to the same.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.extensions[EXTENSION] = services = Services(
        publisher or EventProducer(settings),
        keys or KeyRing(settings),
        shared_limiter(),
        settings.api_rate_limit,
        recommendations or Recommendations(settings),
    )
    app.register_api(routes.blueprint)
    app.register_api(recommend_routes.recommend_blueprint)
    app.register_blueprint(pages.pages)
    problems.register(app)
    app.wsgi_app = Shortcut(app, services)  # type: ignore[method-assign]
    app.wsgi_app = KnownOrigins(app.wsgi_app, settings.cors_origins)  # type: ignore[method-assign]
    metrics.register(app)
    runs.register(app)
    _WithHeaders.put_around(app)
    _allow_origins(app, settings.cors_origins)
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=1, x_host=1
        )
    return app


def close_app(app: Flask) -> int:
    """Wait for what the app still publishes; returns how many records were not acknowledged."""
    used: Services = app.extensions[EXTENSION]
    used.keys.close()
    return used.publisher.close()


def _allow_origins(app: Flask, origins: list[str]) -> None:
    if origins:
        CORS(
            app,
            resources={"/v1/*": {"origins": origins}},
            methods=["GET", "POST", "OPTIONS"],
            allow_headers=["Authorization", "Content-Type", "Content-Encoding", "X-API-Key"],
            expose_headers=["Retry-After"],
            max_age=PREFLIGHT_SECONDS,
        )


class _WithHeaders(Layer):
    """Gives each answer the headers that all of them have, unless it has its own."""

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            named = {name for name, _ in headers}
            missing = [header for header in _HEADERS if header[0] not in named]
            return start_response(status, [*headers, *missing], *rest)

        return self._wsgi_app(environ, start)
