"""The Kafka topics: their names, how they are made, and how far each has come."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from cinelake.errors import ServiceError
from cinelake.settings import Settings

USER_LOGS = "user_logs"
"""Accepted events, keyed by user or anonymous id."""
USER_LOGS_REJECTED = "user_logs_rejected"
"""Refused events, with the reasons and the original bytes."""
MOVIE = "movie"
"""TMDB movies, keyed by TMDB id; compacted, so that the latest of each stays."""

FIRST_SECONDS = 2
"""How long `first_timestamps` waits for its messages."""
MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""A refused body of 1 MiB, in base64 and with its reasons, must fit into one message."""

OLDEST_MESSAGE_MS = 1_700_000_000_000
"""How far before its arrival the time of a message may lie, as the producer says it: about to 1973. Spark's source fails at
one that is no timestamp of Spark, and would find it again at each start."""
_KEEP = {
    # Kafka's own default deletes after 7 days, also what bronze has not read yet: a laptop that was off for a week
    # would lose accepted events. An operator with a lake that keeps up may set a shorter time.
    "retention.ms": "-1",
    "max.message.bytes": str(MAX_MESSAGE_BYTES),
    "message.timestamp.before.max.ms": str(OLDEST_MESSAGE_MS),
    # Kafka's own default, since its version 4.
    "message.timestamp.after.max.ms": "3600000",
}
_TOPICS = (
    NewTopic(USER_LOGS, num_partitions=4, topic_configs=_KEEP),
    NewTopic(USER_LOGS_REJECTED, num_partitions=1, topic_configs=_KEEP),
    NewTopic(MOVIE, num_partitions=4, topic_configs={**_KEEP, "cleanup.policy": "compact"}),
)


def ensure_topics(settings: Settings) -> list[str]:
    """Make the topics that do not exist yet; those that do are left as they are.

    Args:
        settings: `kafka_bootstrap_servers` is used.

    Returns:
        The names of the topics that were made.

    Raises:
        ServiceError: The broker is away or refuses.
    """
    with (
        _service_errors(settings),
        closing(KafkaAdminClient(bootstrap_servers=settings.kafka.split(","))) as admin,
    ):
        existing = set(admin.list_topics())
        missing = [topic for topic in _TOPICS if topic.name not in existing]
        if missing:
            # Another process may make them at the same moment; that one error is welcome.
            answer = admin.create_topics(missing, raise_errors=False, wait_for_metadata=True)
            _refuse_failures(answer)
        return [topic.name for topic in missing]


_TOPIC_ALREADY_EXISTS = 36


def _refuse_failures(answer: dict[str, list[dict[str, object]]]) -> None:
    for topic in answer["topics"]:
        if topic["error_code"] not in (0, _TOPIC_ALREADY_EXISTS):
            raise ServiceError(
                f"Kafka did not make the topic {topic['name']}: {topic.get('error_message')}",
                "Make it by hand, or give this client the right to create topics.",
            )


def topic_end_offsets(settings: Settings, topic: str) -> dict[int, int]:
    """How far a topic has come.

    Args:
        settings: `kafka_bootstrap_servers` is used.
        topic: The topic's name.

    Returns:
        The offset that the next message of each partition will get, by partition.

    Raises:
        ServiceError: The broker is away, or there is no such topic.
    """
    with connected_consumer(settings) as consumer:
        return end_offsets(consumer, topic)


@contextmanager
def connected_consumer(settings: Settings) -> Iterator[KafkaConsumer]:
    """A consumer without a group, to ask several things over one connection.

    Raises:
        ServiceError: The broker is away, also in the middle.
    """
    with (
        _service_errors(settings),
        closing(KafkaConsumer(bootstrap_servers=settings.kafka.split(","))) as consumer,
    ):
        yield consumer


def end_offsets(consumer: KafkaConsumer, topic: str) -> dict[int, int]:
    """As `topic_end_offsets`, over a connection that is there."""
    partitions = consumer.partitions_for_topic(topic)
    if not partitions:
        raise ServiceError(
            f"Kafka has no topic {topic}.", "Run `cinelake up`, which makes the topics."
        )
    ends = consumer.end_offsets([TopicPartition(topic, number) for number in partitions])
    return {where.partition: end for where, end in sorted(ends.items())}


def kept_offsets(consumer: KafkaConsumer, topic: str) -> dict[int, range]:
    """The offsets of a topic's messages that are there, by partition.

    Args:
        consumer: A consumer without a group.
        topic: The topic's name.

    Raises:
        ServiceError: There is no such topic.
    """
    ends = end_offsets(consumer, topic)
    begins = consumer.beginning_offsets([TopicPartition(topic, number) for number in ends])
    return {where.partition: range(first, ends[where.partition]) for where, first in begins.items()}


def first_timestamps(
    consumer: KafkaConsumer, topic: str, offsets: Mapping[int, int]
) -> dict[int, float]:
    """When the first message at or after an offset came.

    Args:
        consumer: A consumer without a group.
        topic: The topic's name.
        offsets: By partition an offset below its end.

    Returns:
        By partition Kafka's timestamp in seconds since 1970; a partition whose message did not come in time is left out.
    """
    found: dict[int, float] = {}
    places = {TopicPartition(topic, number): offset for number, offset in offsets.items()}
    consumer.assign(list(places))
    for place, offset in places.items():
        consumer.seek(place, offset)
    deadline = time.monotonic() + FIRST_SECONDS
    while len(found) < len(places) and time.monotonic() < deadline:
        for place, records in consumer.poll(200, max_records=len(places)).items():
            found[place.partition] = records[0].timestamp / 1000
            consumer.pause(place)
    return found


@contextmanager
def _service_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise ServiceError(
            f"Kafka at {settings.kafka} does not answer: {error}",
            "Run `cinelake up`, or check KAFKA_BOOTSTRAP_SERVERS.",
        ) from error
