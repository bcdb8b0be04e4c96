"""Kafka to bronze on the real broker: every message once, byte for byte, whatever is killed or lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import InvalidTimestampError, TopicAlreadyExistsError
from pyspark.sql import SparkSession
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cinelake.errors import CheckpointMismatchError, ServiceError
from cinelake.settings import Settings
from ingestion.topics import (
    MOVIE,
    USER_LOGS,
    USER_LOGS_REJECTED,
    ensure_topics,
    topic_end_offsets,
)
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.tables import SparkSource
from pipeline.streams import run_bronze
from spark_streaming import bronze
from spark_streaming.bronze import Trigger

PARTITIONS = 2
VALUES: list[bytes | None] = [
    b'{"event_id": 1}',
    b"",
    None,
    b"\x00\x01\xfe\xff",
    b'\xff\xfe{"not": "utf-8"}',
    "Amélie 映画 🎬".encode(),
    b"line\nline\r\n",
    b"x" * 200_000,
    bytes(range(256)),
]


class Landing:
    """A topic and a bronze table of the test's own."""

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark = spark
        self.settings = settings
        self.topic = f"landing-{uuid4().hex}"
        with_topics = KafkaAdminClient(bootstrap_servers=settings.kafka.split(","))
        try:
            with_topics.create_topics(
                [NewTopic(self.topic, num_partitions=PARTITIONS)], wait_for_metadata=True
            )
        finally:
            with_topics.close()
        tables.ensure_table(lambda: spark, settings, table("bronze.user_logs"))
        self.path = tables.table_path(settings, "bronze.user_logs")
        self.checkpoint = tables.checkpoint_path(settings, "bronze.user_logs")

    def send(self, values: Iterable[bytes | None], partition: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka, "acks": "all"})
        for number, value in enumerate(values):
            producer.produce(self.topic, value=value, key=f"k{number}", partition=partition)
        assert producer.flush(30) == 0

    def forget(self, before: int, partition: int = 0) -> None:
        """Delete the messages of a partition below an offset, as retention does."""
        admin = KafkaAdminClient(bootstrap_servers=self.settings.kafka.split(","))
        try:
            admin.delete_records({TopicPartition(self.topic, partition): before})
        finally:
            admin.close()

    def lose(self) -> None:
        """Make the topic anew, as it is after a broker has lost its disk."""
        admin = KafkaAdminClient(bootstrap_servers=self.settings.kafka.split(","))
        try:
            admin.delete_topics([self.topic])
            for attempt in Retrying(
                retry=retry_if_exception_type(TopicAlreadyExistsError),
                stop=stop_after_delay(30),
                wait=wait_fixed(0.1),
            ):
                with attempt:
                    admin.create_topics(
                        [NewTopic(self.topic, num_partitions=PARTITIONS)], wait_for_metadata=True
                    )
        finally:
            admin.close()

    def run(self) -> int:
        """Land what is there; the number of messages read."""
        query = bronze.start(
            self.spark,
            self.settings,
            self.topic,
            path=self.path,
            checkpoint=self.checkpoint,
            trigger=Trigger(),
        )
        return bronze.await_all([query])[f"bronze.{self.topic}"]

    def run_stage(self, spark_session: SparkSource | None = None) -> int:
        """Land what is there as `cinelake bronze` does; the number of messages read."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bronze, "TOPIC_OF_TABLE", {"bronze.user_logs": self.topic})
            read = run_bronze(spark_session or (lambda: self.spark), self.settings)
        return read[f"bronze.{self.topic}"]

    def offsets(self) -> dict[int, list[int]]:
        """The offsets in bronze by partition, sorted; one that is there twice is listed twice."""
        rows = changes.query(
            self.settings, "bronze.user_logs", 'select "partition" as p, "offset" as o from t'
        ).to_pylist()
        found: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}
        for row in rows:
            found[row["p"]].append(row["o"])
        return {number: sorted(there) for number, there in found.items()}


@pytest.fixture
def landing(spark: SparkSession, settings: Settings) -> Landing:
    return Landing(spark, settings)


@pytest.mark.parametrize("topic", [USER_LOGS, USER_LOGS_REJECTED, MOVIE])
def test_a_time_that_no_timestamp_can_hold_is_refused_by_kafka_and_stops_no_other(
    settings: Settings, topic: str
) -> None:
    ensure_topics(settings)
    before = sum(topic_end_offsets(settings, topic).values())
    servers = settings.kafka.split(",")
    with closing(KafkaProducer(bootstrap_servers=servers, enable_idempotence=False)) as producer:

        def send(milliseconds: int | None) -> None:
            # Other tests look for their own among what the topics hold.
            value = b'{"event_id": "e", "user_id": "with a clock of its own", "anonymous_id": null}'
            sent = producer.send(topic, value, key=b"1", timestamp_ms=milliseconds)
            producer.flush()
            sent.get(10)

        for milliseconds in (-9_300_000_000_000_000, 1, 2**62, 9_300_000_000_000_000):
            with pytest.raises(InvalidTimestampError):
                send(milliseconds)
        send(None)
        send(1_000_000_000_000)
    assert sum(topic_end_offsets(settings, topic).values()) == before + 2


def test_values_land_byte_for_byte_and_a_second_run_adds_nothing(landing: Landing) -> None:
    landing.send(VALUES)
    assert landing.run() == len(VALUES)
    rows = tables.read(landing.spark, landing.settings, "bronze.user_logs").collect()
    kept = {row.offset: row for row in rows}
    assert [kept[n].value and bytes(kept[n].value) for n in range(len(VALUES))] == VALUES
    assert [bytes(kept[n].key) for n in range(len(VALUES))] == [
        f"k{n}".encode() for n in range(len(VALUES))
    ]
    assert {row.topic for row in rows} == {landing.topic}
    assert all(row.ingest_date == row.timestamp.date() for row in rows)

    assert landing.run() == 0
    landing.send([b"later"], partition=1)
    assert landing.run() == 1
    assert landing.offsets() == {0: list(range(len(VALUES))), 1: [0]}


DAEMON = """
import sys
from cinelake.settings import load_settings
from spark_streaming import bronze
from spark_streaming.session import build_session

topic, path, checkpoint = sys.argv[1:]
settings = load_settings()
bronze.MAX_OFFSETS_PER_BATCH = 20
query = bronze.start(
    build_session(settings), settings, topic,
    path=path, checkpoint=checkpoint, trigger=bronze.Trigger("0 seconds"),
)
print("started", flush=True)
query.awaitTermination()
"""


def test_a_run_killed_in_the_middle_lands_every_message_exactly_once(
    landing: Landing, tmp_path: Path
) -> None:
    for partition in range(PARTITIONS):
        landing.send([f"{n}".encode() for n in range(300)], partition)
    environment = os.environ | {
        "CINELAKE_HOME": str(tmp_path / "home"),
        "KAFKA_BOOTSTRAP_SERVERS": landing.settings.kafka,
        "CINELAKE_SPARK_MEMORY": "1g",
    }
    command = [sys.executable, "-c", DAEMON, landing.topic, landing.path, landing.checkpoint]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"started\n"
        deadline = time.monotonic() + 120
        while not sum(map(len, landing.offsets().values())) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(victim.pid, signal.SIGKILL)
    landed = sum(map(len, landing.offsets().values()))
    assert 0 < landed < 600, "it was killed in the middle"

    landing.run()
    ends = topic_end_offsets(landing.settings, landing.topic)
    assert ends == {0: 300, 1: 300}
    assert landing.offsets() == {number: list(range(end)) for number, end in ends.items()}


def test_a_batch_that_was_written_but_not_committed_is_repeated_without_a_trace(
    landing: Landing,
) -> None:
    landing.send([b"first"] * 5)
    landing.run()
    for part in Path(landing.checkpoint, "commits").glob("*0*"):
        part.unlink()
    landing.send([b"second"] * 3)
    landing.run()
    assert landing.offsets() == {0: list(range(8)), 1: []}


class SparkIsNeededError(Exception):
    """A session was asked for."""


def needing_spark() -> NoReturn:
    raise SparkIsNeededError


def test_no_session_is_made_where_nothing_is_to_land(landing: Landing) -> None:
    assert landing.run_stage(needing_spark) == 0, "an empty topic"
    landing.send([b"first"] * 2)
    with pytest.raises(SparkIsNeededError):
        landing.run_stage(needing_spark)
    assert landing.run_stage() == 2
    assert landing.run_stage(needing_spark) == 0
    landing.send([b"second"], partition=1)
    with pytest.raises(SparkIsNeededError):
        landing.run_stage(needing_spark)
    assert landing.run_stage() == 1
    # Written, and not noted as written: the batch is still to be ended.
    for part in Path(landing.checkpoint, "commits").glob("*1*"):
        part.unlink()
    with pytest.raises(SparkIsNeededError):
        landing.run_stage(needing_spark)
    landing.run_stage()
    assert landing.offsets() == {0: [0, 1], 1: [0]}
    assert landing.run_stage(needing_spark) == 0


def test_messages_that_kafka_no_longer_holds_are_an_error_and_not_a_gap(landing: Landing) -> None:
    landing.send([b"read"] * 3)
    landing.run()
    landing.send([b"lost"] * 3)
    landing.forget(before=5)
    with pytest.raises(ServiceError, match="A streaming query failed") as caught:
        landing.run()
    assert caught.value.exit_code == 5
    assert "run the same command again" in caught.value.hint
    assert landing.offsets() == {0: [0, 1, 2], 1: []}


def test_bronze_goes_on_when_the_messages_that_kafka_had_lost_are_back(landing: Landing) -> None:
    landing.send([b"read"] * 3)
    assert landing.run_stage() == 3
    before = checkpoint_files(landing)

    landing.lose()
    with pytest.raises(ServiceError, match=r"up to offset 3, and Kafka holds 0 to 0") as caught:
        landing.run_stage()
    assert caught.value.exit_code == 5
    assert checkpoint_files(landing) == before, "no query was started"

    # Of a query that was started all the same, as by a daemon whose broker lost its disk under it, a plan is left.
    with pytest.raises(ServiceError, match="A streaming query failed"):
        landing.run()
    assert checkpoint_files(landing) > before

    landing.send([b"read"] * 3)
    landing.send([b"later"] * 2)
    assert landing.run_stage() == 2
    assert landing.offsets() == {0: [0, 1, 2, 3, 4], 1: []}


def checkpoint_files(landing: Landing) -> set[Path]:
    return set(Path(landing.checkpoint).rglob("*"))


@pytest.mark.parametrize("lost", ["", "offsets", "metadata"])
def test_bronze_does_not_read_kafka_once_more_when_its_checkpoint_is_lost(
    landing: Landing, lost: str
) -> None:
    landing.send([b"read"] * 3)
    assert landing.run_stage() == 3
    landing.send([b"later"] * 2)
    gone = Path(landing.checkpoint, lost)
    kept = gone.rename(gone.with_name("kept"))
    with pytest.raises(CheckpointMismatchError, match=r"its checkpoint .* knows nothing of"):
        landing.run_stage()
    assert landing.offsets() == {0: [0, 1, 2], 1: []}
    assert not gone.exists(), "no query was started"

    kept.rename(gone)
    assert landing.run_stage() == 2
    assert landing.offsets() == {0: [0, 1, 2, 3, 4], 1: []}


def test_bronze_does_not_go_on_with_a_table_that_was_made_anew(landing: Landing) -> None:
    landing.send([b"read"] * 3)
    assert landing.run_stage() == 3
    landing.send([b"later"] * 2)
    shutil.rmtree(landing.path)
    for _ in range(2):
        with pytest.raises(CheckpointMismatchError, match="lacks messages that its checkpoint"):
            landing.run_stage()
        tables.ensure_layer(lambda: landing.spark, landing.settings, "bronze")
    assert landing.offsets() == {0: [], 1: []}

    shutil.rmtree(landing.checkpoint)
    assert landing.run_stage() == 5
    assert landing.offsets() == {0: [0, 1, 2, 3, 4], 1: []}


def test_a_table_and_its_checkpoint_are_brought_back_together_or_not_at_all(
    landing: Landing, tmp_path: Path
) -> None:
    landing.send([b"read"] * 3)
    assert landing.run_stage() == 3
    folders = {"table": landing.path, "checkpoint": landing.checkpoint}
    for name, folder in folders.items():
        shutil.copytree(folder, tmp_path / "backup" / name)
    landing.send([b"later"] * 2)
    assert landing.run_stage() == 2

    def bring_back(name: str) -> None:
        shutil.rmtree(folders[name])
        shutil.copytree(tmp_path / "backup" / name, folders[name])

    bring_back("checkpoint")
    with pytest.raises(CheckpointMismatchError, match=r"its checkpoint .* knows nothing of"):
        landing.run_stage()
    bring_back("table")
    assert landing.run_stage() == 2
    assert landing.offsets() == {0: [0, 1, 2, 3, 4], 1: []}
