"""The peer of single events: a Flask route that only produces to Kafka, with no key and no validation."""

from types import SimpleNamespace

from flask import Flask, Response, request

from cinelake.settings import get_settings
from ingestion.api.services import EXTENSION
from ingestion.producer import EventProducer, Record
from ingestion.topics import USER_LOGS


def create_app() -> Flask:
    """One route; it waits for the acknowledgement, as an honest 202 has to."""
    app = Flask("peer")
    producer = EventProducer(get_settings())
    # What gunicorn's configuration closes when a worker ends.
    app.extensions[EXTENSION] = SimpleNamespace(
        keys=SimpleNamespace(close=lambda: None), publisher=producer
    )

    @app.post("/v1/events")
    def post_event() -> Response:
        failure = producer.publish([Record(USER_LOGS, b"peer", request.get_data())])[0]
        return Response(status=503 if failure else 202)

    return app
