"""The client asks again when that helps, never when it does not, and waits as long as it is told."""

import gzip
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from conftest import MakeClient, MakeSandbox, Scripted, ScriptedServer
from tenacity import wait_fixed, wait_none

from ingestion.generated_catalog import FIRST_ID
from ingestion.tmdb import client as client_module
from ingestion.tmdb import errors
from ingestion.tmdb.asking import ask_all
from ingestion.tmdb.endpoints import APPENDED, Tmdb
from ingestion.tmdb.id_export import latest_ids
from ingestion.tmdb.sandbox import shapes
from ingestion.tmdb.sandbox.faults import FaultRates
from ingestion.tmdb.sandbox.server import TOKEN, Mood

Script = Callable[..., ScriptedServer]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off without its waiting; what `Retry-After` asks for is still waited for."""
    monkeypatch.setattr(client_module, "_BACK_OFF", wait_none())


def as_is(answer: Any) -> Any:
    return answer


def refusal(code: int, **headers: str) -> Scripted:
    status, body = shapes.error(code)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status, orjson.dumps(body), named)


# --- Keys ---------------------------------------------------------------------------------------------------


def test_a_v3_key_goes_as_a_parameter(scripted: Script, make_client: MakeClient) -> None:
    server = scripted(Scripted())
    make_client(server.address, key="0" * 32).get("/configuration", as_is, {"page": "1"})
    ((path, headers),) = server.asked
    assert path == f"/3/configuration?page=1&api_key={'0' * 32}"
    assert "Authorization" not in headers


def test_a_v4_token_goes_as_a_header(scripted: Script, make_client: MakeClient) -> None:
    server = scripted(Scripted())
    make_client(server.address, key="aaa.bbb.ccc").get("/configuration", as_is)
    ((path, headers),) = server.asked
    assert path == "/3/configuration"
    assert headers["Authorization"] == "Bearer aaa.bbb.ccc"


def test_the_sandbox_takes_both(make_sandbox: MakeSandbox, make_client: MakeClient) -> None:
    address = make_sandbox().address
    for client in (make_client(address), make_client(address, key=TOKEN)):
        assert "images" in Tmdb(client).configuration()


def test_a_wrong_key_is_not_tried_twice(make_sandbox: MakeSandbox, make_client: MakeClient) -> None:
    sandbox = make_sandbox()
    with pytest.raises(errors.InvalidKeyError):
        Tmdb(make_client(sandbox.address, key="f" * 32)).configuration()
    assert sandbox.limiter.total == 1


def test_a_movie_that_is_answered_like_a_wrong_key_is_that_movies_failure(
    scripted: Script, make_client: MakeClient
) -> None:
    server = scripted(refusal(7), Scripted(body=b'{"images": {}}'))
    tmdb = Tmdb(make_client(server.address))
    ((asked,),) = ask_all(tmdb, [(5, None)])
    assert isinstance(asked.error, errors.InvalidKeyError)
    assert len(server.asked) == 2


def test_a_key_that_is_revoked_meanwhile_ends_the_asking(
    scripted: Script, make_client: MakeClient
) -> None:
    tmdb = Tmdb(make_client(scripted(refusal(7)).address))
    with pytest.raises(errors.InvalidKeyError):
        list(ask_all(tmdb, [(5, None), (6, None)]))


# --- Asking again -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Scripted(0), id="reset"),
        pytest.param(Scripted(500), id="500"),
        pytest.param(Scripted(502, b"<html>"), id="502"),
        pytest.param(refusal(11), id="code 11"),
        pytest.param(Scripted(body=b'{"id": 5', headers={"Content-Length": "99"}), id="cut off"),
        pytest.param(Scripted(body=b'{"id": 5'), id="malformed"),
        pytest.param(
            Scripted(body=gzip.compress(b'{"id": 5}')[:15], headers={"Content-Encoding": "gzip"}),
            id="half a gzip",
        ),
        pytest.param(Scripted(body=b"{}", headers={"Content-Encoding": "gzip"}), id="no gzip"),
        pytest.param(refusal(25), id="429 without Retry-After"),
    ],
)
def test_what_passes_is_asked_again(
    scripted: Script, make_client: MakeClient, trouble: Scripted
) -> None:
    server = scripted(trouble, trouble, Scripted(body=b'{"id": 5}'))
    client = make_client(server.address)
    assert client.get("/movie/5", as_is).content == {"id": 5}
    assert len(server.asked) == client.sent == 3


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_refused_once(
    scripted: Script, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 100_000)
    endless = b" " * 10_000_000
    body = gzip.compress(endless) if packed else endless
    headers = {"Content-Encoding": "gzip"} if packed else {}
    server = scripted(Scripted(body=body, headers=headers))
    with pytest.raises(errors.RefusedError, match="/movie/5 has more than 100,000 bytes"):
        make_client(server.address).get("/movie/5", as_is)
    assert len(server.asked) == 1


@pytest.mark.usefixtures("hurried")
def test_a_silent_server_is_asked_again(
    scripted: Script, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_TIMEOUTS", (0.2, 0.2))
    # Says that more will come, and does not send it.
    server = scripted(Scripted(body=b"", headers={"Content-Length": "5"}))
    server.daemon_threads = True
    with pytest.raises(errors.TryAgainError):
        make_client(server.address, attempts=3).get("/movie/5", as_is)
    assert len(server.asked) == 3


def test_a_late_answer_is_a_failed_connection(
    make_sandbox: MakeSandbox, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_TIMEOUTS", (0.2, 0.2))
    sandbox = make_sandbox(mood=Mood(faults=FaultRates(slow=1.0), slow_seconds=0.6))
    with pytest.raises(errors.ConnectionFailedError, match="ReadTimeout"):
        Tmdb(make_client(sandbox.address, attempts=1)).configuration()


@pytest.mark.parametrize("code", [5, 7, 20, 22, 23, 27, 34])
def test_what_tmdb_refuses_is_not_asked_again(
    scripted: Script, make_client: MakeClient, code: int
) -> None:
    server = scripted(refusal(code))
    with pytest.raises(errors.TmdbError) as caught:
        make_client(server.address).get("/movie/5", as_is)
    assert caught.value.code == code
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [(7, errors.InvalidKeyError), (34, errors.NotFoundError), (22, errors.InvalidPageError)],
)
def test_a_refusal_that_comes_as_200_is_one_and_is_not_asked_again(
    scripted: Script, make_client: MakeClient, code: int, kind: type[errors.TmdbError]
) -> None:
    server = scripted(Scripted(200, refusal(code).body))
    with pytest.raises(kind) as caught:
        Tmdb(make_client(server.address)).movie(5)
    assert (caught.value.code, len(server.asked)) == (code, 1)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("code", [11, 25, None, [7], 7.5, "7"])
def test_a_refusal_that_comes_as_200_and_may_pass_is_asked_again(
    scripted: Script, make_client: MakeClient, code: Any
) -> None:
    body = orjson.dumps({"success": False, "status_code": code})
    server = scripted(Scripted(200, body), Scripted(body=b'{"id": 5, "title": "x"}'))
    assert Tmdb(make_client(server.address)).movie(5).content
    assert len(server.asked) == 2


@pytest.mark.usefixtures("hurried")
def test_it_gives_up_in_the_end(scripted: Script, make_client: MakeClient) -> None:
    server = scripted(Scripted(503))
    with pytest.raises(errors.ServerFailedError):
        make_client(server.address, attempts=4).get("/movie/5", as_is)
    assert len(server.asked) == 4


def test_back_off_is_jittered_and_grows() -> None:
    def waits(attempt: int) -> list[float]:
        state: Any = type("State", (), {"attempt_number": attempt})()
        return [client_module._BACK_OFF(state) for _ in range(200)]

    assert len(set(waits(3))) > 100
    assert max(waits(1)) <= 0.5 < max(waits(5)) <= 20


def test_retry_after_is_honoured_by_every_thread(scripted: Script, make_client: MakeClient) -> None:
    arrived: list[float] = []
    server = scripted(refusal(25, Retry_After="1"), Scripted())

    def note(answer: Any) -> Any:
        arrived.append(time.monotonic())
        return answer

    client = make_client(server.address)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(client.get, "/movie/1", note)
        time.sleep(0.3)
        others = [pool.submit(client.get, f"/movie/{n}", note) for n in range(2, 9)]
        for future in [first, *others]:
            future.result()
    assert len(arrived) == 8
    assert min(arrived) - started >= 1.0
    assert max(arrived) - started < 3.0


@pytest.mark.usefixtures("hurried")
def test_a_server_that_fails_is_left_alone_for_as_long_as_it_asks(
    scripted: Script, make_client: MakeClient
) -> None:
    server = scripted(Scripted(503, headers={"Retry-After": "1"}), Scripted())
    started = time.monotonic()
    make_client(server.address).get("/movie/5", as_is)
    assert 1 <= time.monotonic() - started < 3


def test_a_server_that_fails_and_asks_for_no_time_is_not_hurried(
    scripted: Script, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_BACK_OFF", wait_fixed(1))
    server = scripted(Scripted(503, headers={"Retry-After": "0"}), Scripted())
    started = time.monotonic()
    make_client(server.address).get("/movie/5", as_is)
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(25, Retry_After="3600"),
        Scripted(503, headers={"Retry-After": "3600"}),
        Scripted(500, headers={"Retry-After": "9" * 400}),
    ],
)
def test_it_does_not_sit_through_an_hour(
    scripted: Script, make_client: MakeClient, trouble: Scripted
) -> None:
    server = scripted(trouble)
    started = time.monotonic()
    with pytest.raises(errors.TryAgainError) as caught:
        make_client(server.address).get("/movie/5", as_is)
    assert (caught.value.retry_after or 0) >= 3600
    assert len(server.asked) == 1
    assert time.monotonic() - started < 5


def test_a_stopped_sync_does_not_wait_for_retry_after(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(mood=Mood(faults=FaultRates(too_many=1.0), retry_after=200))
    tmdb = Tmdb(make_client(sandbox.address))
    started = time.monotonic()
    with closing(ask_all(tmdb, ((each, None) for each in range(1, 100)))) as batches:
        stopping = threading.Timer(0.5, tmdb.stop)
        stopping.start()
        assert all(isinstance(asked.error, errors.StoppedError) for asked in next(batches))
    assert time.monotonic() - started < 10


def test_a_redirect_is_not_followed_with_the_key(scripted: Script, make_client: MakeClient) -> None:
    elsewhere = scripted(Scripted())
    server = scripted(Scripted(302, b"", {"Location": elsewhere.address}))
    with pytest.raises(errors.RefusedError, match="302"):
        make_client(server.address).get("/movie/5", as_is)
    assert (len(server.asked), len(elsewhere.asked)) == (1, 0)


# --- ETags, gzip, age ---------------------------------------------------------------------------------------


def test_an_unchanged_movie_comes_without_its_body(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox()
    tmdb = Tmdb(make_client(sandbox.address))
    first = tmdb.movie(FIRST_ID)
    assert first.content and first.etag
    again = tmdb.movie(FIRST_ID, first.etag)
    assert (again.content, again.etag) == (None, first.etag)
    sandbox.catalogue.edit_these([FIRST_ID])
    edited = tmdb.movie(FIRST_ID, first.etag)
    assert edited.content and edited.content != first.content
    assert sandbox.replies["movie 304"] == 1


def test_answers_come_zipped_and_with_all_that_is_appended(
    make_sandbox: MakeSandbox, make_client: MakeClient, scripted: Script
) -> None:
    movie = Tmdb(make_client(make_sandbox().address)).movie(FIRST_ID).content
    assert movie and set(APPENDED) < set(movie)
    server = scripted(
        Scripted(body=gzip.compress(b'{"zipped": 1}'), headers={"Content-Encoding": "gzip"})
    )
    assert make_client(server.address).get("/x", as_is).content == {"zipped": 1}
    assert server.asked[0][1]["Accept-Encoding"] == "gzip"


def test_an_answer_from_a_cache_is_as_old_as_the_cache_says(
    scripted: Script, make_client: MakeClient
) -> None:
    server = scripted(Scripted(headers={"Age": "3600"}), Scripted(headers={"Age": "soon"}))
    client = make_client(server.address)
    now = datetime.now(UTC)
    aged, fresh = client.get("/x", as_is).made_at, client.get("/x", as_is).made_at
    assert timedelta(minutes=59) < now - aged < timedelta(minutes=61)
    assert abs(fresh - now) < timedelta(minutes=1)


# --- Through every fault at once ----------------------------------------------------------------------------


@pytest.mark.usefixtures("hurried")
def test_every_movie_comes_through_all_faults(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    rates = FaultRates(0.1, 0.1, 0.02, 0.1, 0.1)
    sandbox = make_sandbox(120, Mood(400, rates, seed=3, retry_after=0, slow_seconds=0.05))
    client = make_client(sandbox.address, per_second=400, attempts=20)
    ids = latest_ids(client, f"{sandbox.address}/p/exports", datetime.now(UTC).date())
    with ThreadPoolExecutor(16) as pool:
        movies = list(pool.map(lambda each: Tmdb(client).movie(each).content, ids))
    assert [movie["id"] for movie in movies if movie] == list(range(FIRST_ID, FIRST_ID + 120))
    assert set(sandbox.faults.drawn) == {
        "too_many",
        "server_error",
        "slow",
        "truncated",
        "malformed",
    }
    assert sandbox.limiter.over == 0
    assert sandbox.limiter.peak <= 400


def test_an_older_id_file_serves_while_todays_is_not_there(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(5)
    client = make_client(sandbox.address)
    folder = f"{sandbox.address}/p/exports"
    # To the sandbox tomorrow's file is what today's is to TMDB at six in the morning: 403.
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert len(latest_ids(client, folder, tomorrow)) == 5
    with pytest.raises(errors.NotFoundError, match="no file of movie ids"):
        latest_ids(client, folder, tomorrow + timedelta(days=30))


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Scripted(301, b"", {"Location": "/elsewhere"}), errors.RefusedError),
        (refusal(7), errors.RefusedError),
        (Scripted(401, b"<html>"), errors.RefusedError),
        (Scripted(400), errors.RefusedError),
        (Scripted(304), errors.RefusedError),
        (Scripted(403), errors.NotFoundError),
        (refusal(34), errors.NotFoundError),
        (Scripted(0), errors.ConnectionFailedError),
    ],
)
def test_what_is_wrong_with_a_download_names_its_setting_and_no_other(
    scripted: Script, make_client: MakeClient, trouble: Scripted, kind: type[errors.TmdbError]
) -> None:
    address = scripted(trouble).address
    with pytest.raises(kind) as caught:
        make_client(address, attempts=2).download(f"{address}/p/exports/x.json.gz", as_is)
    assert type(caught.value) is kind
    assert caught.value.exit_code == 5
    assert set(re.findall(r"TMDB_\w+", str(caught.value))) == {"TMDB_EXPORT_URL"}


@pytest.mark.parametrize("is_packed_again", [False, True])
def test_an_id_file_that_requests_unpacks_is_fetched_once(
    scripted: Script, make_client: MakeClient, is_packed_again: bool
) -> None:
    body = gzip.compress(b'{"id": 5}\n{"id": 6}\n')
    body = gzip.compress(body) if is_packed_again else body
    server = scripted(Scripted(body=body, headers={"Content-Encoding": "gzip"}))
    today = datetime.now(UTC).date()
    assert latest_ids(make_client(server.address), f"{server.address}/p/exports", today) == [5, 6]
    assert len(server.asked) == 1
