"""What TMDB answers passes through unchanged; what is no such answer is refused, and never breaks the reading."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ingestion.raw_store import MAX_MOVIE_BYTES
from ingestion.tmdb.endpoints import (
    MAX_MOVIE_DEPTH,
    read_configuration,
    read_genres,
    read_movie,
    read_page,
)
from ingestion.tmdb.errors import BadAnswerError
from ingestion.tmdb.movie_ids import MAX_ID

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@pytest.fixture
def raw(real_files: Path) -> Any:
    return lambda name: orjson.loads((real_files / "tmdb" / name).read_bytes())


@pytest.mark.parametrize(
    ("file", "movie_id"),
    [
        ("movie.json", 550),
        ("movie-details-append-response.json", 550),
        ("movie-blank-homepage-release-date.json", 9443),
    ],
)
def test_a_movie_of_tmdb_passes_unchanged(raw: Any, file: str, movie_id: int) -> None:
    assert read_movie(raw(file), movie_id) == raw(file)


def test_the_configuration_of_tmdb_passes_unchanged(raw: Any) -> None:
    assert read_configuration(raw("api-configuration.json")) == raw("api-configuration.json")


def test_a_page_of_changes_of_tmdb_passes_unchanged(raw: Any) -> None:
    answer = raw("changed-id-collection.json")
    assert read_page(answer)._asdict() == answer
    # One entry says nothing about adults.
    assert [entry.get("adult") for entry in read_page(answer).results] == [False, True, None]


def test_another_movie_than_was_asked_for_is_refused() -> None:
    with pytest.raises(BadAnswerError, match="/movie/551 is not that movie"):
        read_movie({"id": 550, "title": "Fight Club"}, 551)


@pytest.mark.parametrize(
    "answer", [None, [], {"id": True, "title": "x"}, {"id": 550}, {"id": 550, "title": None}]
)
def test_half_a_movie_is_refused(answer: Any) -> None:
    with pytest.raises(BadAnswerError):
        read_movie(answer, 550)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "is_held"),
    [
        (2**53 - 1, True),
        (2**53, False),
        (2**64 - 1, False),
        ("x" * (MAX_MOVIE_BYTES - 100), True),
        ("x" * MAX_MOVIE_BYTES, False),
        # Two bytes of JSON each, and a dozen of BSON.
        ([1] * 1_000_000, True),
        ([1] * 2_000_000, False),
        (nested(MAX_MOVIE_DEPTH - 1), True),
        (nested(MAX_MOVIE_DEPTH), False),
        (nested(1000), False),
    ],
    ids=[
        "a big number",
        "2^53",
        "2^64",
        "a long text",
        "too long",
        "a long list",
        "too long a list",
        "deep",
        "too deep",
        "far too deep",
    ],
)
def test_a_movie_that_no_store_holds_is_refused(value: Any, is_held: bool) -> None:
    movie = {"id": 550, "title": "x", "more": value}
    if is_held:
        assert read_movie(movie, 550) == movie
        return
    with pytest.raises(BadAnswerError, match="cannot be stored"):
        read_movie(movie, 550)


NO_ENTRIES = [
    *(None, 7, "x", [], {}, {"id": None}, {"id": "5"}, {"id": True}, {"id": 5.0}, {"id": 0}),
    *({"id": -5}, {"id": MAX_ID}, {"id": 2**64}),
]


def page_of(*entries: Any) -> dict[str, Any]:
    return {"page": 1, "results": list(entries), "total_pages": 1, "total_results": len(entries)}


@pytest.mark.parametrize("entry", NO_ENTRIES, ids=repr)
def test_an_entry_without_an_id_is_left_out_and_named(entry: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        assert read_page(page_of({"id": 1}, entry, {"id": 2}, entry)).results == [
            {"id": 1},
            {"id": 2},
        ]
        # The only movie that was edited may be the bad one.
        assert read_page(page_of(entry)).results == []
        assert read_genres({"genres": [entry, {"id": 18}]}) == [{"id": 18}]
    assert [(each["log_level"], each["skipped"]) for each in logs] == [
        ("warning", 2),
        ("warning", 1),
        ("warning", 1),
    ]
    assert {each["first"] for each in logs} == {repr(entry)}


@pytest.mark.parametrize(
    "answer",
    [
        *(None, [], {}, page_of() | {"results": None}, page_of() | {"results": {"id": 1}}),
        *(page_of() | {"page": "1"}, page_of() | {"total_pages": MAX_ID}, page_of(*NO_ENTRIES)),
    ],
    ids=lambda answer: repr(answer)[:40],
)
def test_what_is_no_page_is_refused(answer: Any) -> None:
    with pytest.raises(BadAnswerError, match="page"):
        read_page(answer)


@given(JSON)
def test_any_json_is_read_or_refused(answer: Any) -> None:
    for read in (read_configuration, read_genres, read_page, lambda a: read_movie(a, 1)):
        try:
            read(answer)
        except BadAnswerError:
            continue


@given(
    st.fixed_dictionaries(
        {"page": JSON, "total_pages": JSON, "total_results": JSON, "results": st.lists(JSON)}
    )
)
def test_a_page_that_is_read_has_ids_and_numbers(answer: Any) -> None:
    try:
        page = read_page(answer)
    except BadAnswerError:
        return
    assert all(type(entry["id"]) is int and entry["id"] > 0 for entry in page.results)
    assert min(page.page, page.total_pages, page.total_results) >= 0
