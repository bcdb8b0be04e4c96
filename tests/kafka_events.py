"""What is on a Kafka topic, read back for tests."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from cinelake.settings import Settings
from ingestion.topics import MOVIE, USER_LOGS


def events_of(settings: Settings, visitor: str) -> list[dict[str, Any]]:
    """All events of `user_logs` with that `user_id` or `anonymous_id`, repetitions included.

    They are sorted by `occurred_at`; those of one moment and one visitor stay as they arrived.
    """
    found = [
        event
        for event in events_in(_values(settings, USER_LOGS))
        if visitor in (event["user_id"], event["anonymous_id"])
    ]
    return sorted(found, key=lambda event: event["occurred_at"])


def messages_of_movies(settings: Settings) -> Counter[int]:
    """How many messages the topic `movie` holds of each movie, by its id."""
    return Counter(message["movie"]["id"] for message in events_in(_values(settings, MOVIE)))


def events_in(values: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The events among messages; the tests of the backup leave some that are no JSON."""
    for value in values:
        with suppress(orjson.JSONDecodeError):
            yield orjson.loads(value)


def once_each(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same without the repetitions of an `event_id`, as silver counts them."""
    return list({event["event_id"]: event for event in events}.values())


def _values(settings: Settings, topic: str) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": "tests-only-read",
            "enable.auto.commit": False,
        }
    )
    try:
        partitions = [
            TopicPartition(topic, number, OFFSET_BEGINNING)
            for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        left = 0
        for each in partitions:
            low, high = consumer.get_watermark_offsets(each, timeout=10)
            left += high - low
        consumer.assign(partitions)
        values: list[bytes] = []
        while len(values) < left:
            message = consumer.poll(10)
            assert message is not None, f"{len(values)} of {left} messages came"
            assert message.error() is None, message.error()
            values.append(message.value())
        return values
    finally:
        consumer.close()
