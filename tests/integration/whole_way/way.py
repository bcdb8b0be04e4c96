"""A home of its own, and the way of records through it: the real doors, and a refresh."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count, groupby
from pathlib import Path
from uuid import uuid4

import requests
import structlog
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError
from cinelake.settings import Settings, load_settings
from cinelake.stack import local
from cinelake.stack.api import endpoint
from ingestion.api import keys
from ingestion.producer import EventProducer, Record
from ingestion.tmdb.catalog import load_catalog, read_movies
from ingestion.topics import MOVIE, USER_LOGS
from pipeline.refresh import RefreshReport, refresh
from pipeline.stack import bring_up
from tests.integration.whole_way.drawn import CSV_COLUMNS
from tests.integration.whole_way.records import Sent

EVENTS_A_POST = 50
BYTES_A_POST = 512 * 1024
"""Half of what the API takes."""


@dataclass
class Taken:
    """What was let in so far.

    Args:
        events: Events that the API answered 202 for.
        messages: Records that a direct producer sent, of each topic.
        answers: Movies as the loader read them, in the order in which they were loaded: the record and what was stored.
        published: How many of them Kafka got: one that is as it was before is not sent again.
    """

    events: list[Sent] = field(default_factory=list)
    messages: dict[str, list[Sent]] = field(default_factory=lambda: {USER_LOGS: [], MOVIE: []})
    answers: list[tuple[Sent, dict[str, object]]] = field(default_factory=list)
    published: int = 0


class Way:
    """A running home, and what went through it.

    Args:
        settings: Of the home.
        spark: The session to refresh with.
        folder: Where files to load are written.
    """

    def __init__(self, settings: Settings, spark: SparkSession, folder: Path) -> None:
        self.settings = settings
        self.taken = Taken()
        self._spark = spark
        self._folder = folder
        self._file_numbers = count()
        self._key = keys.create_key(settings, "whole way", requests_per_second=100_000)

    def send(self, records: Sequence[Sent]) -> None:
        """Send records, each through its door, and keep what was taken."""
        of = {door: list(each) for door, each in groupby(sorted(records, key=_door), key=_door)}
        self._post(of.get("api", []))
        for topic, door in ((USER_LOGS, "user_logs"), (MOVIE, "movie")):
            self._produce(topic, of.get(door, []))
        for door in ("catalog", "csv"):
            self._load(of.get(door, []))

    def refresh(self) -> RefreshReport:
        """Bring all of it to gold."""
        with structlog.contextvars.bound_contextvars(run_id=str(uuid4())):
            return refresh(lambda: self._spark, self.settings)

    def _post(self, records: list[Sent]) -> None:
        headers = {"X-API-Key": self._key, "Content-Type": "application/json"}
        with requests.Session() as session:
            for part in _posts(records):
                body = f"[{','.join(record.text for record in part)}]".encode()
                answer = session.post(
                    f"{endpoint(self.settings)}/v1/events", data=body, headers=headers, timeout=60
                )
                assert answer.status_code in (202, 422), answer.text
                refused = {error["index"] for error in answer.json()["errors"]}
                taken = [record for index, record in enumerate(part) if index not in refused]
                assert answer.json()["accepted"] == len(taken)
                self.taken.events += taken

    def _produce(self, topic: str, records: list[Sent]) -> None:
        if not records:
            return
        producer = EventProducer(self.settings)
        sent = [Record(topic, b"key", record.text.encode()) for record in records]
        assert producer.publish(sent) == [None] * len(sent)
        producer.close()
        self.taken.messages[topic] += records

    def _load(self, records: list[Sent]) -> None:
        """Load files in which each movie stands once, as of two in one file only the later one is offered to Kafka."""
        files: list[dict[object, tuple[Sent, dict[str, object]]]] = []
        last: dict[object, int] = {}
        for record in records:
            movie = self._read(record)
            if movie is None:
                continue
            number = last.get(movie["id"], -1) + 1
            last[movie["id"]] = number
            if number == len(files):
                files.append({})
            files[number][movie["id"]] = (record, movie)
        for file in files:
            loaded = list(file.values())
            result = load_catalog(self.settings, self._file([record for record, _ in loaded]))
            self.taken.published += result.published
            self.taken.answers += loaded

    def _read(self, record: Sent) -> dict[str, object] | None:
        """The movie as the loader reads it; None where it refuses."""
        path = self._file([record])
        try:
            (movie,) = read_movies(path)
        except BadInputError:
            return None
        finally:
            path.unlink()
        return movie

    def _file(self, records: list[Sent]) -> Path:
        if records[0].door == "catalog":
            path = self._folder / f"{next(self._file_numbers)}.jsonl"
            path.write_bytes("\n".join(record.text for record in records).encode())
            return path
        path = self._folder / f"{next(self._file_numbers)}.csv"
        with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            writer = csv.DictWriter(file, CSV_COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(record.value for record in records)
        return path


def _posts(records: Iterable[Sent]) -> Iterator[list[Sent]]:
    """Events that go together."""
    part: list[Sent] = []
    size = 0
    for record in records:
        if part and (len(part) == EVENTS_A_POST or size + len(record.text) > BYTES_A_POST):
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record.text)
    if part:
        yield part


def _door(record: Sent) -> str:
    return record.door


@contextmanager
def own_way(spark: SparkSession, folder: Path) -> Iterator[Way]:
    """A home that nothing has gone through yet; it is stopped at the end.

    Args:
        spark: The session to refresh with.
        folder: An empty folder that PostgreSQL's account can enter.
    """
    places = {
        "CINELAKE_HOME": str(folder / "home"),
        "DBT_PROFILES_DIR": str(folder / "dbt-profile"),
    }
    files = folder / "files"
    files.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(local.down, load_settings(**places))
        yield Way(bring_up(load_settings(**places)), spark, files)
