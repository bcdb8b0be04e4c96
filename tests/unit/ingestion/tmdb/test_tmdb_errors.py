"""TMDB's error bodies become typed errors; whatever else comes never breaks the reading of it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.tmdb import errors
from ingestion.tmdb.errors import TmdbError, error_of, retry_after
from ingestion.tmdb.sandbox import shapes

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("file", "status", "kind", "code"),
    [
        ("error-status-401.json", 401, errors.InvalidKeyError, 7),
        ("error-status-422.json", 422, errors.InvalidDateRangeError, 20),
        ("error-status-response.json", 404, errors.NotFoundError, 34),
    ],
)
def test_tmdbs_own_bodies_become_typed_errors(
    real_files: Path, file: str, status: int, kind: type[TmdbError], code: int
) -> None:
    body = (real_files / "tmdb" / file).read_bytes()
    error = error_of(status, {}, body, "/movie/1")
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert orjson.loads(body)["status_message"] in error.message


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (7, errors.InvalidKeyError, 2),
        (11, errors.ServerFailedError, 5),
        (20, errors.InvalidDateRangeError, 5),
        (22, errors.InvalidPageError, 5),
        (23, errors.InvalidDateRangeError, 5),
        (25, errors.OverLimitError, 5),
        (27, errors.RefusedError, 5),
        (34, errors.NotFoundError, 5),
    ],
)
def test_each_code_has_its_error(code: int, kind: type[TmdbError], exit_code: int) -> None:
    status, body = shapes.error(code)
    error = error_of(status, {}, orjson.dumps(body), "/movie/1")
    assert type(error) is kind
    assert (error.status, error.code, error.exit_code) == (status, code, exit_code)


def test_a_404_that_is_not_tmdbs_says_nothing_of_a_movie() -> None:
    """A wrong base URL must not make every movie look deleted."""
    assert type(error_of(404, {}, b"<html>nginx</html>", "/movie/1")) is errors.RefusedError


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateways_page_is_a_failing_server(status: int) -> None:
    error = error_of(status, {}, b"<html>Bad gateway</html>", "/movie/1")
    assert isinstance(error, errors.ServerFailedError)
    assert isinstance(error, errors.TryAgainError)


@given(
    status=st.integers(400, 599),
    body=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(orjson.dumps),
)
def test_any_body_becomes_an_error(status: int, body: bytes) -> None:
    error = error_of(status, {}, body, "/movie/1")
    assert error.message.startswith(f"TMDB answers {status} to /movie/1")


@given(st.integers(0, 10**6))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert retry_after(str(seconds)) == seconds


@given(st.integers(-(10**6), 10**6))
def test_retry_after_as_a_date_never_goes_back_in_time(seconds: int) -> None:
    moment = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(moment, NOW) == max(seconds, 0)


@given(st.none() | st.text() | st.from_regex(r"\d{1,400}", fullmatch=True))
def test_any_retry_after_is_seconds_or_nothing(value: str | None) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds >= 0
