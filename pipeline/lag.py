"""How far each consumer of messages has come, and how many it has still to take, by topic and partition."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from cinelake.settings import Settings
from ingestion import backup
from ingestion.topics import USER_LOGS, connected_consumer, end_offsets, first_timestamps
from lakehouse import changes, checkpoints
from lakehouse.readers import streamed_version
from lakehouse.silver.refresh import REFRESH_OF_SOURCE
from spark_streaming.bronze import TOPIC_OF_TABLE


@dataclass(frozen=True)
class Standing:
    """Where a consumer stands in one partition.

    Args:
        topic: The topic.
        partition: The partition's number.
        taken: The offset after the last message that it has dealt with.
        waiting: Messages that it has still to take.
    """

    topic: str
    partition: int
    taken: int
    waiting: int


Ends = Mapping[str, Mapping[int, int]]
"""By topic and partition the offset of the next message."""


def ends_of_topics(settings: Settings) -> Ends:
    """Where the topics end now that bronze lands.

    Raises:
        ServiceError: Kafka is away.
    """
    with connected_consumer(settings) as consumer:
        return {topic: end_offsets(consumer, topic) for topic in TOPIC_OF_TABLE.values()}


def of_bronze(settings: Settings, ends: Ends | None = None) -> list[Standing]:
    """What bronze has landed of each topic, by the checkpoints of its queries.

    Args:
        settings: Tells where Kafka and the lake are.
        ends: Up to where its messages count; by default up to where the topics end now.

    Raises:
        ServiceError: Kafka is away.
    """
    ends = ends_of_topics(settings) if ends is None else ends
    return [
        _standing(topic, partition, landed.get(partition, 0), end)
        for name, topic in TOPIC_OF_TABLE.items()
        for landed in [checkpoints.kafka_offsets(settings, name, topic)]
        for partition, end in ends[topic].items()
    ]


def versions_of_bronze(settings: Settings) -> dict[str, int]:
    """The version that each table of bronze has now of which silver is made."""
    return {source: changes.current_version(settings, source) for source in REFRESH_OF_SOURCE}


def of_silver(settings: Settings, versions: Mapping[str, int] | None = None) -> list[Standing]:
    """What silver has taken of the messages that bronze holds.

    Args:
        settings: Tells where the lake is.
        versions: Up to which version of each table of bronze its messages count; by default up to the newest.
    """
    versions = versions_of_bronze(settings) if versions is None else versions
    return [
        Standing(TOPIC_OF_TABLE[source], partition, landed - waiting[partition], waiting[partition])
        for source, upto in versions.items()
        for waiting in [Counter(_waiting_in_bronze(settings, source, upto))]
        for partition, landed in checkpoints.kafka_offsets(
            settings, source, TOPIC_OF_TABLE[source]
        ).items()
    ]


def silver_differs(settings: Settings, source: str) -> bool:
    """Whether a table of bronze holds messages that silver has not taken, or is not as far as silver has read it.

    Args:
        settings: Tells where the lake is.
        source: For example `bronze.user_logs`.
    """
    newest = changes.current_version(settings, source)
    if newest < streamed_version(settings, source):
        return True
    return any(True for _ in _waiting_in_bronze(settings, source, newest))


def of_backup(settings: Settings) -> list[Standing]:
    """What the raw backup holds of the accepted events.

    Raises:
        ServiceError: Kafka is away.
    """
    return [
        _standing(USER_LOGS, partition, *pair)
        for partition, pair in backup.positions(settings).items()
    ]


CONSUMERS: dict[str, Callable[[Settings], list[Standing]]] = {
    "bronze": of_bronze,
    "silver": of_silver,
    "backup": of_backup,
}
"""By name who consumes messages, in the order in which they flow."""


def waiting_since(settings: Settings, standings: Iterable[Standing]) -> dict[Standing, float]:
    """When the oldest message that waits came, for each place where one does.

    Args:
        settings: Tells where Kafka is.
        standings: Of any consumers.

    Returns:
        Kafka's timestamp, in seconds since 1970.

    Raises:
        ServiceError: Kafka is away.
    """
    behind = [each for each in standings if each.waiting]
    found: dict[Standing, float] = {}
    if not behind:
        return found
    # Two consumers may stand at different offsets of one partition: a round asks of each partition once.
    rounds: dict[tuple[str, int], dict[int, Standing]] = defaultdict(dict)
    turns: Counter[tuple[str, int]] = Counter()
    for each in behind:
        place = (each.topic, each.partition)
        rounds[each.topic, turns[place]][each.partition] = each
        turns[place] += 1
    with connected_consumer(settings) as consumer:
        for (topic, _), asked in rounds.items():
            offsets = {partition: each.taken for partition, each in asked.items()}
            times = first_timestamps(consumer, topic, offsets)
            found |= {asked[partition]: at for partition, at in times.items()}
    return found


def _standing(topic: str, partition: int, taken: int, end: int) -> Standing:
    return Standing(topic, partition, taken, max(end - taken, 0))


def _waiting_in_bronze(settings: Settings, source: str, upto: int) -> Iterator[int]:
    """The partition of each message in a version of a bronze table that silver has still to take."""
    after = streamed_version(settings, source)
    if upto <= after:
        return
    for batch in changes.read_changes(settings, source, after, upto, ["partition"]):
        yield from batch["partition"].to_pylist()
