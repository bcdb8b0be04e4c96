"""The daily file of ids is read whole or not at all, but for lines that are no movie."""

import gzip
from datetime import date

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ingestion.tmdb.errors import BadAnswerError
from ingestion.tmdb.id_export import file_name, read_ids
from ingestion.tmdb.movie_ids import MAX_ID, is_movie_id

ENTRIES = st.lists(
    st.fixed_dictionaries({"id": st.integers(1, 2**40), "original_title": st.text()}),
    max_size=40,
)


def as_file(*lines: bytes) -> bytes:
    return gzip.compress(b"\n".join(lines))


def test_a_file_is_named_by_its_day() -> None:
    assert file_name(date(2024, 5, 15)) == "movie_ids_05_15_2024.json.gz"


@given(ENTRIES)
def test_every_id_is_read_once(entries: list[dict[str, object]]) -> None:
    expected = sorted({entry["id"] for entry in entries})
    assert read_ids(as_file(*map(orjson.dumps, entries))) == expected


def test_adult_titles_are_left_out() -> None:
    assert read_ids(as_file(b'{"id": 1, "adult": true}', b'{"id": 2, "adult": false}')) == [2]


@given(ENTRIES.filter(bool), st.data())
def test_a_file_that_is_cut_off_is_refused(
    entries: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = as_file(*map(orjson.dumps, entries))
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BadAnswerError):
        read_ids(whole[:length])


NO_MOVIES = [
    *(b"[]", b"null", b"7", b"{}", b"{", b"<html>", b"\xff", b'{"id": "1"}', b'{"id": null}'),
    *(b'{"id": true}', b'{"id": 1.5}', b'{"id": 0}', b'{"id": -1}', b'{"id": %d}' % MAX_ID),
    *(b'{"id": %d}' % 10**20, b'{"id": 1%s}' % (b"0" * 5000)),
]


@pytest.mark.parametrize("line", NO_MOVIES, ids=lambda line: line[:20].decode(errors="replace"))
@pytest.mark.parametrize("is_packed", [True, False])
def test_a_line_that_is_no_movie_is_left_out_and_named(line: bytes, is_packed: bool) -> None:
    content = as_file(b'{"id": 1}', line, b"", line, b'{"id": %d}' % (MAX_ID - 1), b"")
    with structlog.testing.capture_logs() as logs:
        assert read_ids(content if is_packed else gzip.decompress(content)) == [1, MAX_ID - 1]
    (warning,) = logs
    assert (warning["log_level"], warning["skipped"]) == ("warning", 2)
    assert warning["first"].startswith("line 2: ")


@pytest.mark.parametrize("line", [*NO_MOVIES, b'{"id": 5, "original_title": "' + b"a" * 10_000_000])
@pytest.mark.parametrize("is_packed", [True, False])
def test_a_file_without_movies_is_refused(line: bytes, is_packed: bool) -> None:
    content = as_file(b"", line, b"")
    with pytest.raises(BadAnswerError, match="line 2"):
        read_ids(content if is_packed else gzip.decompress(content))


def test_a_line_without_end_is_refused_wherever_it_stands() -> None:
    with pytest.raises(BadAnswerError, match="line 2"):
        read_ids(as_file(b'{"id": 1}', b"a" * 10_000_000))


@given(ENTRIES)
def test_a_file_that_was_unpacked_on_the_way_is_read_too(entries: list[dict[str, object]]) -> None:
    packed = as_file(b'{"id": 7}', *map(orjson.dumps, entries))
    assert read_ids(gzip.decompress(packed)) == read_ids(packed)


def test_an_unpacked_file_that_is_cut_off_within_a_line_is_refused() -> None:
    with pytest.raises(BadAnswerError, match="last line is cut off"):
        read_ids(b'{"id": 1}\n{"id": 2, "original_ti')


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        ids = read_ids(content)
    except BadAnswerError:
        return
    assert all(map(is_movie_id, ids))
