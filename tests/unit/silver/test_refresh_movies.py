"""TMDB answers into silver: the same tables come out however the messages are cut, ordered and repeated."""

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.silver.refresh_movies import refresh_movies
from tests.unit.silver.conftest import answer, rows_of_messages

TABLES = (
    *("movies", "movie_versions", "genres", "movie_genres", "keywords", "movie_keywords"),
    *("production_companies", "movie_companies", "people", "movie_cast", "quarantine"),
)


def _answer(movie_id: int, day: int, **fields: Any) -> dict[str, Any]:
    return answer(id=movie_id, fetched_at=f"2026-01-{day:02}T00:00:00Z", **fields)


def _genres(*named: tuple[int, str]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for number, name in named]


FOURTEEN = {"genres": _genres((18, "Drame")), "production_companies": _genres((2, "Twin"))}
HISTORY = [
    _answer(
        13,
        1,
        genres=_genres((18, "Drama"), (35, "Comedy")),
        keywords={"keywords": _genres((7, "heist"))},
    ),
    _answer(13, 2, title="Another title", production_companies=_genres((1, "Twin"))),
    _answer(13, 4, genres=_genres((18, "Drama"), (35, "Comedy"))),
    _answer(14, 3, **FOURTEEN),
    _answer(14, 3, **FOURTEEN, deleted_at="2026-01-05T00:00:00Z"),
    _answer(
        15, 2, genres=_genres((35, "Comédie")), credits={"cast": [{"id": 5, "credit_id": "c"}]}
    ),
    _answer(16, 1, status="Lost"),
]


Rows = dict[str, list[dict[str, Any]]]


def _refreshed(spark: SparkSession, settings: Settings, *batches: list[int]) -> Rows:
    """The tables after these batches of `HISTORY` have landed in bronze and been taken one after the other."""
    everything = rows_of_messages(spark, HISTORY, "movie")
    for batch in batches:
        rows = everything.where(everything["offset"].isin(batch))
        rows.write.format("delta").mode("append").save(tables.table_path(settings, "bronze.movie"))
        refresh_movies(spark, settings, rows)
    found = {}
    for name in TABLES:
        columns = [c for c in table(f"silver.{name}").column_names if not c.endswith("_seen_at")]
        query = f"select {', '.join(columns)} from t"
        rows_of_table = changes.query(settings, f"silver.{name}", query).to_pylist()
        found[name] = sorted(rows_of_table, key=str)
    return found


@pytest.fixture(scope="module")
def at_once(
    spark: SparkSession,
    spark_settings: Settings,
    with_tables: Callable[[Settings], Settings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Rows:
    """What all of `HISTORY` in one batch leaves."""
    folder = tmp_path_factory.mktemp("at-once") / "lake"
    settings = with_tables(spark_settings.model_copy(update={"lake": str(folder)}))
    return _refreshed(spark, settings, list(range(len(HISTORY))))


def test_the_tables_say_what_the_latest_answers_say(
    at_once: Rows,
) -> None:
    movies = {row["movie_id"]: row for row in at_once["movies"]}
    assert {key: row["is_deleted"] for key, row in movies.items()} == {
        13: False,
        14: True,
        15: False,
    }
    versions = [
        (
            row["movie_id"],
            row["title"],
            row["valid_from"].day,
            row["valid_to"] and row["valid_to"].day,
        )
        for row in at_once["movie_versions"]
    ]
    assert sorted(versions, key=lambda version: (version[0], version[2])) == [
        (13, "Forrest Gump", 1, 2),
        (13, "Another title", 2, 4),
        (13, "Forrest Gump", 4, None),
        (14, "Forrest Gump", 3, None),
        (15, "Forrest Gump", 2, None),
    ]
    # Genre 35 was named Comédie on day 2, but Comedy again on day 4; 18 the other way round.
    assert [row["name"] for row in at_once["genres"]] == ["Drama", "Comedy"]
    assert [row["name_is_shared"] for row in at_once["production_companies"]] == [True, True]
    assert [row["movie_id"] for row in at_once["movie_companies"]] == [14]
    assert [row["keyword_id"] for row in at_once["movie_keywords"]] == [7]
    assert [(row["person_id"], row["name"]) for row in at_once["people"]] == [(5, None)]
    assert [row["rule"] for row in at_once["quarantine"]] == ["value_not_allowed"]


def test_batches_and_their_order_do_not_matter(
    spark: SparkSession, empty_lake: Settings, at_once: Rows
) -> None:
    assert _refreshed(spark, empty_lake, [2, 4, 5, 6], [3, 1], [3, 0, 1]) == at_once


def test_an_answer_that_says_nothing_new_writes_only_its_movie(
    spark: SparkSession, empty_lake: Settings
) -> None:
    _refreshed(spark, empty_lake, [0], [5])
    before = {name: changes.current_version(empty_lake, f"silver.{name}") for name in TABLES}
    again = _answer(13, 9, genres=_genres((18, "Drama"), (35, "Comédie")), overview="Another one")
    refresh_movies(spark, empty_lake, rows_of_messages(spark, [again], "movie"))
    after = {name: changes.current_version(empty_lake, f"silver.{name}") for name in TABLES}
    assert after == before | {"movies": before["movies"] + 1}
