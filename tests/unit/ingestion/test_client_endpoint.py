from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from flask import Response
from hypothesis import given
from hypothesis import strategies as st
from scripted_api import ScriptedApi, answer, scripted_api

from cinelake.errors import ServiceError, SettingError
from ingestion.endpoint import (
    LONGEST_RETRY_AFTER,
    Endpoint,
    TooLargeError,
    TryAgainError,
    body_of,
    pause,
    seconds_of,
)

NO_ERRORS = b'{"accepted": 0, "rejected": 1, "errors": ["what"]}'
BODY = body_of([b'{"event_id":"e1"}'])


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        yield api


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_overloaded_or_broken_api_is_tried_again_when_it_says(
    api: ScriptedApi, status: int
) -> None:
    api.answers.append(answer(status, retry_after="7"))
    with pytest.raises(TryAgainError, match=str(status)) as caught:
        Endpoint(api.url).post(BODY)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415])
def test_what_no_repetition_mends_is_not_tried_again(api: ScriptedApi, status: int) -> None:
    api.answers.append(answer(status))
    with pytest.raises(ServiceError, match=str(status)) as caught:
        Endpoint(api.url, "the-key").post(BODY)
    assert not isinstance(caught.value, TryAgainError)
    assert "the-key" not in str(caught.value)


def test_a_batch_too_large_is_told_apart(api: ScriptedApi) -> None:
    api.answers.append(answer(413))
    with pytest.raises(TooLargeError):
        Endpoint(api.url).post(BODY)


def test_a_redirect_does_not_carry_the_key_elsewhere(api: ScriptedApi) -> None:
    api.answers.append(Response(status=307, headers={"Location": f"{api.url}/v1/events"}))
    with pytest.raises(ServiceError, match="307"):
        Endpoint(api.url, "the-key").post(BODY)
    assert api.accepted == []


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b'{"accepted": 1}', NO_ERRORS])
def test_a_202_that_is_not_the_apis_counts_nothing(api: ScriptedApi, body: bytes) -> None:
    api.answers.append(Response(body, 202))
    with pytest.raises(ServiceError, match="is not the events API's"):
        Endpoint(api.url).post(BODY)


def test_the_key_travels_as_a_bearer(api: ScriptedApi) -> None:
    Endpoint(api.url, "the-key").post(BODY)
    Endpoint(api.url).post(BODY)
    assert [each.headers.get("Authorization") for each in api.accepted] == ["Bearer the-key", None]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://x/?a=b"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(SettingError, match="is not the address"):
        Endpoint(url)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_holds_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(SettingError) as caught:
        Endpoint("http://127.0.0.1:1", key)
    assert not key or key not in str(caught.value)


@given(st.text() | st.integers().map(str) | st.datetimes().map(format_datetime))
def test_any_retry_after_gives_a_bearable_wait(text: str) -> None:
    assert 0 <= seconds_of(text) <= LONGEST_RETRY_AFTER


@given(st.integers(0, int(LONGEST_RETRY_AFTER)))
def test_retry_after_is_understood_as_seconds_and_as_a_date(seconds: int) -> None:
    assert seconds_of(f" {seconds} ") == seconds
    date = datetime.now(UTC) + timedelta(seconds=seconds)
    assert seconds_of(format_datetime(date, usegmt=True)) == pytest.approx(seconds, abs=2)


@given(st.integers(1, 10_000), st.floats(0, 3600), st.floats(0.5, 60))
def test_a_pause_is_what_was_asked_for_and_a_bounded_chance_more(
    attempt: int, asked: float, longest: float
) -> None:
    assert asked <= pause(attempt, TryAgainError("", retry_after=asked), longest) <= asked + longest


def test_pauses_grow_and_differ() -> None:
    early = [pause(1, None, 30) for _ in range(50)]
    late = [pause(20, None, 30) for _ in range(50)]
    assert max(early) < max(late)
    assert len(set(late)) > 40
