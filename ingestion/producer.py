"""The Kafka producer: a record counts as published when the broker has acknowledged it, and not before."""

import collections
import itertools
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from prometheus_client import Counter, Histogram

from cinelake.errors import ServiceError
from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion.topics import MAX_MESSAGE_BYTES

DELIVERY_SECONDS = 10
"""How long the broker has to acknowledge a record before the producer gives it up."""
_HINT = "Check that Kafka runs (`cinelake status`) and send the same records again."
_POLL_SECONDS = 0.1
_FEW = 500
"""Records of a call that are handed to librdkafka together."""
_QUIET_SECONDS = 30

RECORDS = Counter(
    "cinelake_producer_records",
    "Records by topic and what became of them: acknowledged, refused, or not acknowledged in time.",
    ["topic", "outcome"],
)
SECONDS = Histogram(
    "cinelake_producer_publish_seconds",
    "From handing records over to the broker's word on the last of them.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)

_BROKER_AWAY = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._FATAL,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._PURGE_INFLIGHT,
    KafkaError._PURGE_QUEUE,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
}


_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
_NEVER_TAKEN = {*_TOO_LARGE, KafkaError.INVALID_RECORD}


class RecordRefusedError(ServiceError):
    """Kafka takes other records, but this one it will never take, for example because it is too large."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One message to publish.

    Args:
        topic: The topic's name.
        key: Decides the partition; None spreads the records.
        value: The message.
        headers: Names and values that travel with it.
    """

    topic: str
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class _Delivery:
    """The records of one `publish` call that are still on their way."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.errors: list[KafkaError | None] = [None] * len(records)
        self._records = records
        # Two threads report. A step of this iterator is atomic, and cheaper than a lock around a sum.
        self._reports = itertools.count(1)
        self._done = threading.Event()

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Note what librdkafka says of a record."""
        if error is not None:
            # A callback of its own for each record would know which it is, and be made a thousand times for nothing.
            self.errors[self._index(message)] = error
        self._count()

    def refuse(self, index: int, error: KafkaError) -> None:
        """Note that a record was not taken by librdkafka."""
        self.errors[index] = error
        self._count()

    def wait(self, seconds: float) -> bool:
        """Whether all records were reported of in time."""
        return self._done.wait(max(seconds, 0))

    def _index(self, message: Message) -> int:
        """Where a record stands; of those that are the same in all, one that nothing is said of yet."""
        said = (message.topic(), message.key() or b"", message.value() or b"")
        return next(
            index
            for index, record in enumerate(self._records)
            if (record.topic, record.key or b"", record.value) == said and not self.errors[index]
        )

    def _count(self) -> None:
        if next(self._reports) == len(self.errors):
            self._done.set()


class EventProducer:
    """An idempotent Kafka producer that many threads may share.

    The connection is made at the first use, and anew after a fork or a fatal error, because neither
    librdkafka's threads nor its sequence numbers survive those.

    Args:
        settings: `kafka_bootstrap_servers` is used.
        queue_size: How many unacknowledged records are held at most.
        delivery_seconds: How long the broker has to acknowledge a record.
    """

    def __init__(
        self,
        settings: Settings,
        queue_size: int = 100_000,
        delivery_seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self._config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": settings.kafka,
            "client.id": "cinelake",
            "acks": "all",
            "enable.idempotence": True,
            # What arrives while a request is under way goes with the next one: a lone event leaves at once, and
            # the batches grow with the load. To linger would only make every answer later, and cost a timer each.
            "linger.ms": 0,
            "max.in.flight.requests.per.connection": 1,
            "queue.buffering.max.messages": queue_size,
            "queue.buffering.max.kbytes": 256 * 1024,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "delivery.timeout.ms": int(delivery_seconds * 1000),
            # A broker that comes back is found again within a second, not within the default ten.
            "reconnect.backoff.max.ms": 1000,
            # librdkafka would write to standard error by itself; `_on_error` says the same as a log line.
            "log_level": 0,
        }
        self._queue_size = queue_size
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._abandoned: list[_Connection] = []

    def publish(
        self, records: Sequence[Record], timeout: float = DELIVERY_SECONDS + 2
    ) -> list[ServiceError | None]:
        """Send records and wait until each has its delivery report.

        Args:
            records: What to send; records with one key keep their order.
            timeout: Seconds to wait, for room in the queue and for the reports together.

        Returns:
            For each record None when the broker has acknowledged it, else why the broker refused it; that is a
            `RecordRefusedError` where the reason lies with the record, so that to send it again is in vain.

        Raises:
            ServiceError: The broker is away or the queue is full. Some records may have arrived all the same,
                so the caller sends all of them again; their ids make that harmless.
        """
        if not records:
            return []
        started = time.perf_counter()
        try:
            errors = self._publish(records, timeout)
            if len(records) > 1:
                # The broker judges records that travel together by the size of all of them.
                for index, error in enumerate(errors):
                    if error and error.code() in _TOO_LARGE:
                        (errors[index],) = self._publish([records[index]], timeout)
        except ServiceError:
            _count("unacknowledged", records)
            raise
        finally:
            SECONDS.observe(time.perf_counter() - started)
        if not any(errors):
            _count("acknowledged", records)
            return [None] * len(records)
        pairs = list(zip(records, errors, strict=True))
        _count("acknowledged", [record for record, error in pairs if not error])
        _count("refused", [record for record, error in pairs if error])
        return [
            _failure(record, error) if error else None
            for record, error in zip(records, errors, strict=True)
        ]

    def _publish(self, records: Sequence[Record], timeout: float) -> list[KafkaError | None]:
        connection = self._connected()
        delivery = _Delivery(records)
        deadline = time.monotonic() + timeout
        self._enqueue(connection.producer, records, delivery, deadline)
        if not delivery.wait(deadline - time.monotonic()):
            raise ServiceError(f"Kafka did not acknowledge within {timeout:g} s.", _HINT)
        away = next((e for e in delivery.errors if e and e.code() in _BROKER_AWAY), None)
        if away is not None:
            raise ServiceError(f"Kafka is away: {away.str()}", _HINT)
        return delivery.errors

    def _enqueue(
        self, producer: Producer, records: Sequence[Record], delivery: _Delivery, deadline: float
    ) -> None:
        # librdkafka takes many records in one step, at a fraction of the cost of a step each, but none with headers. And
        # where its room runs out it may leave out others than the last, so that the call fails and all are sent again.
        if len(records) > _FEW or any(record.headers for record in records):
            self._enqueue_each(producer, records, delivery, deadline)
        else:
            self._enqueue_together(producer, records, delivery, deadline)

    def _enqueue_together(
        self, producer: Producer, records: Sequence[Record], delivery: _Delivery, deadline: float
    ) -> None:
        while len(producer) + len(records) > self._queue_size:
            _wait_for_room(deadline)
        places: dict[str, list[int]] = collections.defaultdict(list)
        for index, record in enumerate(records):
            places[record.topic].append(index)
        for topic, indexes in places.items():
            messages: list[dict[str, Any]] = [
                {"key": records[index].key, "value": records[index].value} for index in indexes
            ]
            if producer.produce_batch(topic, messages, on_delivery=delivery.report) < len(messages):
                for index, message in zip(indexes, messages, strict=True):
                    if "_error" in message:
                        _refuse(index, message["_error"], delivery)

    def _enqueue_each(
        self, producer: Producer, records: Sequence[Record], delivery: _Delivery, deadline: float
    ) -> None:
        for index, record in enumerate(records):
            while True:
                try:
                    producer.produce(
                        record.topic,
                        value=record.value,
                        key=record.key,
                        # An empty list would be made into a header block of its own.
                        headers=list(record.headers) or None,
                        on_delivery=delivery.report,
                    )
                    break
                except BufferError:
                    _wait_for_room(deadline)
                except KafkaException as error:
                    _refuse(index, error.args[0], delivery)
                    break

    def is_reachable(self, topics: Sequence[str], timeout: float = 2) -> bool:
        """Whether a broker answers within `timeout` seconds and has the topics."""
        try:
            known = self._connected().producer.list_topics(timeout=timeout).topics
        except KafkaException:
            return False
        return all(name in known and known[name].error is None for name in topics)

    def close(self, timeout: float = DELIVERY_SECONDS) -> int:
        """Wait for what is on its way, then let go of the connection.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            How many records were not acknowledged in time.
        """
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is None or connection.pid != os.getpid():
            return 0
        return connection.close(timeout)

    def _connected(self) -> "_Connection":
        with self._lock:
            connection = self._connection
            if connection and connection.pid == os.getpid() and not connection.is_broken:
                return connection
            if connection:
                # Destroying a producer of the parent process, or one with a fatal error, could block for ever.
                self._abandoned.append(connection)
                connection.stop()
            self._connection = _Connection(self._config)
            return self._connection


def _failure(record: Record, error: KafkaError) -> ServiceError:
    """What to say of a record that was not taken."""
    if error.code() not in _NEVER_TAKEN:
        return ServiceError(error.str(), _HINT)
    return RecordRefusedError(
        f"Kafka will never take this record of {len(record.value):,} bytes: {error.str()}",
        f"Make the record smaller, or raise max.message.bytes of the topic {record.topic}.",
    )


def _wait_for_room(deadline: float) -> None:
    """Wait a moment for room in the queue, or no longer."""
    if time.monotonic() > deadline:
        raise ServiceError("The queue to Kafka is full.", _HINT)
    time.sleep(0.01)


def _refuse(index: int, error: KafkaError, delivery: _Delivery) -> None:
    """Say of a record that it did not leave; where the reason lies with it, for example its size, the others still do."""
    if error.fatal():
        raise ServiceError(f"Kafka is away: {error.str()}", _HINT)
    if error.code() == KafkaError._QUEUE_FULL:
        raise ServiceError("The queue to Kafka is full.", _HINT)
    delivery.refuse(index, error)


def _count(outcome: str, records: Sequence[Record]) -> None:
    """Count records of one outcome by their topic."""
    for topic, count in collections.Counter([record.topic for record in records]).items():
        _series(topic, outcome).inc(count)


@lru_cache(maxsize=64)
def _series(topic: str, outcome: str) -> Counter:
    """The series of a topic and an outcome: to look its labels up costs as much as to count."""
    return RECORDS.labels(topic, outcome)


class _Connection:
    """One librdkafka producer and the thread that hands out its delivery reports."""

    def __init__(self, config: dict[str, str | int | float | bool]) -> None:
        self.pid = os.getpid()
        self.is_broken = False
        self._quiet_until = 0.0
        self._stopping = threading.Event()
        self.producer = Producer({**config, "error_cb": self._on_error})
        self._thread = threading.Thread(target=self._poll, name="kafka-reports", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> int:
        left = self.producer.flush(timeout)
        self.stop()
        self._thread.join(timeout=1)
        return int(left)

    def stop(self) -> None:
        self._stopping.set()

    def _poll(self) -> None:
        # An idempotent producer asks for its id at once, and where it is not connected yet, again after half a second.
        with suppress(KafkaException):
            self.producer.list_topics(timeout=_POLL_SECONDS)
        while not self._stopping.is_set():
            self.producer.poll(_POLL_SECONDS)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self.is_broken = True
            get_logger("producer").error("kafka_fatal_error", reason=error.str())
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and time.monotonic() > self._quiet_until:
            # librdkafka says so again at each attempt to connect, every second.
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            get_logger("producer").warning("kafka_away", reason=error.str())
