"""The key never stands in a log, an error or anything that is kept."""

import gc
import io
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import requests
import structlog
from conftest import MakeClient, Scripted, ScriptedServer, settings_for
from hypothesis import given
from hypothesis import strategies as st
from tenacity import wait_none

from cinelake.errors import CinelakeError
from ingestion.tmdb import client as client_module
from ingestion.tmdb.redaction import redact

Script = Callable[..., ScriptedServer]

V3 = "c0ffee00c0ffee00c0ffee00c0ffee00"
V4 = "eyJhbGciOiJIUzI1NiJ9.c0ffeec0ffee.c0ffeec0ffeec0ffee"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that this process logs, at the chattiest level there is."""
    monkeypatch.setattr(client_module, "_BACK_OFF", wait_none())
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    root.addHandler(handler)
    # Whoever set up our logs in this process has made urllib3 say less.
    loggers = [root, logging.getLogger("urllib3")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        yield text
        text.write(repr(lines))
    root.removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def failures_of(address: str, key: str) -> CinelakeError:
    with closing(client_module.TmdbClient(settings_for(address, key), attempts=2)) as client:
        with pytest.raises(CinelakeError) as caught:
            client.get("/movie/5", lambda answer: answer, {"page": "1"})
        return caught.value


@pytest.mark.parametrize("key", [V3, V4])
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Scripted(0), id="reset"),
        pytest.param(Scripted(body=b"{", headers={"Content-Length": "9"}), id="cut off"),
        pytest.param(Scripted(body=b"{"), id="malformed"),
        pytest.param(Scripted(503), id="503"),
        pytest.param(Scripted(302, headers={"Location": "/elsewhere"}), id="redirect"),
        pytest.param(None, id="nobody there"),
        pytest.param("echo", id="an answer that repeats the key"),
    ],
)
def test_no_error_and_no_log_holds_the_key(
    scripted: Script, logged: io.StringIO, key: str, reply: Scripted | str | None
) -> None:
    if reply == "echo":
        body = f'{{"status_code": 7, "status_message": "no such key: {key}"}}'.encode()
        reply = Scripted(401, body)
    address = scripted(reply).address if isinstance(reply, Scripted) else "http://127.0.0.1:9"
    error = failures_of(address, key)
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error.__dict__)
    assert key not in shown
    # Not even where only a debugger looks: requests' own error, with its address, is not the cause.
    chain: BaseException | None = error
    while chain is not None:
        assert not isinstance(chain, requests.RequestException)
        assert key not in str(chain)
        chain = chain.__cause__ or chain.__context__
    if isinstance(reply, Scripted) and reply.status and key == V3:
        assert "/3/movie/5?page=1&api_key=***" in logged.getvalue(), "urllib3 logged no address"
    assert key not in logged.getvalue()


def test_no_answer_that_is_kept_holds_the_key(scripted: Script, make_client: MakeClient) -> None:
    server = scripted(Scripted(body=b'{"id": 5}', headers={"ETag": 'W/"x"'}))
    answer = make_client(server.address, key=V3).get("/movie/5", lambda each: each)
    assert V3 in server.asked[0][0], "the key did not go out: the test would prove nothing"
    assert V3 not in repr(answer)
    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, requests.Response)]
    assert not any(V3 in (response.url or "") for response in kept)


@given(st.text(), st.text(), st.from_regex(r"[0-9a-f]{32}", fullmatch=True))
def test_the_key_is_taken_out_wherever_it_stands(before: str, after: str, key: str) -> None:
    assert key not in redact(before + key + after, key)


@given(st.from_regex(r"[0-9A-Za-z._-]{20,200}", fullmatch=True))
def test_a_key_that_is_not_known_is_taken_out_where_keys_stand(key: str) -> None:
    for text in (
        f"https://api.themoviedb.org/3/movie/5?api_key={key}&page=1",
        f"{{'Authorization': 'Bearer {key}'}}",
    ):
        assert key not in redact(text)
        assert "***" in redact(text)
