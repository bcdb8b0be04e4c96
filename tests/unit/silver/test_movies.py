"""`silver.movies`, `genres` and `movie_genres`: TMDB answers, cleaned."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pyspark.sql import DataFrame

from lakehouse.silver import genres, movie_genres, movies

HASH = "0" * 64


def _answer(fetched_at: str = "2026-01-01T00:00:00.000000Z", **fields: Any) -> dict[str, Any]:
    movie = {
        "id": 13,
        "title": " Forrest Gump ",
        "release_date": "1994-07-06",
        "runtime": 142.0,
        "budget": 55000000,
        "revenue": 677945399,
        "genres": [{"id": 35, "name": "Comedy"}, {"id": 18, "name": "Drama"}],
    }
    return {"fetched_at": fetched_at, "content_hash": HASH, "movie": movie | fields}


def test_zero_and_blank_mean_unknown(bronze_rows: Callable[..., DataFrame]) -> None:
    unknown = _answer(budget=0, revenue=0, runtime=0, release_date="", homepage=" ", tagline=None)
    row = movies.transform(bronze_rows(unknown)).collect()[0]
    assert row.broken is None
    assert (row.budget_usd, row.revenue_usd, row.runtime_minutes) == (None, None, None)
    assert (row.release_date, row.homepage, row.tagline) == (None, None, None)


def test_known_fields_are_typed_and_trimmed(bronze_rows: Callable[..., DataFrame]) -> None:
    row = movies.transform(bronze_rows(_answer())).collect()[0]
    assert (row.title, row.runtime_minutes, row.budget_usd) == ("Forrest Gump", 142, 55000000)
    assert row.release_date == date(1994, 7, 6)


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (b"not json", "not_json"),
        (None, "not_json"),
        (json.dumps(_answer(title="?")).encode().replace(b"?", b"\xff"), "text_not_storable"),
        (_answer(overview="a\x00b"), "text_not_storable"),
        (_answer(runtime=1e12), "out_of_range"),
        (_answer(runtime=float("nan")), "out_of_range"),
        (_answer(title=" "), "missing_field"),
        (_answer(id=None), "missing_field"),
        (_answer(status="Lost"), "value_not_allowed"),
        (_answer(vote_average=10.1), "out_of_range"),
        (_answer(imdb_id="109830"), "bad_format"),
    ],
)
def test_a_broken_answer_is_set_aside_with_its_rule(
    bronze_rows: Callable[..., DataFrame], bad: Any, rule: str
) -> None:
    row = movies.transform(bronze_rows(bad, topic="movie")).collect()[0]
    assert row.broken.rule == rule


def test_the_answer_fetched_last_wins_whatever_its_offset(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    newer = _answer("2026-01-03T00:00:00.000000Z", title="new")
    older = _answer("2026-01-02T00:00:00.000000Z", title="old")
    row = movies.latest(movies.transform(bronze_rows(newer, older))).collect()[0]
    assert row.title == "new"


def test_genres_and_pairs_come_once_each(bronze_rows: Callable[..., DataFrame]) -> None:
    other = _answer(id=14, genres=[{"id": 18, "name": "Drama"}, {"id": 18, "name": "Drama"}])
    none = _answer(id=15, genres=None)
    held = movies.transform(bronze_rows(_answer(), other, none))
    assert sorted(tuple(row) for row in genres.transform(held).collect()) == [
        (18, "Drama"),
        (35, "Comedy"),
    ]
    pairs = sorted(tuple(row) for row in movie_genres.transform(held).collect())
    assert pairs == [(13, 18), (13, 35), (14, 18)]
