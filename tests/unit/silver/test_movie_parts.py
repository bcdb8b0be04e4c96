"""What movies name and pair with: genres, companies, countries, languages, keywords, people and credits."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import reduce
from types import ModuleType
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contract import table
from lakehouse.frames import frame_of
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
from tests.unit.silver.conftest import answer, assert_rows, nullable, rows_of_messages

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
def held(spark: SparkSession) -> DataFrame:
    """One full answer, judged."""
    return movies.latest(movies.transform(rows_of_messages(spark, [FULL], "movie"))).persist()


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
    held: DataFrame, module: ModuleType, expected: list[tuple[Any, ...]]
) -> None:
    found = module.transform(held).drop("named_at")
    rows = [dict(zip(found.columns, values, strict=True)) for values in expected]
    assert_rows(found, module.__name__.rsplit(".", 1)[-1], *rows)


GROWING = ("ß", "\u0130", "\u0149", "\ufb03", "\u0390", "\u1e9e")
"""Letters that become two or three, in capitals or in small letters."""
MODULES = (
    *(genres, production_companies, countries, languages, keywords, people),
    *(movie_genres, movie_companies, movie_countries, movie_languages, movie_keywords),
    *(movie_cast, movie_crew),
)


def _with_one_long_text() -> Iterator[dict[str, Any]]:
    """Answers, each of which has one text of a list as long as its column takes it, in letters that grow."""
    for name, feeds in movies.ELEMENTS.items():
        for other, columns in feeds:
            for field, column in columns.items():
                longest = table(f"silver.{other}").column(column).max_length
                for letter in GROWING if longest else ():
                    element = {"id": 1, "iso_3166_1": "US", "iso_639_1": "en", "credit_id": "a"}
                    listed = [element | {"name": "Name", field: letter * (longest or 0)}]
                    yield {
                        "keywords": {"keywords": {"keywords": listed}},
                        "cast_credits": {"credits": {"cast": listed, "crew": []}},
                        "crew_credits": {"credits": {"cast": [], "crew": listed}},
                    }.get(name, {name: listed})


def test_no_text_outgrows_the_limit_by_which_it_was_judged(spark: SparkSession) -> None:
    sent = [answer(id=number, **fields) for number, fields in enumerate(_with_one_long_text(), 1)]
    judged = movies.transform(rows_of_messages(spark, sent, "movie")).persist()
    held = judged.where("broken is null").persist()
    # Codes alone have letters in one case.
    set_aside = judged.where("broken is not null").select("broken.reason").collect()
    assert {row.reason.partition(" ")[0] for row in set_aside} <= set(movies.ELEMENT_CASES)
    assert held.count() > len(sent) / 2
    for module in MODULES:
        contract = table(f"silver.{module.__name__.rpartition('.')[2]}")
        limits = {c.name: c.max_length for c in contract.columns if c.max_length}
        found = module.transform(held)
        too_long = [
            F.max(F.char_length(name) > limit).alias(name)
            for name, limit in limits.items()
            if name in found.columns
        ]
        row = found.agg(F.lit(False), *too_long).first()
        assert row is not None and not any(row), row


def test_a_movie_without_a_list_has_no_pairs(bronze_rows: Callable[..., DataFrame]) -> None:
    bare = answer(genres=None, production_companies=[], keywords=None)
    held = movies.latest(movies.transform(bronze_rows(bare)))
    for module in (movie_genres, movie_companies, movie_keywords, movie_cast):
        assert module.transform(held).isEmpty()


def _named(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    return frame_of(spark, rows, "genre_id bigint, name string, note string, named_at timestamp")


def _at(day: int) -> datetime:
    return datetime(2026, 1, day, tzinfo=UTC)


def test_the_latest_name_counts_and_any_name_more_than_none(spark: SparkSession) -> None:
    found = _named(
        spark,
        (18, "Drame", "b", _at(3)),
        (18, None, "c", _at(4)),
        (18, "Drama", "a", _at(1)),
        (35, "Comedy", None, _at(2)),
        (35, "Comedy", None, _at(2)),
        (99, None, "x", _at(1)),
        (None, "Nameless", None, _at(1)),
    )
    rows = sorted(tuple(row)[:3] for row in named.latest(found, "genre_id").collect())
    assert rows == [(18, "Drame", "b"), (35, "Comedy", None), (99, None, "x")]


def test_only_what_says_something_else_supersedes_and_may_be_late(spark: SparkSession) -> None:
    held = _named(
        spark,
        (1, "same", None, _at(1)),
        (2, "old", None, _at(1)),
        (3, "kept", None, _at(1)),
        (4, None, None, _at(1)),
        (5, "old", None, _at(1)),
    ).drop("named_at")
    found = _named(
        spark,
        (1, "same", None, _at(2)),
        (2, "new", None, _at(4)),
        (3, None, "said", _at(2)),
        (4, "found", None, _at(2)),
        (5, "new", None, _at(3)),
        (6, "first", None, _at(2)),
    )
    superseding = named.superseding(found, held, "genre_id").collect()
    assert sorted(row.genre_id for row in superseding) == [2, 4, 5, 6]
    newest = int(_at(3).timestamp()) * 1_000_000
    late = named.late(found, held, "genre_id", newest).collect()
    assert sorted(row.genre_id for row in late) == [4, 5]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1, 0)])
def test_a_name_of_several_ids_is_flagged_wherever_they_came_from(
    spark: SparkSession, order: tuple[int, ...]
) -> None:
    name = "production_companies"
    schema = nullable(name, table(f"silver.{name}").column_names)

    def company(number: int, name: str | None) -> tuple[Any, ...]:
        return (number, name, None, None, False)

    batches = [
        [company(1, "Twin"), company(4, None), company(5, None)],
        [company(2, "Twin"), company(6, "Other")],
        [company(3, "Twin")],
    ]

    def fold(held: DataFrame, place: int) -> DataFrame:
        new = frame_of(spark, batches[place], schema).drop("name_is_shared")
        merged = production_companies.merge(new, held)
        return frame_of(spark, merged.select(held.columns).collect(), schema)

    found = reduce(fold, order, frame_of(spark, [], schema)).collect()
    assert sorted((row.company_id, row.name or "", row.name_is_shared) for row in found) == [
        (1, "Twin", True),
        (2, "Twin", True),
        (3, "Twin", True),
        (4, "", False),
        (5, "", False),
        (6, "Other", False),
    ]


def test_a_company_that_is_renamed_frees_its_name(spark: SparkSession) -> None:
    schema = table("silver.production_companies").spark_schema()
    held = frame_of(spark, [(1, "Twin", None, None, True), (2, "Twin", None, None, True)], schema)
    renamed = frame_of(spark, [(2, "Renamed", None, None, False)], schema)
    merged = production_companies.merge(renamed.drop("name_is_shared"), held)
    assert sorted((row.name, row.name_is_shared) for row in merged.collect()) == [
        ("Renamed", False),
        ("Twin", False),
    ]
