import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from recording_publisher import KEY, KnownKeys, RecordingPublisher, serving
from scripted_api import ScriptedApi, answer, scripted_api

from cinelake.errors import BadInputError, ServiceError, SettingError
from ingestion.api.app import create_app
from ingestion.client import CinelakeClient, Limits, RejectedEvent
from ingestion.outbox import OutboxFullError
from ingestion.spool import SpoolError, SpoolFullError
from ingestion.topics import USER_LOGS
from tests.waiting import eventually

NOWHERE = "http://127.0.0.1:9"
QUICK = Limits(batch_age=0.05)
NOT_YET = Limits(batch_age=3600)
"""Nothing goes out by itself."""


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        yield api


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.client._LONGEST_PAUSE", 0.2)


def soon(condition: Callable[[], Any], seconds: float = 10) -> None:
    eventually(condition, seconds, pause=0.01)


def view(client: CinelakeClient, **fields: Any) -> str:
    return client.track("page_view", user_id="u1", **fields)


def test_an_event_arrives_as_it_was_tracked() -> None:
    publisher = RecordingPublisher()
    moment = datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    with (
        serving(create_app(publisher=publisher, keys=KnownKeys())) as url,
        CinelakeClient(
            url, api_key=KEY, app_version="web-7", user_agent="Backend/1 (テレビ)"
        ) as client,
    ):
        event_id = client.track(
            "rating",
            user_id="u1",
            anonymous_id="a1",
            session_id="s1",
            movie_id=862,
            properties={"rating": 8.5},
            context={"locale": "en-GB"},
            occurred_at=moment,
        )
        before = datetime.now(UTC)
        other = client.track("page_view", anonymous_id="a1")
        assert client.flush()
    rating, page = publisher.values(USER_LOGS)
    assert UUID(event_id).version == 4
    assert rating.pop("received_at")
    assert rating.pop("key_id") == KEY.split("_")[1]
    assert rating.pop("context") == {
        "user_agent": "Backend/1 (テレビ)",
        "ip": "127.0.0.1",
        "locale": "en-GB",
        "referrer": None,
        "app_version": "web-7",
        "screen": None,
    }
    assert rating == {
        "event_id": event_id,
        "event_type": "rating",
        "schema_version": 1,
        "occurred_at": "2026-01-01T12:00:00.000000Z",
        "user_id": "u1",
        "anonymous_id": "a1",
        "session_id": "s1",
        "movie_id": 862,
        "properties": {"rating": 8.5},
    }
    assert page["event_id"] == other
    occurred = datetime.fromisoformat(page["occurred_at"])
    assert before <= occurred <= before + timedelta(seconds=5)


def test_track_does_not_wait_for_the_api() -> None:
    publisher = RecordingPublisher()
    answers = threading.Event()
    publish = publisher.publish
    publisher.publish = lambda records: answers.wait(30) and publish(records)  # type: ignore
    with serving(create_app(publisher=publisher, keys=KnownKeys())) as url:
        client = CinelakeClient(url, api_key=KEY, limits=QUICK)
        ids = [view(client)]
        soon(lambda: client._outbox.seconds_until_ripe() is None)
        ids += [view(client) for _ in range(10)]
        assert not publisher.records
        answers.set()
        assert client.close()
    assert [value["event_id"] for value in publisher.values(USER_LOGS)] == ids


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        (Limits(batch_events=4, batch_age=3600), [4, 4, 2]),
        (Limits(batch_bytes=500, batch_age=3600), [3, 3, 3, 1]),
        (Limits(batch_age=0.3), [10]),
    ],
)
def test_a_batch_goes_out_by_count_by_bytes_and_by_age(
    api: ScriptedApi, limits: Limits, sizes: list[int]
) -> None:
    client = CinelakeClient(api.url, limits=limits)
    ids = [view(client) for _ in range(10)]
    if limits.batch_age < 3600:
        soon(api.accepted_ids)
    else:
        complete = sizes[:-1]
        soon(lambda: [len(each.ids) for each in api.accepted] == complete)
    assert client.close()
    assert [len(each.ids) for each in api.accepted] == sizes
    assert api.accepted_ids() == ids


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_api_in_trouble_gets_the_same_events_again(api: ScriptedApi, status: int) -> None:
    api.answers += [answer(status), answer(status)]
    with CinelakeClient(api.url, limits=QUICK) as client:
        event_id = view(client)
        soon(api.accepted_ids)
    assert [each.ids for each in api.scripted] == [[event_id]] * 2
    assert api.accepted_ids() == [event_id]


def test_retry_after_is_honoured_even_by_flush(api: ScriptedApi) -> None:
    api.answers.append(answer(429, retry_after="1"))
    with CinelakeClient(api.url, limits=QUICK) as client:
        view(client)
        soon(lambda: api.scripted)
        assert client.flush()
    assert api.accepted[0].at - api.scripted[0].at >= 1


def test_a_refused_event_is_handed_over_and_not_sent_again() -> None:
    publisher = RecordingPublisher()
    rejected: list[RejectedEvent] = []

    def on_rejected(event: RejectedEvent) -> None:
        rejected.append(event)
        raise RuntimeError("a callback of ours that fails")

    with (
        serving(create_app(publisher=publisher, keys=KnownKeys())) as url,
        CinelakeClient(url, api_key=KEY, on_rejected=on_rejected) as client,
    ):
        good = view(client)
        bad = client.track("rating", user_id="u1", movie_id=862, properties={"rating": 11})
        assert client.flush()
        # All of a batch refused, which is another answer of the API.
        worse = client.track("no_such_type", user_id="u1")
        assert client.flush()
        after = view(client)
    assert [value["event_id"] for value in publisher.values(USER_LOGS)] == [good, after]
    assert [each.event["event_id"] for each in rejected] == [bad, worse]
    assert [each.errors[0]["field"] for each in rejected] == ["properties.rating", "event_type"]
    assert rejected[0].event["properties"] == {"rating": 11}


@pytest.mark.parametrize("status", [401, 404, 200, 302])
def test_a_wrong_key_or_address_loses_nothing(api: ScriptedApi, status: int) -> None:
    api.answers += [answer(status), answer(status)]
    with CinelakeClient(api.url, api_key="k", limits=QUICK) as client:
        event_id = view(client)
        soon(api.accepted_ids)
    assert api.accepted_ids() == [event_id]
    assert api.accepted[0].headers["Authorization"] == "Bearer k"


def test_a_batch_too_large_is_halved_until_it_fits(api: ScriptedApi) -> None:
    api.answers += [answer(413), answer(413)]
    with CinelakeClient(api.url, limits=NOT_YET) as client:
        ids = [view(client) for _ in range(8)]
        assert client.flush()
    assert [len(each.ids) for each in api.scripted] == [8, 4]
    assert [len(each.ids) for each in api.accepted] == [2] * 4
    assert api.accepted_ids() == ids


def test_an_event_too_large_by_itself_is_refused_alone(api: ScriptedApi) -> None:
    rejected: list[RejectedEvent] = []
    with CinelakeClient(api.url, on_rejected=rejected.append) as client:
        api.answers.append(answer(413))
        event_id = view(client)
        assert client.flush()
        other = view(client)
    assert [each.event["event_id"] for each in rejected] == [event_id]
    assert api.accepted_ids() == [other]
    with pytest.raises(BadInputError, match="at most"):
        view(CinelakeClient(api.url), properties={"x": "x" * 2**20})


@pytest.mark.parametrize("bad", [{"x": "\ud800"}, {"x": object()}, {"x": 2**70}])
def test_what_is_no_json_is_refused_where_it_is_tracked(bad: dict[str, Any]) -> None:
    client = CinelakeClient(NOWHERE)
    with pytest.raises(BadInputError, match="JSON"):
        view(client, properties=bad)
    with pytest.raises(BadInputError, match="no offset"):
        view(client, occurred_at=datetime(2026, 1, 1))
    assert client.close()


def test_a_body_that_is_refused_as_a_whole_does_not_block_the_next(api: ScriptedApi) -> None:
    rejected: list[RejectedEvent] = []
    error = {"field": "", "reason": "The body is not JSON"}
    api.answers.append(answer(400, {"accepted": 0, "rejected": 1, "errors": [error]}))
    with CinelakeClient(api.url, limits=NOT_YET, on_rejected=rejected.append) as client:
        ids = [view(client) for _ in range(3)]
        assert client.flush()
        after = view(client)
    assert [each.event["event_id"] for each in rejected] == ids
    assert api.accepted_ids() == [after]


def test_a_user_agent_that_no_header_holds_is_refused_at_once() -> None:
    with pytest.raises(SettingError, match="User-Agent"):
        CinelakeClient(NOWHERE, user_agent="two\nlines")


def test_what_was_spooled_is_sent_first_by_the_next_process(
    api: ScriptedApi, tmp_path: Path
) -> None:
    away = CinelakeClient(NOWHERE, spool_folder=tmp_path, limits=QUICK)
    ids = [view(away) for _ in range(5)]
    assert not away.close(timeout=0.5)
    assert list(tmp_path.glob("*.jsonl"))
    with CinelakeClient(api.url, spool_folder=tmp_path, limits=NOT_YET) as back:
        # By itself, although nothing new was tracked.
        soon(lambda: api.accepted_ids() == ids)
        ids.append(view(back))
    assert api.accepted_ids() == ids
    assert list(tmp_path.iterdir()) == []


def test_while_the_api_is_away_events_reach_the_disk_by_themselves_and_keep_their_order(
    api: ScriptedApi, tmp_path: Path
) -> None:
    api.answers.append(answer(503, retry_after="5"))
    with CinelakeClient(api.url, spool_folder=tmp_path, limits=QUICK) as client:
        ids = [view(client)]
        soon(lambda: api.scripted)
        for _ in range(3):
            ids += [view(client) for _ in range(5)]
            soon(lambda: client._outbox.seconds_until_ripe() is None)
        text = "".join(path.read_text() for path in sorted(tmp_path.glob("*.jsonl")))
        assert [line.split('"')[3] for line in text.splitlines()] == ids
        soon(lambda: len(api.accepted_ids()) == 16, 20)
    assert api.accepted_ids() == ids


def test_flush_brings_to_disk_what_is_stuck_in_a_request(tmp_path: Path) -> None:
    publisher = RecordingPublisher()
    hangs, goes_on = threading.Event(), threading.Event()

    def publish(records: Any) -> list[None]:
        hangs.set()
        goes_on.wait(30)
        return [None] * len(records)

    publisher.publish = publish  # type: ignore
    with serving(create_app(publisher=publisher, keys=KnownKeys())) as url:
        client = CinelakeClient(url, api_key=KEY, spool_folder=tmp_path, limits=QUICK)
        first = view(client)
        assert hangs.wait(10)
        second = view(client)
        assert not client.flush(timeout=0.1)
        stored = "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))
        assert first in stored
        assert second in stored
        goes_on.set()
        assert client.close()


def test_memory_is_bounded_and_overflows_to_disk(api: ScriptedApi, tmp_path: Path) -> None:
    limits = Limits(batch_age=3600, memory_bytes=1000)
    with CinelakeClient(api.url, spool_folder=tmp_path, limits=limits) as client:
        ids = [view(client) for _ in range(50)]
        assert sum(map(len, client._outbox.held())) <= 1000
    assert sorted(api.accepted_ids()) == sorted(ids)


def test_without_memory_an_event_is_on_disk_when_track_returns(tmp_path: Path) -> None:
    client = CinelakeClient(NOWHERE, spool_folder=tmp_path, limits=Limits(memory_bytes=0))
    for _ in range(3):
        event_id = view(client)
        assert any(event_id in path.read_text() for path in tmp_path.glob("*.jsonl"))
    assert not client.close(timeout=0.1)


def test_full_without_a_spool_is_an_error_or_a_callback() -> None:
    limits = Limits(memory_bytes=500)
    client = CinelakeClient(NOWHERE, limits=limits)
    with pytest.raises(OutboxFullError, match="spool_folder"):
        for _ in range(10):
            view(client)
    assert not client.close(timeout=0.1)

    dropped: list[tuple[str, type[ServiceError]]] = []
    other = CinelakeClient(
        NOWHERE,
        limits=limits,
        on_dropped=lambda event, error: dropped.append((event["event_id"], type(error))),
    )
    ids = [view(other) for _ in range(10)]
    full = [event_id for event_id, kind in dropped if kind is OutboxFullError]
    assert full == ids[-len(full) :]
    assert not other.close(timeout=0.1)
    # At the end the rest is unsent, and nobody keeps it.
    assert sorted(event_id for event_id, _ in dropped) == sorted(ids)


def test_a_full_spool_is_an_error_that_says_so(tmp_path: Path) -> None:
    client = CinelakeClient(
        NOWHERE, spool_folder=tmp_path, spool_bytes=1000, limits=Limits(memory_bytes=0)
    )
    with pytest.raises(SpoolFullError, match="over its limit of 1000"):
        for _ in range(20):
            view(client)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert not client.close(timeout=0.1)


def test_a_full_spool_leaves_the_rest_in_memory_until_there_is_room(
    api: ScriptedApi, tmp_path: Path
) -> None:
    api.answers += [answer(503, retry_after="1")]
    with CinelakeClient(api.url, spool_folder=tmp_path, spool_bytes=400, limits=QUICK) as client:
        ids = [view(client)]
        soon(lambda: api.scripted)
        ids += [view(client) for _ in range(20)]
        soon(lambda: len(set(api.accepted_ids())) == 21)
    assert sorted(api.accepted_ids()) == sorted(ids)


def test_a_disk_that_refuses_is_named_when_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    client = CinelakeClient(NOWHERE, spool_folder=tmp_path, limits=Limits(memory_bytes=0))
    with monkeypatch.context() as patch:
        patch.setattr("ingestion.spool.os.fsync", broken)
        with pytest.raises(SpoolError, match="Input/output error"):
            view(client)
    event_id = view(client)
    assert not client.close(timeout=0.1)
    assert any(event_id in path.read_text() for path in tmp_path.iterdir())


def test_threads_may_share_it(api: ScriptedApi, tmp_path: Path) -> None:
    limits = Limits(batch_events=50, batch_age=0.05, memory_bytes=10_000)
    ids: list[list[str]] = [[] for _ in range(4)]
    with CinelakeClient(api.url, spool_folder=tmp_path, limits=limits) as client:

        def work(own: list[str]) -> None:
            own += [view(client) for _ in range(300)]

        threads = [threading.Thread(target=work, args=(own,)) for own in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush()
    assert set(api.accepted_ids()) == {each for own in ids for each in own}


def test_parent_and_forked_child_send_their_own_events_once(
    api: ScriptedApi, tmp_path: Path
) -> None:
    client = CinelakeClient(api.url, spool_folder=tmp_path, limits=NOT_YET)
    parents = [view(client) for _ in range(3)]
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever happens here, pytest must not go on in the child.
        try:
            os.write(writes, view(client).encode())
            os._exit(0 if client.close() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    childs = os.read(reads, 100).decode()
    os.close(reads)
    os.close(writes)
    assert api.accepted_ids() == [childs]
    assert client.close()
    assert api.accepted_ids() == [childs, *parents]


AT_EXIT = """
import sys
from ingestion.client import CinelakeClient, Limits
client = CinelakeClient(sys.argv[1], limits=Limits(batch_age=3600))
print(client.track("page_view", user_id="u1"))
"""


def test_what_is_in_memory_is_sent_when_the_interpreter_ends(api: ScriptedApi) -> None:
    command = [sys.executable, "-c", AT_EXIT, api.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert api.accepted_ids() == [done.stdout.strip()]


def test_a_closed_client_takes_no_more_and_leaves_no_thread(api: ScriptedApi) -> None:
    client = CinelakeClient(api.url)
    view(client)
    assert client.close()
    assert client.close()
    assert len(api.accepted_ids()) == 1
    with pytest.raises(ServiceError, match="closed"):
        view(client)
    assert not any(thread.name == "cinelake" for thread in threading.enumerate())
