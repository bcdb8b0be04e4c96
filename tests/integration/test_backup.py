"""The raw backup on the real Kafka and MongoDB: nothing is missing, nothing is twice, and it comes back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from kafka import KafkaConsumer, TopicPartition

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from cinelake.stack import local
from cinelake.stack.service import settings_environment
from ingestion import backup
from ingestion.producer import EventProducer, Record
from ingestion.refused import list_refused
from ingestion.topics import MAX_MESSAGE_BYTES, USER_LOGS, topic_end_offsets
from pipeline import lag
from pipeline.stack import bring_up
from tests.waiting import eventually


@pytest.fixture
def own(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The stack with a MongoDB database and a consumer group of the test's own."""
    monkeypatch.setattr(backup, "GROUP", f"backup-{uuid4()}")
    return stack.model_copy(
        update={"mongo_uri": stack.mongo.rsplit("/", 1)[0] + f"/test_{uuid4().hex}"}
    )


@pytest.fixture
def collection(own: Settings) -> Iterator[Any]:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(own.mongo)
    with client:
        # The database goes with the home: to drop it, the server takes a millisecond a message.
        yield client.get_default_database()[backup.COLLECTION]


def publish(settings: Settings, count: int) -> None:
    with closing(EventProducer(settings)) as producer:
        values = [
            Record(USER_LOGS, f"k{n}".encode(), b"\xff\0" + str(n).encode()) for n in range(count)
        ]
        assert producer.publish(values) == [None] * count


def in_topic(settings: Settings) -> int:
    return sum(topic_end_offsets(settings, USER_LOGS).values())


def test_the_backup_holds_every_message_once_as_it_was(own: Settings, collection: Any) -> None:
    publish(own, 2_500)
    done: list[int] = []
    assert backup.count_pending(own) == in_topic(own)
    assert backup.back_up(own, progress=done.append) == in_topic(own) == sum(done)
    assert collection.count_documents({}) == in_topic(own)
    assert backup.back_up(own) == 0
    publish(own, 7)
    assert backup.count_pending(own) == 7
    assert backup.back_up(own) == 7
    ends = topic_end_offsets(own, USER_LOGS)
    last = collection.find_one({"_id": f"{USER_LOGS}/0/{ends[0] - 1}"})
    with closing(KafkaConsumer(bootstrap_servers=own.kafka.split(","))) as consumer:
        place = TopicPartition(USER_LOGS, 0)
        consumer.assign([place])
        consumer.seek(place, ends[0] - 1)
        record = next(consumer)
    assert (last["key"], last["value"]) == (record.key, record.value)
    assert last["timestamp"].replace(tzinfo=UTC).timestamp() * 1000 == pytest.approx(
        record.timestamp
    )


def test_offsets_that_were_lost_add_nothing_twice(
    own: Settings, collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(own, 10)
    backup.back_up(own)
    monkeypatch.setattr(backup, "GROUP", f"backup-{uuid4()}")
    assert backup.back_up(own) == 0
    assert collection.count_documents({}) == in_topic(own)


def test_a_backup_that_is_killed_goes_on_where_it_was(
    own: Settings, collection: Any, tmp_path: Path
) -> None:
    publish(own, 5_000)
    program = (
        "import sys; from cinelake.settings import get_settings; from ingestion import backup\n"
        f"backup.GROUP = {backup.GROUP!r}\n"
        "backup.BATCH = 100\n"
        "backup.back_up(get_settings(), progress=lambda n: print(n, flush=True))"
    )
    variables = os.environ | settings_environment(own)
    for lines in (1, 3, 7):
        with subprocess.Popen(
            [sys.executable, "-c", program], env=variables, stdout=subprocess.PIPE, text=True
        ) as victim:
            assert victim.stdout is not None
            for _ in range(lines):
                victim.stdout.readline()
            victim.send_signal(signal.SIGKILL)
    backup.back_up(own)
    assert collection.count_documents({}) == in_topic(own)


def test_a_topic_that_was_made_anew_is_not_taken_for_the_old_one(
    own: Settings, collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(own, 5)
    backup.back_up(own)
    collection.update_one({"_id": f"{USER_LOGS}/0/0"}, {"$set": {"value": b"of an older topic"}})
    monkeypatch.setattr(backup, "GROUP", f"backup-{uuid4()}")
    with pytest.raises(ServiceError, match="made anew"):
        backup.back_up(own)


def test_a_range_comes_back_with_its_keys_and_bytes(own: Settings, collection: Any) -> None:
    publish(own, 3)
    time.sleep(1.1)
    since = datetime.now(UTC)
    publish(own, 20)
    until = datetime.now(UTC) + timedelta(seconds=1)
    backup.back_up(own)
    before = topic_end_offsets(own, USER_LOGS)
    assert backup.count_range(own, since, until) == 20
    assert backup.restore(own, since, until) == 20
    after = topic_end_offsets(own, USER_LOGS)
    assert sum(after.values()) - sum(before.values()) == 20
    again = _read(own, before, after)
    stored = {d["_id"]: d for d in collection.find({"timestamp": {"$gte": since}})}
    for record in again:
        origin = stored[dict(record.headers)[backup.RESTORED_FROM].decode()]
        assert (record.key, record.value) == (origin["key"], origin["value"])


def test_a_message_that_kafka_will_never_take_keeps_no_other_from_coming_back(
    own: Settings, collection: Any
) -> None:
    since = datetime.now(UTC)
    publish(own, 3)
    backup.back_up(own)
    (place,) = [each["_id"] for each in collection.find({"timestamp": {"$gte": since}}).limit(1)]
    collection.update_one({"_id": place}, {"$set": {"value": b"x" * (MAX_MESSAGE_BYTES + 1)}})
    until = datetime.now(UTC) + timedelta(seconds=1)
    held = backup.count_range(own, since, until)
    assert backup.restore(own, since, until) == backup.restore(own, since, until) == held - 1
    (row,) = list_refused(own, 10)
    assert row["place"] == f"{backup.COLLECTION}/{place}"
    assert "too large" in row["reason"]
    collection.update_one({"_id": place}, {"$set": {"value": b"small"}})
    assert backup.restore(own, since, until) == held
    assert list_refused(own, 10) == []


def _read(settings: Settings, before: dict[int, int], after: dict[int, int]) -> list[Any]:
    with closing(
        KafkaConsumer(bootstrap_servers=settings.kafka.split(","), consumer_timeout_ms=5000)
    ) as consumer:
        places = {number: TopicPartition(USER_LOGS, number) for number in before}
        consumer.assign(list(places.values()))
        for number, place in places.items():
            consumer.seek(place, before[number])
        wanted = sum(after.values()) - sum(before.values())
        return [next(consumer) for _ in range(wanted)]


def test_old_messages_go_but_none_that_bronze_does_not_have(own: Settings, collection: Any) -> None:
    publish(own, 20)
    backup.back_up(own)
    ends = topic_end_offsets(own, USER_LOGS)
    held = collection.count_documents({})
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert backup.prune(own, tomorrow - timedelta(days=400), ends) == 0
    assert backup.prune(own, tomorrow, {}) == 0

    landed = {partition: end - 1 for partition, end in ends.items() if end}
    assert backup.prune(own, tomorrow, landed) == held - len(landed)
    kept = {(each["partition"], each["offset"]) for each in collection.find()}
    assert kept == set(landed.items())
    # What was pruned is not brought back by the next backup.
    assert backup.back_up(own) == 0


def test_the_stack_backs_up_what_comes_and_up_brings_a_killed_backup_back(stack: Settings) -> None:
    def everything_is_there() -> bool:
        return backup.count_pending(stack) == 0

    def state() -> local.ServiceStatus:
        return local.status(stack)["backup"]

    publish(stack, 3)
    eventually(everything_is_there, 60)
    assert state().healthy and state().pid
    os.kill(state().pid or 0, signal.SIGKILL)
    eventually(lambda: not state().healthy, 10)
    publish(stack, 3)
    assert not everything_is_there()
    bring_up(stack)
    eventually(everything_is_there, 60)
    assert state().healthy


def test_a_backup_that_was_never_made_lags_behind_all_messages(own: Settings) -> None:
    publish(own, 3)
    assert sum(each.waiting for each in lag.of_backup(own)) == in_topic(own) > 0


def test_a_backup_that_follows_waits_for_a_service_that_is_away(
    own: Settings, collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping, tries = threading.Event(), []

    def away_once(*arguments: Any) -> int:
        tries.append(arguments)
        if len(tries) == 1:
            raise ServiceError("Kafka is away.")
        return 7

    monkeypatch.setattr(backup, "AGAIN_SECONDS", 0)
    monkeypatch.setattr(backup, "back_up", away_once)
    assert backup.follow(own, stopping, print) == 7
    assert len(tries) == 2

    def refused(*_: Any) -> int:
        raise backup.OtherContentError("The topic was made anew.")

    monkeypatch.setattr(backup, "back_up", refused)
    with pytest.raises(backup.OtherContentError):
        backup.follow(own, stopping, print)


def test_a_restore_publishes_nothing_that_is_backed_up_while_it_goes_on(
    own: Settings, collection: Any
) -> None:
    since = datetime.now(UTC)
    publish(own, 20)
    backup.back_up(own)

    def back_up_meanwhile(_: int) -> None:
        backup.back_up(own)

    future = datetime.now(UTC) + timedelta(days=1)
    assert backup.restore(own, since, future, back_up_meanwhile) == 20
