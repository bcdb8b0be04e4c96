"""TMDB to MongoDB to Kafka: everything arrives once, through faults and kills, and nothing is asked for in vain."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pymongo
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from pydantic import SecretStr
from tenacity import wait_none

from cinelake.errors import BadInputError
from cinelake.settings import PROJECT_ROOT, Settings
from ingestion.generated_catalog import FIRST_ID, generate_catalog, generated_movies
from ingestion.producer import EventProducer
from ingestion.raw_store import (
    MAX_MOVIE_BYTES,
    MOVIES,
    REFERENCE,
    Offered,
    open_database,
    open_raw_store,
)
from ingestion.refused import count_refused, list_refused, read_refused
from ingestion.simulate import loaded_movies, movie_from
from ingestion.tmdb import client as client_module
from ingestion.tmdb.asking import UNDER_WAY
from ingestion.tmdb.backup_to_kafka import _record, publish_again, publish_movies
from ingestion.tmdb.catalog import load_catalog
from ingestion.tmdb.endpoints import MAX_MOVIE_DEPTH, read_movie
from ingestion.tmdb.errors import TmdbError
from ingestion.tmdb.sandbox import answers
from ingestion.tmdb.sandbox.catalogue import Catalogue, Rendered
from ingestion.tmdb.sandbox.server import KEY, Mood, Sandbox
from ingestion.tmdb.sync import SyncResult, Wanted, sync
from ingestion.tmdb.sync_state import Run, SyncState
from ingestion.topics import MAX_MESSAGE_BYTES, MOVIE, ensure_topics, topic_end_offsets
from tests.integration.conftest import CommandLine, command_line
from tests.integration.tmdb_sandbox import PER_SECOND, RunningSandbox, sandbox_process

MOVIES_SERVED = 120
FAULTS = (
    *("--too-many", "0.05", "--server-error", "0.02", "--truncated", "0.01"),
    *("--retry-after", "0"),
)
"""Of every hundred requests 5 meet a 429, 2 a 5xx, 1 a cut-off answer. Waiting out `Retry-After` is tested apart."""


@dataclass(frozen=True)
class Place:
    """A database of the test's own, a sandbox, and the part of the topic that the test fills.

    Args:
        settings: Pointing at both.
        sandbox: In the place of TMDB.
        first_offsets: Where the topic ended before.
    """

    settings: Settings
    sandbox: RunningSandbox
    first_offsets: dict[int, int]

    def sync(self, kind: Any, **changes: Any) -> SyncResult:
        wanted = {name: changes.pop(name) for name in ("ids", "source") if name in changes}
        return sync(self.settings.model_copy(update=changes), Wanted(kind, **wanted))

    @property
    def environment(self) -> dict[str, str]:
        """For the command line in a process of its own."""
        own = {"PYTHONPATH": str(PROJECT_ROOT), "MONGO_URI": self.settings.mongo}
        return command_line(self.settings.home).environment | self.sandbox.environment | own

    def documents(self) -> dict[int, dict[str, Any]]:
        with pymongo.MongoClient[dict[str, Any]](self.settings.mongo, tz_aware=True) as client:
            found = client.get_default_database()[MOVIES].find({}, {"payload": 0})
            return {each["_id"]: each for each in found}

    def changes_since(self) -> datetime:
        """Up to when the changes are in the store."""
        with open_database(self.settings) as database:
            moment = SyncState(database).changes_since()
        assert moment
        return moment

    def unfinished(self) -> bool:
        """Whether a run is to be resumed."""
        with open_database(self.settings) as database:
            return database["tmdb_sync"].count_documents({"_id": {"$regex": "^run:"}}) > 0

    def messages(self) -> list[tuple[int, dict[str, Any]]]:
        """Key and value of each message that the topic got since the test began, in order within a key."""
        ends = topic_end_offsets(self.settings, MOVIE)
        left = sum(end - self.first_offsets[number] for number, end in ends.items())
        servers = self.settings.kafka.split(",")
        with closing(
            KafkaConsumer(bootstrap_servers=servers, consumer_timeout_ms=20_000)
        ) as consumer:
            consumer.assign([TopicPartition(MOVIE, number) for number in ends])
            for number, first in self.first_offsets.items():
                consumer.seek(TopicPartition(MOVIE, number), first)
            records = [record for _, record in zip(range(left), consumer, strict=False)]
        assert len(records) == left
        return [(int(record.key), orjson.loads(record.value)) for record in records]

    def assert_all_there(self, expected: dict[int, str]) -> None:
        """Each movie is one document of one version, and its hash is acknowledged and in the topic."""
        documents = self.documents()
        assert {key: each["content_hash"] for key, each in documents.items()} == expected
        assert {each["published_hash"] for each in documents.values()} == set(expected.values())
        assert all(each["published_hash"] == each["content_hash"] for each in documents.values())
        assert {each["version"] for each in documents.values()} == {1}
        assert {key: value["content_hash"] for key, value in self.messages()} == expected


def place_of(stack: Settings, sandbox: RunningSandbox) -> Place:
    ensure_topics(stack)
    settings = stack.model_copy(
        update={
            "mongo_uri": f"{stack.mongo.rpartition('/')[0]}/tmdb_{uuid4().hex}",
            "tmdb_base_url": f"{sandbox.address}/3",
            "tmdb_api_key": SecretStr(KEY),
            "tmdb_requests_per_second": PER_SECOND,
        }
    )
    return Place(settings, sandbox, topic_end_offsets(stack, MOVIE))


@pytest.fixture
def rough(stack: Settings, catalog: Path) -> Iterator[Place]:
    """A place whose sandbox is a process of its own and has faults."""
    with sandbox_process(catalog, *FAULTS) as sandbox:
        yield place_of(stack, sandbox)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    """A sandbox in this process, without faults."""
    movies = generated_movies(MOVIES_SERVED)
    server = Sandbox(Catalogue(movies), Mood(ceiling=PER_SECOND))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def place(stack: Settings, server: Sandbox, tmp_path: Path) -> Place:
    """A place with 120 generated movies and no faults."""
    generate_catalog(tmp_path / "movies.jsonl", MOVIES_SERVED)
    return place_of(stack, RunningSandbox(server.address, tmp_path / "movies.jsonl"))


@pytest.fixture(params=["generated", "real"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path, real_data: Path | None) -> Path:
    """A file of movies: 600 generated ones, or all 4,803 of TMDB 5000."""
    if request.param == "generated":
        generate_catalog(tmp_path / "movies.jsonl", 600)
        return tmp_path / "movies.jsonl"
    if real_data is None:
        pytest.skip("CINELAKE_DATA names no folder with the real data sets")
    # The sandbox's home is the folder of its file: not that of the data.
    link = tmp_path / "tmdb_5000_movies.csv"
    link.symlink_to(real_data / "tmdb" / "tmdb_5000_movies.csv")
    return link


# --- A full sync --------------------------------------------------------------------------------------------


def test_every_movie_arrives_once_through_all_faults(rough: Place) -> None:
    place = rough
    expected = place.sandbox.expected()
    result = place.sync("full")
    assert (result.new, result.published, result.failures) == (len(expected), len(expected), {})
    place.assert_all_there(expected)
    stats = place.sandbox.stats()
    assert {"too_many", "server_error", "truncated"} <= set(stats["faults"])
    assert (stats["delivered"], stats["delivered_again"]) == (len(expected), 0)
    assert (stats["over_ceiling"], stats["peak_per_second"] <= PER_SECOND) == (0, True)
    assert result.requests == stats["requests"]


def test_five_kills_change_nothing_and_cost_at_most_a_page_each(rough: Place) -> None:
    place = rough
    expected = place.sandbox.expected()
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    # Five moments anywhere between the first movie and the last, in the order in which they come.
    moments = sorted(chance.randrange(1, len(expected)) for _ in range(5))
    asked_again = 0
    for moment in moments:
        killed = _killed_when(place, moment, chance.random() * 0.1)
        assert killed, f"the sync ended before it was killed (seed {seed})"
        asked_again = _at_most_a_page_more(place, asked_again, seed)
    done = _command(place, "sync", "--full").communicate(timeout=300)
    assert "went on with an unfinished sync" in done[0], (seed, done)
    _at_most_a_page_more(place, asked_again, seed)
    place.assert_all_there(expected)
    stats = place.sandbox.stats()
    assert (stats["over_ceiling"], stats["peak_per_second"] <= PER_SECOND) == (0, True), seed


def _killed_when(place: Place, delivered: int, later: float) -> bool:
    process = _command(place, "sync", "--full")
    while place.sandbox.stats()["delivered"] < delivered and process.poll() is None:
        time.sleep(0.01)
    time.sleep(later)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def _at_most_a_page_more(place: Place, before: int, seed: int) -> int:
    """What was asked for again since the last kill: movies, and what every start asks for."""
    stats = place.sandbox.stats()
    at_start = ("configuration", "genres", "export")
    # A full sync asks for the configuration when it starts and when it lists.
    starts = sum(stats["replies"].get(f"{kind} 200", 0) for kind in at_start) - 4
    now = int(stats["delivered_again"]) + starts
    assert now - before <= UNDER_WAY + 2 == 20, seed
    return now


def _command(place: Place, *arguments: str) -> "subprocess.Popen[str]":
    cinelake = str(Path(sys.executable).with_name("cinelake"))
    return subprocess.Popen(
        [cinelake, "tmdb", *arguments],
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_discover_finds_what_the_id_file_finds(place: Place) -> None:
    result = place.sync("full", source="discover")
    assert result.new == MOVIES_SERVED
    place.assert_all_there(place.sandbox.expected())


Break = Callable[..., None]


@pytest.fixture
def break_movies(server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Break:
    """Answer so to some movies, until called without any; the attempts do not wait for each other."""
    monkeypatch.setattr(client_module, "_BACK_OFF", wait_none())
    whole, broken = answers._movie, dict[int, answers.Reply]()

    def answer(catalogue: Catalogue, movie_id: int, parameters: answers.Parameters) -> Any:
        return broken.get(movie_id) or whole(catalogue, movie_id, parameters)

    def make(*ids: int, content: Any = None, status: int = 200) -> None:
        broken.clear()
        broken.update({
            each: answers.Reply("movie", status, Rendered(content or {"id": each, "title": None}), each)
            for each in ids
        })  # fmt: skip

    monkeypatch.setattr(answers, "_movie", answer)
    return make


BROKEN = FIRST_ID + 7
REFUSED = {"success": False, "status_message": "No."}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        pytest.param(200, {"id": BROKEN, "title": None}, id="no title"),
        pytest.param(200, {"id": BROKEN + 1, "title": "x"}, id="another movie"),
        pytest.param(200, {"id": BROKEN, "title": "x", "budget": 2**60}, id="beyond 2^53"),
        pytest.param(200, REFUSED, id="refused as 200"),
        pytest.param(200, {**REFUSED, "status_code": 7}, id="a wrong key as 200"),
        pytest.param(401, {**REFUSED, "status_code": 7}, id="401"),
        pytest.param(403, REFUSED, id="403"),
        pytest.param(404, REFUSED, id="404 without a code"),
        pytest.param(503, REFUSED, id="503"),
    ],
)
def test_a_movie_that_never_answers_well_is_named_and_holds_up_nothing_until_it_does(
    place: Place, server: Sandbox, break_movies: Break, status: int, content: Any
) -> None:
    break_movies(BROKEN, content=content, status=status)
    named = rf"^1 movies \({BROKEN}; of {BROKEN}: .* could not be asked for; all others came"
    with pytest.raises(TmdbError, match=named) as caught:
        place.sync("full")
    assert caught.value.exit_code == 7
    expected = place.sandbox.expected()
    del expected[BROKEN]
    place.assert_all_there(expected)

    # What is edited later arrives, and the changes of that time are done with.
    server.catalogue.edit_these([FIRST_ID, FIRST_ID + 100])
    since = place.changes_since()
    for changed in (2, 0):
        with pytest.raises(TmdbError, match=named):
            place.sync("changes")
        versions = [each["version"] for each in place.documents().values()]
        assert versions.count(2) == 2, changed
    assert place.changes_since() > since
    with pytest.raises(TmdbError, match=named):
        place.sync("ids", ids=[FIRST_ID])

    break_movies()
    result = place.sync("ids", ids=[FIRST_ID])
    assert (result.resumed, result.new, result.unchanged) == (False, 1, 1)
    assert set(place.documents()) == set(place.sandbox.expected())
    # It is asked for no more than others are.
    assert place.sync("ids", ids=[FIRST_ID]).unchanged == 1


def test_a_movie_that_failed_and_is_then_gone_is_asked_for_no_more(
    place: Place, server: Sandbox, break_movies: Break
) -> None:
    place.sync("full")
    stored, unknown = FIRST_ID, FIRST_ID + MOVIES_SERVED
    break_movies(stored, unknown)
    with pytest.raises(TmdbError, match=rf"^2 movies \({stored}, {unknown}; of "):
        place.sync("ids", ids=[stored, unknown])
    break_movies()
    del server.catalogue._movies[stored]
    result = place.sync("changes")
    assert (result.deleted, result.unknown) == (1, 1)
    result = place.sync("changes")
    assert (result.deleted, result.unknown, result.unchanged) == (0, 0, 0)


def test_however_many_movies_fail_those_behind_them_come(place: Place, break_movies: Break) -> None:
    broken = range(FIRST_ID, FIRST_ID + 2 * UNDER_WAY + 4)
    break_movies(*broken)
    others = set(place.sandbox.expected()) - set(broken)
    with pytest.raises(TmdbError, match="goes on where it stopped"):
        place.sync("full")
    assert len(place.documents()) == 0
    runs = 1
    while place.unfinished():
        with pytest.raises(TmdbError):
            place.sync("full")
        runs += 1
    assert runs <= 3
    assert set(place.documents()) == others
    with pytest.raises(TmdbError, match=rf"^{len(broken)} movies [^\n]*\n.* of any kind"):
        place.sync("changes")
    assert not place.unfinished()
    break_movies()
    assert place.sync("changes").new == len(broken)


STEPS = ((SyncState, "keep_failed"), (SyncState, "forget_failed"), (Run, "settle"), (Run, "finish"))


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
def test_a_kill_around_any_step_loses_no_movie_that_failed(
    place: Place, break_movies: Break, owner: type, step: str, is_done: bool
) -> None:
    broken = [FIRST_ID, BROKEN, FIRST_ID + MOVIES_SERVED - 1]
    break_movies(*broken)

    def sync_killed() -> None:
        """A sync that is killed at the first and the fourth call of the step, and started again."""
        with pytest.MonkeyPatch.context() as patch:
            real, times = getattr(owner, step), iter((True, False, False, True))

            def die(*arguments: Any) -> None:
                is_time = next(times, False)
                if is_done or not is_time:
                    real(*arguments)
                if is_time:
                    raise KeyboardInterrupt

            patch.setattr(owner, step, die)
            for _ in range(4):
                try:
                    place.sync("full")
                except KeyboardInterrupt:
                    continue
                except TmdbError:
                    break

    sync_killed()
    assert set(place.documents()) == set(place.sandbox.expected()) - set(broken)
    with pytest.raises(TmdbError, match=r"^3 movies"):
        place.sync("full")
    break_movies()
    sync_killed()
    place.sync("full")
    place.assert_all_there(place.sandbox.expected())
    assert place.sync("changes").unchanged == 0


def test_a_tmdb_that_fails_all_the_time_is_left_alone(
    place: Place, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_BACK_OFF", wait_none())
    monkeypatch.setattr(server.catalogue, "movie", lambda *_: Rendered("no movie"))
    with pytest.raises(TmdbError, match="could not be asked for"):
        place.sync("full")
    assert server.limiter.total < 2 + 8 * 3 * UNDER_WAY < 8 * MOVIES_SERVED
    assert place.documents() == {}


def test_genres_and_the_configuration_are_kept(place: Place) -> None:
    place.sync("full")
    with pymongo.MongoClient[dict[str, Any]](place.settings.mongo) as client:
        found = client.get_default_database()[REFERENCE].find({})
        kept = {each["_id"]: each["payload"] for each in found}
    assert kept["configuration"]["images"]["secure_base_url"] == "https://image.tmdb.org/t/p/"
    assert {"id": 18, "name": "Drama"} in kept["genres"]


def test_a_movie_that_kafka_will_never_take_is_refused_once_holds_up_no_other_and_heals(
    place: Place, server: Sandbox
) -> None:
    movie = server.catalogue._movies[FIRST_ID]
    movie["overview"] = "x" * (MAX_MESSAGE_BYTES + 1)
    first = place.sync("full")
    assert (first.published, first.refused) == (MOVIES_SERVED - 1, 1)
    assert len(place.documents()) == MOVIES_SERVED
    assert {key for key, _ in place.messages()} == set(place.documents()) - {FIRST_ID}

    (row,) = list_refused(place.settings, 10)
    assert (row["place"], row["kafka_topic"]) == (f"{MOVIES}/{FIRST_ID}", MOVIE)
    assert "too large" in row["reason"]
    assert orjson.loads((read_refused(place.settings, row["place"]) or {})["payload"]) == movie
    assert [each["messages"] for each in count_refused(place.settings)] == [1]

    with open_raw_store(place.settings) as store:
        assert list(store.unpublished_movies()) == []
        assert publish_movies(place.settings, store) == 0
    assert list_refused(place.settings, 10) == [row], "it was not offered again"

    movie["overview"] = "short"
    server.catalogue._changed([FIRST_ID], None)
    healed = place.sync("full")
    assert (healed.published, healed.refused) == (1, 0)
    assert list_refused(place.settings, 10) == []


def test_a_bad_line_of_a_file_keeps_none_before_it_from_being_stored(
    place: Place, tmp_path: Path
) -> None:
    file = tmp_path / "movies.jsonl"
    file.write_text('{"id": 1, "title": "a"}\n{"id": "2.0", "title": "b"}\n{"id": 0}\n{"id": 3}\n')
    with pytest.raises(BadInputError, match="line 3"):
        load_catalog(place.settings, file)
    assert set(place.documents()) == {1, 2}
    file.write_text(file.read_text().replace('{"id": 0}\n', ""))
    result = load_catalog(place.settings, file)
    assert (result.unchanged, result.new, result.published, result.refused) == (2, 1, 3, 0)


def test_simulated_visitors_watch_the_movies_that_are_loaded(place: Place) -> None:
    with open_raw_store(place.settings) as store:
        assert loaded_movies(store) == []
        place.sync("full")
        store.mark_deleted([FIRST_ID], datetime.now(UTC))
        movies = loaded_movies(store)
    assert movies == [movie_from(each) for each in generated_movies(MOVIES_SERVED)][1:]


def test_the_longest_and_the_deepest_movie_that_is_read_is_stored(place: Place) -> None:
    deepest: list[Any] = []
    for _ in range(MAX_MOVIE_DEPTH - 2):
        deepest = [deepest]
    longest = "x" * (MAX_MOVIE_BYTES - 100)
    movies = [{**_movie(1, "a"), "deep": deepest}, {**_movie(2, "b"), "long": longest}]
    assert [read_movie(movie, movie["id"]) for movie in movies] == movies
    with open_raw_store(place.settings) as store:
        store.upsert_batch([Offered(movie, datetime.now(UTC)) for movie in movies])
        assert store.known_ids([1, 2]) == {1, 2}


# --- Changes ------------------------------------------------------------------------------------------------


def test_changes_want_a_full_sync_first(place: Place) -> None:
    with pytest.raises(BadInputError, match="no full sync yet"):
        place.sync("changes")


def test_fifty_edits_are_fifty_versions_and_fifty_messages(place: Place) -> None:
    place.sync("full")
    before, sent = place.documents(), len(place.messages())
    edited = place.sandbox.change("edit", 50)
    result = place.sync("changes")
    assert (result.new, result.changed, result.published) == (0, 50, 50)
    after = place.documents()
    assert {key for key in after if after[key]["version"] == 2} == edited
    assert {key for key in after if after[key] != before[key]} == edited
    news = place.messages()
    assert len(news) == sent + 50
    assert {
        key for key, value in news if value["content_hash"] != before[key]["content_hash"]
    } == edited


@pytest.mark.parametrize("edits", [0, 50])
def test_a_second_run_with_nothing_new_writes_and_sends_nothing(place: Place, edits: int) -> None:
    place.sync("full")
    if edits:
        place.sandbox.change("edit", edits)
    place.sync("changes")
    before, sent = place.documents(), len(place.messages())
    requests_before = place.sandbox.stats()["requests"]
    result = place.sync("changes")
    assert (result.new, result.changed, result.deleted, result.published) == (0, 0, 0, 0)
    assert place.sandbox.stats()["requests"] - requests_before < 10
    assert result.requests < 10
    assert place.documents() == before
    assert len(place.messages()) == sent


def test_an_edit_soon_after_another_is_late_but_never_lost(place: Place) -> None:
    place.sync("full")
    edited = place.sandbox.change("edit", MOVIES_SERVED)
    assert place.sync("changes").changed == MOVIES_SERVED
    assert place.sandbox.change("edit", MOVIES_SERVED) == edited
    # The list of the day says nothing new: they were asked for less than fifteen minutes ago.
    assert place.sync("changes").changed == 0
    assert place.sync("changes", tmdb_recheck_minutes=0).changed == MOVIES_SERVED
    assert {each["version"] for each in place.documents().values()} == {3}


def test_a_vanished_movie_is_marked_published_and_kept(place: Place) -> None:
    place.sync("full")
    before = place.documents()
    removed = place.sandbox.change("remove", 3)
    result = place.sync("changes")
    assert (result.deleted, result.published, result.changed) == (3, 3, 0)
    after = place.documents()
    assert {key for key in after if after[key]["deleted_at"]} == removed
    assert {key: each["content_hash"] for key, each in after.items()} == {
        key: each["content_hash"] for key, each in before.items()
    }
    latest = dict(place.messages())
    assert {key for key, value in latest.items() if value["deleted_at"]} == removed
    for key in removed:
        assert set(latest[key]) == {"fetched_at", "content_hash", "deleted_at", "movie"}
        assert datetime.fromisoformat(latest[key]["deleted_at"]) == after[key]["deleted_at"]
        assert latest[key]["movie"]["id"] == key
    assert place.sync("changes", tmdb_recheck_minutes=0).deleted == 0


def test_a_full_sync_finds_what_vanished_without_a_trace(place: Place) -> None:
    """Of edits of more than a window ago the list of changes would know; of a removed entry it may not."""
    place.sync("full")
    removed = place.sandbox.change("remove", 2, date(2020, 1, 1))
    result = place.sync("full")
    assert (result.deleted, result.unchanged) == (2, MOVIES_SERVED - 2)
    assert {key for key, each in place.documents().items() if each["deleted_at"]} == removed


def test_a_movie_that_comes_back_is_no_longer_deleted(place: Place) -> None:
    place.sync("full")
    (movie_id, *_), now = place.documents(), datetime.now(UTC)
    with open_raw_store(place.settings) as store:
        assert store.mark_deleted([movie_id], now) == 1
        publish_movies(place.settings, store)
    assert dict(place.messages())[movie_id]["deleted_at"]
    result = place.sync("ids", ids=[movie_id])
    assert (result.changed, result.published) == (1, 1)
    assert dict(place.messages())[movie_id]["deleted_at"] is None


def test_a_gap_of_weeks_is_walked_in_windows(place: Place) -> None:
    place.sync("full")
    now = datetime.now(UTC)
    with pymongo.MongoClient[dict[str, Any]](place.settings.mongo) as client:
        client.get_default_database()["tmdb_sync"].update_one(
            {"_id": "changes_since"}, {"$set": {"moment": now - timedelta(days=50)}}
        )
    edited = set()
    for days in (49, 36, 28, 14, 13, 1, 0):
        edited |= place.sandbox.change("edit", 4, (now - timedelta(days=days)).date())
    older = place.sandbox.change("edit", 4, (now - timedelta(days=60)).date()) - edited
    assert place.sync("changes").changed == len(edited)
    versions = {key: each["version"] for key, each in place.documents().items()}
    assert {key for key, version in versions.items() if version == 2} == edited
    assert all(versions[key] == 1 for key in older)
    assert place.sandbox.stats()["replies"]["changes 200"] == 4


# --- The outbox ---------------------------------------------------------------------------------------------


def _movie(number: int, title: str) -> dict[str, Any]:
    return {"id": number, "title": title}


def test_what_was_stored_before_a_crash_is_published_after_it(place: Place) -> None:
    with open_raw_store(place.settings) as store:
        store.upsert_batch([Offered(_movie(1, "a"), datetime.now(UTC))])
    assert place.messages() == []
    place.sync("ids", ids=[900_000_001])
    assert [key for key, _ in place.messages()] == [1, 900_000_001]


def test_what_was_published_before_a_crash_is_sent_again_and_then_no_more(place: Place) -> None:
    with (
        open_raw_store(place.settings) as store,
        closing(EventProducer(place.settings)) as producer,
    ):
        store.upsert_batch([Offered(_movie(1, "a"), datetime.now(UTC))])
        (batch,) = store.unpublished_movies()
        assert producer.publish([_record(batch[0])]) == [None]
        assert publish_movies(place.settings, store) == 1
        assert publish_movies(place.settings, store) == 0
    values = [value for _, value in place.messages()]
    assert len(values) == 2
    assert values[0] == values[1]


@pytest.mark.parametrize("news", ["edit", "deletion"])
def test_news_that_comes_while_an_older_state_is_published_is_published_too(
    place: Place, news: str
) -> None:
    now = datetime.now(UTC)
    with open_raw_store(place.settings) as store:
        store.upsert_batch([Offered(_movie(1, "a"), now)])
        (batch,) = store.unpublished_movies()
        if news == "edit":
            store.upsert_batch([Offered(_movie(1, "b"), now)])
        else:
            store.mark_deleted([1], now)
        store.mark_published(batch)
        assert publish_movies(place.settings, store) == 1
    ((_, value),) = place.messages()
    assert (value["movie"]["title"], value["deleted_at"] is not None) in (
        {("b", False)} if news == "edit" else {("a", True)}
    )


def test_all_or_the_latest_can_be_published_again(place: Place) -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    with open_raw_store(place.settings) as store:
        store.upsert_batch([Offered(_movie(1, "a"), early), Offered(_movie(2, "b"), late)])
        store.upsert_batch([Offered(_movie(3, "c"), early)])
        store.mark_deleted([3], late)
        assert publish_movies(place.settings, store) == 3
        assert publish_again(place.settings, store) == 3
        assert publish_again(place.settings, store, late) == 2
    assert sorted(key for key, _ in place.messages()) == [1, 1, 2, 2, 2, 3, 3, 3]


def test_publish_is_a_command(place: Place) -> None:
    place.sync("ids", ids=[900_000_001, 900_000_002])
    for arguments, count in (((), 0), (("--all",), 2), (("--since", "2999-01-01"), 0)):
        done = CommandLine(place.environment).run("tmdb", "publish", *arguments)
        assert done.stdout.strip() == f"{count} published"


def test_the_topic_is_compacted_and_has_four_partitions(stack: Settings) -> None:
    ensure_topics(stack)
    assert sorted(topic_end_offsets(stack, MOVIE)) == [0, 1, 2, 3]
    with closing(KafkaAdminClient(bootstrap_servers=stack.kafka.split(","))) as admin:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, MOVIE)])
    assert "compact" in str(found)
