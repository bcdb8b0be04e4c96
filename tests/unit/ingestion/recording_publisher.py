"""A publisher that keeps what it is given, in place of Kafka, and a server for an app in a thread."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Flask
from werkzeug.serving import make_server

from cinelake.errors import ServiceError
from cinelake.settings import new_api_key
from ingestion.api.key_ring import InvalidKeyError
from ingestion.api.keys import ApiKey
from ingestion.api.scopes import Scope
from ingestion.producer import Record


class RecordingPublisher:
    """Acknowledges everything, unless told to be away or to refuse one topic."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.is_away = False
        self.refused_topic: str | None = None

    def publish(self, records: Sequence[Record]) -> list[ServiceError | None]:
        if self.is_away:
            raise ServiceError("Kafka at 192.0.2.9:9092 is away: secret detail")
        self.records += records
        error = ServiceError("secret detail")
        return [error if record.topic == self.refused_topic else None for record in records]

    def is_reachable(self, topics: Sequence[str]) -> bool:
        return not self.is_away

    def close(self) -> int:
        return 0

    def values(self, topic: str) -> list[dict[str, Any]]:
        return [orjson.loads(record.value) for record in self.records if record.topic == topic]


KEY = new_api_key()
"""A key that `KnownKeys` takes."""


class KnownKeys:
    """Knows one key, in place of those in PostgreSQL."""

    def __init__(
        self,
        key: str = KEY,
        requests_per_second: float | None = None,
        scopes: Iterable[Scope] = Scope,
    ) -> None:
        self.good = key
        self.key = ApiKey(
            key_id=key.split("_")[1],
            name="test",
            scopes=[*scopes],
            salt=b"",
            digest=b"",
            requests_per_second=requests_per_second,
            created_at=datetime.now(UTC),
            expires_at=None,
            revoked_at=None,
        )

    def check(self, presented: str | None) -> ApiKey:
        if presented != self.good:
            raise InvalidKeyError("The key is not valid.")
        return self.key

    def is_loaded(self) -> bool:
        return True

    def close(self) -> None:
        return


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The address of an app that answers over real HTTP within the block."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
