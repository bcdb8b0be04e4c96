"""What movies name and pair with: genres, companies, countries, languages, keywords, people and credits."""

import random
from collections.abc import Callable
from datetime import datetime
from functools import reduce
from types import ModuleType
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contract import table
from lakehouse.silver import (
    countries,
    genres,
    keywords,
    languages,
    movie_cast,
    movie_companies,
    movie_countries,
    movie_crew,
    movie_genres,
    movie_keywords,
    movie_languages,
    movies,
    named,
    people,
    production_companies,
)
from tests.unit.silver.conftest import answer, rows_of_messages

PERSON = {"id": 5, "name": " Ada ", "original_name": "Ада", "known_for_department": "Acting"}
FULL = answer(
    id=13,
    genres=[{"id": 18, "name": "Drama"}, {"id": 18, "name": "Drama"}, {"id": None, "name": "x"}],
    production_companies=[
        {"id": 1, "name": "Twin", "origin_country": ""},
        {"id": 2, "name": "Twin", "origin_country": "us"},
        {"id": 3, "name": "Single", "origin_country": "XK"},
    ],
    production_countries=[
        {"iso_3166_1": "US", "name": "United States of America"},
        {"iso_3166_1": "CS", "name": "Serbia and Montenegro"},
        {"iso_3166_1": " us", "name": "United States of America"},
    ],
    spoken_languages=[{"iso_639_1": "cn", "name": "广州话"}, {"iso_639_1": "to", "name": ""}],
    keywords={"keywords": [{"id": 7, "name": "\u00a0"}, {"id": 8, "name": "poseidon \u00a0"}]},
    credits={
        "cast": [
            PERSON | {"credit_id": "a", "character": "One", "order": 0},
            PERSON | {"credit_id": "b", "character": "", "order": 1},
            PERSON | {"character": "without an id", "order": 2},
        ],
        "crew": [PERSON | {"credit_id": "c", "department": "Directing", "job": "Director"}],
    },
)


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> Callable[[ModuleType], list[tuple[Any, ...]]]:
    """The rows of a module's `transform` on one full answer, without the time it was fetched."""
    held = movies.latest(movies.transform(rows_of_messages(spark, [FULL], "movie"))).persist()

    def transformed(module: ModuleType) -> list[tuple[Any, ...]]:
        found = module.transform(held).drop("named_at")
        return sorted((tuple(row) for row in found.collect()), key=str)

    return transformed


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (genres, [(18, "Drama")]),
        (
            production_companies,
            [(1, "Twin", None, None), (2, "Twin", "US", True), (3, "Single", "XK", False)],
        ),
        (
            countries,
            [
                ("CS", "Serbia and Montenegro", None, False),
                ("US", "United States of America", "United States", True),
            ],
        ),
        (
            languages,
            [
                ("cn", "广州话", None, None, False),
                ("to", None, None, "Tonga (Tonga Islands)", True),
            ],
        ),
        (keywords, [(7, None), (8, "poseidon")]),
        (people, [(5, "Ada", "Ада", "Acting")]),
        (movie_genres, [(13, 18)]),
        (movie_companies, [(13, 1), (13, 2), (13, 3)]),
        (movie_countries, [(13, "CS"), (13, "US")]),
        (movie_languages, [(13, "cn"), (13, "to")]),
        (movie_keywords, [(13, 7), (13, 8)]),
        (movie_cast, [(13, "a", 5, "One", 0), (13, "b", 5, None, 1)]),
        (movie_crew, [(13, "c", 5, "Directing", "Director")]),
    ],
    ids=lambda value: value.__name__.rsplit(".", 1)[-1] if isinstance(value, ModuleType) else "",
)
def test_each_comes_once_and_nothing_with_an_id_is_dropped(
    rows: Callable[[ModuleType], list[tuple[Any, ...]]],
    module: ModuleType,
    expected: list[tuple[Any, ...]],
) -> None:
    assert rows(module) == expected


def test_a_movie_without_a_list_has_no_pairs(bronze_rows: Callable[..., DataFrame]) -> None:
    bare = answer(genres=None, production_companies=[], keywords=None)
    held = movies.latest(movies.transform(bronze_rows(bare)))
    for module in (movie_genres, movie_companies, movie_keywords, movie_cast):
        assert module.transform(held).isEmpty()


NAMES = [
    (18, "Drama", 1),
    (18, "Drame", 3),
    (18, None, 4),
    (35, "Comedy", 2),
    (35, "Comedy", 2),
    (99, None, 1),
]


@pytest.mark.parametrize("seed", range(2))
def test_the_latest_name_counts_in_whatever_batch_it_came(spark: SparkSession, seed: int) -> None:
    schema = "genre_id bigint, name string, named_at int"
    shuffled = NAMES.copy()
    random.Random(seed).shuffle(shuffled)
    batches = [shuffled[: seed + 1], shuffled[seed + 1 :], shuffled[: seed + 1]]

    def fold(held: DataFrame, batch: list[tuple[Any, ...]]) -> DataFrame:
        new = named.latest(spark.createDataFrame(batch, schema), "genre_id")
        # As `tables.upsert` joins them.
        pairs = new.selectExpr("struct(*) as new").crossJoin(held.selectExpr("struct(*) as old"))
        winning = pairs.where("new.genre_id = old.genre_id").where(named.supersedes(held.columns))
        replaced = winning.select("new.*")
        added = new.join(held, "genre_id", "left_anti")
        kept = held.join(replaced.select("genre_id"), "genre_id", "left_anti")
        rows = [tuple(r) for part in (kept, replaced, added) for r in part.collect()]
        return spark.createDataFrame(rows, schema)

    found = reduce(fold, batches, spark.createDataFrame([], schema)).collect()
    assert sorted(tuple(row) for row in found) == [
        (18, "Drame", 3),
        (35, "Comedy", 2),
        (99, None, 1),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0), (2, 3, 0, 1)])
def test_a_name_of_several_ids_is_flagged_wherever_they_came_from(
    spark: SparkSession, order: tuple[int, ...]
) -> None:
    schema = table("silver.production_companies").spark_schema()
    for field in schema.fields:
        field.nullable = True

    def company(number: int, name: str | None, day: int) -> tuple[Any, ...]:
        return (number, name, None, None, False, datetime(2026, 1, day))

    batches = [
        [company(1, "Twin", 1), company(4, None, 1), company(5, None, 1)],
        [company(2, "Twin", 1)],
        [company(3, "Other", 1)],
        [company(3, "Twin", 2), company(2, "Renamed", 2)],
    ]

    def fold(held: DataFrame, place: int) -> DataFrame:
        new = spark.createDataFrame(batches[place], schema).select(production_companies.COMPANY)
        merged = production_companies.merge(named.latest(new, "company_id"), held)
        return spark.createDataFrame(merged.select(held.columns).collect(), schema)

    found = reduce(fold, order, spark.createDataFrame([], schema)).collect()
    assert sorted((row.company_id, row.name or "", row.name_is_shared) for row in found) == [
        (1, "Twin", True),
        (2, "Renamed", False),
        (3, "Twin", True),
        (4, "", False),
        (5, "", False),
    ]
