"""The Flask app that takes events over HTTP."""

from flask import Flask, Response

from cinelake.settings import Settings, get_settings
from ingestion.api import problems, routes
from ingestion.api.intake import MAX_BODY_BYTES, Publisher
from ingestion.producer import EventProducer


def create_app(settings: Settings | None = None, publisher: Publisher | None = None) -> Flask:
    """Make the app; nothing is connected before the first request, so that a server may fork after this.

    Args:
        settings: Default: the settings of this process.
        publisher: Where events go. Default: Kafka.

    Raises:
        SettingError: `KAFKA_BOOTSTRAP_SERVERS` is not set.
    """
    app = Flask("cinelake.api", static_folder=None)
    # A chunked body has no length to refuse: it is cut here, and one byte too many gives it away.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.extensions[routes.PUBLISHER] = publisher or EventProducer(settings or get_settings())
    app.register_blueprint(routes.blueprint)
    problems.register(app)
    app.after_request(_add_headers)
    return app


def close_app(app: Flask) -> int:
    """Wait for what the app still publishes; returns how many records were not acknowledged."""
    publisher: Publisher = app.extensions[routes.PUBLISHER]
    return publisher.close()


def _add_headers(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
