"""Promises of the producer that show without a broker; the others are kept in the integration tests."""

import socket
import time

import pytest
from confluent_kafka import KafkaError, Message
from msgspec.structs import replace

from cinelake.errors import ServiceError
from cinelake.settings import Settings, load_settings
from ingestion.producer import EventProducer, Record, _Delivery
from ingestion.topics import MAX_MESSAGE_BYTES


@pytest.fixture
def nobody() -> Settings:
    """Settings that name a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return load_settings(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")


def test_a_broker_that_is_away_is_an_error_and_soon(nobody: Settings) -> None:
    producer = EventProducer(nobody, delivery_seconds=0.5)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="Kafka"):
        producer.publish([Record("t", b"k", b"v")], timeout=60)
    assert time.monotonic() - began < 20
    assert not producer.is_reachable(["t"], timeout=0.2)
    producer.close(timeout=1)


def test_a_report_that_does_not_come_is_an_error(nobody: Settings) -> None:
    producer = EventProducer(nobody, delivery_seconds=5)
    with pytest.raises(ServiceError, match="did not acknowledge"):
        producer.publish([Record("t", b"k", b"v")], timeout=0.3)
    assert producer.close(timeout=0.1) == 1


HEADERS = pytest.mark.parametrize("headers", [(), (("name", b"value"),)], ids=["plain", "headers"])
"""Records with headers go to librdkafka one by one, others together."""


@HEADERS
def test_a_full_queue_is_an_error(nobody: Settings, headers: tuple[tuple[str, bytes], ...]) -> None:
    producer = EventProducer(nobody, queue_size=3, delivery_seconds=5)
    with pytest.raises(ServiceError, match="full"):
        producer.publish([Record("t", None, b"v", headers)] * 10, timeout=0.3)
    producer.close(timeout=0.1)


def test_records_of_which_some_find_no_room_are_an_error(nobody: Settings) -> None:
    producer = EventProducer(nobody, queue_size=3, delivery_seconds=5)
    # As if other threads took the room between the look at it and the step that needs it.
    producer._queue_size = 10
    with pytest.raises(ServiceError, match="full"):
        producer.publish([Record("t", None, b"v")] * 10, timeout=60)
    assert producer.close(timeout=0.1) == 3


@HEADERS
def test_a_record_that_is_too_large_is_refused_by_itself(
    nobody: Settings, headers: tuple[tuple[str, bytes], ...]
) -> None:
    producer = EventProducer(nobody, delivery_seconds=5)
    large = Record("t", b"k", b"v" * (MAX_MESSAGE_BYTES + 1), headers)
    outcomes = producer.publish([large, replace(large, topic="u")])
    assert ["too large" in str(error) for error in outcomes] == [True, True]
    with pytest.raises(ServiceError, match="did not acknowledge"):
        producer.publish([large, Record("t", b"k", b"v", headers)], timeout=0.3)
    assert producer.close(timeout=0.1) == 1


def test_an_error_is_told_of_the_record_that_it_is_about() -> None:
    records = [
        Record("t", b"k", b"v"),
        Record("t", None, b"v"),
        Record("u", b"k", b"v"),
        *[Record("t", b"k", b"w")] * 2,
        Record("t", b"", b"w"),
    ]
    delivery = _Delivery(records)
    error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    for index in (5, 4, 1, 2, 3):
        record = records[index]
        message = Message(topic=record.topic, key=record.key or None, value=record.value)
        delivery.report(error, message)
    assert not delivery.wait(0)
    delivery.report(None, Message(topic="t", key=b"k", value=b"v"))
    assert delivery.wait(0)
    assert delivery.errors == [None, *[error] * 5]


def test_nothing_to_publish_needs_no_broker(nobody: Settings) -> None:
    assert EventProducer(nobody).publish([]) == []
