"""The daily file of ids is read whole or not at all."""

import gzip
from datetime import date

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.tmdb.errors import BadAnswerError
from ingestion.tmdb.id_export import file_name, read_ids

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


ENDLESS = b'{"id": 5, "original_title": "' + b"a" * 10_000_000


@pytest.mark.parametrize(
    "line", [b"[]", b"null", b"{}", b'{"id": "1"}', b'{"id": 0}', b"{", ENDLESS]
)
def test_a_line_that_is_no_movie_is_named(line: bytes) -> None:
    with pytest.raises(BadAnswerError, match="line 2"):
        read_ids(as_file(b'{"id": 1}', line))


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read_ids(content)
    except BadAnswerError:
        return
    assert content[:2] == b"\x1f\x8b"
