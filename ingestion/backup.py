"""The raw backup of events: Kafka's `user_logs` into MongoDB, and from there back to Kafka.

Collection `user_logs_raw`: `_id` (`topic/partition/offset`), `topic`, `partition`, `offset`, `timestamp` (Kafka's, UTC),
`key` and `value` (bytes as they were), and `refused` where Kafka would not take it back: since when and why. The offsets of the consumer group are committed after the write, so a crash
repeats a batch, and its ids make that add nothing.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from cinelake.errors import ServiceError
from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion.batches import in_batches, no_progress
from ingestion.producer import EventProducer, Record, RecordRefusedError
from ingestion.raw_store import ON_DISK, duplicate_ids, open_database
from ingestion.topics import USER_LOGS, end_offsets, ensure_topics, topic_end_offsets

COLLECTION = "user_logs_raw"
GROUP = "cinelake-backup"
BATCH = 1_000
POLL_MILLISECONDS = 500
RESTORED_FROM = "restored_from"
"""The header of a message that was published again: the `_id` it had in the backup."""

Document = dict[str, Any]

AGAIN_SECONDS = 5.0
"""How long `follow` waits before it tries again."""

log = get_logger("backup")


class OtherContentError(ServiceError):
    """An offset stands in the backup with another content than the topic has."""


def back_up(
    settings: Settings,
    follow: bool = False,
    progress: Callable[[int], None] = no_progress,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Copy what `user_logs` holds beyond the last backup.

    Args:
        settings: Kafka and MongoDB.
        follow: Go on with what comes later, until `stop`; else end where the topic ended at the start.
        progress: Called with the number of messages just handled.
        stop: Asked between two batches.

    Returns:
        Messages that were not in the backup before.

    Raises:
        OtherContentError: An offset stands in the backup with another content, because the topic was made anew.
        ServiceError: Kafka or MongoDB is away. What was handled before stays.
    """
    added = 0
    with _consumer(settings) as consumer, open_database(settings) as database:
        ends = topic_end_offsets(settings, USER_LOGS)
        while not stop() and (follow or _is_behind(consumer, ends)):
            batch = [
                record
                for records in consumer.poll(POLL_MILLISECONDS, max_records=BATCH).values()
                for record in records
            ]
            if batch:
                added += _store(database, batch)
                _commit(consumer, batch)
                progress(len(batch))
    log.info("backed up", added=added)
    return added


def follow(settings: Settings, stopping: threading.Event, progress: Callable[[int], None]) -> int:
    """Copy what `user_logs` holds and what comes, until `stopping`; while a service is away, wait for it.

    Args:
        settings: Kafka and MongoDB.
        stopping: Set when it is to end.
        progress: Called with the number of messages just handled.

    Returns:
        Messages that were added since a service was away last.

    Raises:
        OtherContentError: As for `back_up`: people have to decide.
    """
    while True:
        try:
            ensure_topics(settings)
            return back_up(settings, True, progress, stopping.is_set)
        except OtherContentError:
            raise
        except ServiceError as error:
            log.warning("waiting for a service", reason=error.message)
        if stopping.wait(AGAIN_SECONDS):
            return 0


def count_pending(settings: Settings) -> int:
    """Messages that the next backup has to look at.

    Raises:
        ServiceError: Kafka is away.
    """
    return sum(max(end - taken, 0) for taken, end in positions(settings).values())


def positions(settings: Settings) -> dict[int, tuple[int, int]]:
    """By partition the offset that the next backup begins with, and the one where the topic ends.

    Raises:
        ServiceError: Kafka is away.
    """
    with _consumer(settings) as consumer:
        ends = end_offsets(consumer, USER_LOGS)
        return {
            partition: (consumer.position(TopicPartition(USER_LOGS, partition)), end)
            for partition, end in ends.items()
        }


def restore(
    settings: Settings,
    since: datetime,
    until: datetime,
    progress: Callable[[int], None] = no_progress,
) -> int:
    """Publish a range of the backup to `user_logs` again, each message with its key and bytes.

    A message that Kafka will never take is marked as refused, and keeps no other from coming back.

    An event that silver holds already counts as a duplicate there, so a restore that is repeated adds nothing.

    Args:
        settings: Kafka and MongoDB.
        since: The first moment of the range, by Kafka's timestamp.
        until: The moment after its last one.
        progress: Called with the number of messages just published.

    Returns:
        Messages that the broker has acknowledged.

    Raises:
        ServiceError: Kafka or MongoDB is away; the same command starts the range again.
    """
    published = 0
    with open_database(settings) as database, closing(EventProducer(settings)) as producer:
        # What is published now is backed up while this goes on, and must not be published for ever.
        until = min(until, datetime.now(UTC))
        found = database[COLLECTION].find(_range(since, until)).sort("_id", 1)
        for batch in in_batches(found, BATCH):
            outcomes = producer.publish([_record(document) for document in batch])
            refused = _mark_refused(database, batch, outcomes)
            failed = next((each for each in outcomes if each and each not in refused), None)
            if failed is not None:
                raise failed
            published += len(batch) - len(refused)
            progress(len(batch))
    return published


def _mark_refused(
    database: Database[Document],
    batch: Sequence[Document],
    outcomes: Sequence[ServiceError | None],
) -> list[RecordRefusedError]:
    """Note of each message whether Kafka will never take it; returns why it does not take those."""
    now = datetime.now(UTC)
    writes = [
        UpdateOne(
            {"_id": document["_id"]},
            {"$set": {"refused": {"reason": outcome.message, "at": now}}}
            if isinstance(outcome, RecordRefusedError)
            else {"$unset": {"refused": ""}},
        )
        for document, outcome in zip(batch, outcomes, strict=True)
        if isinstance(outcome, RecordRefusedError) or document.get("refused")
    ]
    if writes:
        database[COLLECTION].bulk_write(writes, ordered=False)
    return [outcome for outcome in outcomes if isinstance(outcome, RecordRefusedError)]


def prune(settings: Settings, before: datetime, landed: Mapping[int, int]) -> int:
    """Take old messages out of the backup, but none that bronze does not have.

    Args:
        settings: MongoDB.
        before: The moment, by Kafka's timestamp, before which a message is old.
        landed: By partition the offset after the last one that bronze has.

    Returns:
        Messages that were taken out.

    Raises:
        ServiceError: MongoDB is away.
    """
    with open_database(settings) as database:
        collection = database[COLLECTION].with_options(write_concern=ON_DISK)
        pruned = sum(
            collection.delete_many(
                {"partition": partition, "offset": {"$lt": end}, "timestamp": {"$lt": before}}
            ).deleted_count
            for partition, end in landed.items()
        )
    log.info("pruned", removed=pruned, before=before.isoformat())
    return pruned


def count_range(settings: Settings, since: datetime, until: datetime) -> int:
    """Messages of the backup in a range, for a progress bar."""
    with open_database(settings) as database:
        return database[COLLECTION].count_documents(_range(since, until))


def _range(since: datetime, until: datetime) -> Document:
    return {"timestamp": {"$gte": since, "$lt": until}}


def _record(document: Document) -> Record:
    headers = [(RESTORED_FROM, document["_id"].encode())]
    return Record(document["topic"], document["key"], document["value"], headers)


@contextmanager
def _consumer(settings: Settings) -> Iterator[KafkaConsumer]:
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.split(","),
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        with closing(consumer):
            # Assigned rather than subscribed: there is one backup, and nobody to share the partitions with.
            partitions = consumer.partitions_for_topic(USER_LOGS) or ()
            consumer.assign([TopicPartition(USER_LOGS, number) for number in sorted(partitions)])
            yield consumer
    except KafkaError as error:
        raise ServiceError(
            f"Kafka at {settings.kafka} does not answer: {error}",
            "Run `cinelake up`, or check KAFKA_BOOTSTRAP_SERVERS.",
        ) from error


def _is_behind(consumer: KafkaConsumer, ends: dict[int, int]) -> bool:
    return any(
        consumer.position(TopicPartition(USER_LOGS, partition)) < end
        for partition, end in ends.items()
    )


def _store(database: Database[Document], batch: Sequence[ConsumerRecord]) -> int:
    collection = database[COLLECTION].with_options(write_concern=ON_DISK)
    documents = [_document(record) for record in batch]
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        known = duplicate_ids(error, [document["_id"] for document in documents])
        _refuse_other_content(collection.find({"_id": {"$in": known}}), documents)
        return len(documents) - len(known)
    return len(documents)


def _refuse_other_content(known: Iterator[Document], documents: Sequence[Document]) -> None:
    new = {document["_id"]: document for document in documents}
    for document in known:
        if document["value"] != new[document["_id"]]["value"]:
            raise OtherContentError(
                f"{document['_id']} stands in the backup with another content: the topic was made anew.",
                f"Rename the collection {COLLECTION}, which keeps what was backed up, and run the backup again.",
            )


def _document(record: ConsumerRecord) -> Document:
    return {
        "_id": f"{record.topic}/{record.partition}/{record.offset}",
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": datetime.fromtimestamp(record.timestamp / 1000, UTC),
        "key": record.key,
        "value": record.value,
    }


def _commit(consumer: KafkaConsumer, batch: Sequence[ConsumerRecord]) -> None:
    """Commit what is stored, and no more: the consumer's own position may be further."""
    ends: dict[TopicPartition, OffsetAndMetadata] = {}
    for record in batch:
        place = TopicPartition(record.topic, record.partition)
        ends[place] = OffsetAndMetadata(record.offset + 1, "", -1)
    consumer.commit(ends)
