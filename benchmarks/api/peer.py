"""The peers of the API under its own gunicorn: Flask routes that do less, and wait for the acknowledgement, as an honest 202 has to."""

from types import SimpleNamespace

import orjson
from flask import Flask, Response, request
from pydantic import TypeAdapter

from cinelake.settings import get_settings
from ingestion.api.services import EXTENSION
from ingestion.events import Event
from ingestion.producer import EventProducer, Record
from ingestion.topics import USER_LOGS


def create_app() -> Flask:
    """A route for one event and two for batches; none has a key, answers a bad event, or makes events canonical."""
    app = Flask("peer")
    producer = EventProducer(get_settings())
    batch_of: TypeAdapter[object] = TypeAdapter(list[Event])
    # What gunicorn's configuration closes when a worker ends.
    app.extensions[EXTENSION] = SimpleNamespace(
        keys=SimpleNamespace(close=lambda: None), publisher=producer
    )

    def publish(records: list[Record]) -> Response:
        return Response(status=503 if any(producer.publish(records)) else 202)

    def publish_each(events: list[dict[str, str]]) -> Response:
        return publish([Record(USER_LOGS, e["user_id"].encode(), orjson.dumps(e)) for e in events])

    @app.post("/one")
    def post_event() -> Response:
        """Only produces: the body is not even read as JSON."""
        return publish([Record(USER_LOGS, b"peer", request.get_data())])

    @app.post("/batch")
    def post_batch() -> Response:
        """Produces what it parsed, unchecked."""
        return publish_each(orjson.loads(request.get_data())["events"])

    @app.post("/checked-batch")
    def post_checked_batch() -> Response:
        """Checks each event by the same models and produces what came."""
        events = orjson.loads(request.get_data())["events"]
        batch_of.validate_python(events)
        return publish_each(events)

    return app
