"""The four ways to write to a Delta table, each of which may be run again."""

from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.frames import frame_of

PAIRS, GENRES = table("silver.movie_genres"), table("silver.genres")


def genres(spark: SparkSession, **names: str) -> DataFrame:
    """Genres as `g1="Drama"`: the id and the name."""
    rows = [(int(key[1:]), name) for key, name in names.items()]
    return frame_of(spark, rows, GENRES.spark_schema())


def pairs(spark: SparkSession, *rows: tuple[int, int]) -> DataFrame:
    return frame_of(spark, list(rows), PAIRS.spark_schema())


def held(lake: Settings, name: str) -> list[tuple[Any, ...]]:
    """The rows without their times."""
    rows = changes.query(lake, name, "select * from t").to_pylist()
    return sorted(
        tuple(value for value in row.values() if not isinstance(value, datetime)) for row in rows
    )


def feed(lake: Settings, name: str, after: int) -> list[tuple[str, Any]]:
    """What was written since a version: kind of change and first column."""
    upto = changes.current_version(lake, name)
    if upto <= after:
        return []
    rows = changes.read_changes(lake, name, after, upto).read_all().to_pylist()
    return sorted((row["_change_type"], next(iter(row.values()))) for row in rows)


def test_insert_new_adds_what_is_missing_and_leaves_the_rest(
    spark: SparkSession, empty_lake: Settings
) -> None:
    tables.insert_new(spark, empty_lake, GENRES, genres(spark, g1="Drama", g2="Comedy"))
    version = changes.current_version(empty_lake, "silver.genres")
    tables.insert_new(spark, empty_lake, GENRES, genres(spark, g1="other", g3="Horror"))
    assert held(empty_lake, "silver.genres") == [(1, "Drama"), (2, "Comedy"), (3, "Horror")]
    assert feed(empty_lake, "silver.genres", version) == [("insert", 3)]
    version = changes.current_version(empty_lake, "silver.genres")
    tables.insert_new(spark, empty_lake, GENRES, genres(spark, g1="other", g3="Horror"))
    assert feed(empty_lake, "silver.genres", version) == []


def test_insert_new_takes_one_of_several_rows_with_a_key(
    spark: SparkSession, empty_lake: Settings
) -> None:
    twice = genres(spark, g1="Drama").unionByName(genres(spark, g1="Drama"))
    for _ in range(2):
        tables.insert_new(spark, empty_lake, GENRES, twice)
    assert held(empty_lake, "silver.genres") == [(1, "Drama")]


def test_upsert_writes_new_and_different_rows_alone(
    spark: SparkSession, empty_lake: Settings
) -> None:
    tables.upsert(spark, empty_lake, GENRES, genres(spark, g1="Drama", g2="Comedy"))
    version = changes.current_version(empty_lake, "silver.genres")
    for _ in range(2):
        tables.upsert(spark, empty_lake, GENRES, genres(spark, g1="Drama", g2="Fun", g3="Horror"))
    assert held(empty_lake, "silver.genres") == [(1, "Drama"), (2, "Fun"), (3, "Horror")]
    assert feed(empty_lake, "silver.genres", version) == [
        ("insert", 3),
        ("update_postimage", 2),
        ("update_preimage", 2),
    ]


def test_upsert_knows_a_null_from_a_value(spark: SparkSession, lake: Settings) -> None:
    users = table("silver.users")
    tables.ensure_table(lambda: spark, lake, users)

    def user(name: str | None) -> DataFrame:
        seen = datetime(2026, 1, 1)
        row = ("ada", name, None, None, None, None, None, seen, seen, 1)
        return frame_of(spark, [row], users.spark_schema())

    names = []
    for name in (None, "Ada", "Ada", None):
        tables.upsert(spark, lake, users, user(name))
        names.append([row[1] for row in held(lake, "silver.users")])
    assert names == [[None], ["Ada"], ["Ada"], [None]]
    assert len(feed(lake, "silver.users", 0)) == 1 + 2 + 2


def test_replace_makes_the_rows_of_its_owners_exact_and_leaves_others_alone(
    spark: SparkSession, empty_lake: Settings
) -> None:
    tables.insert_new(spark, empty_lake, PAIRS, pairs(spark, (1, 10), (1, 11), (2, 10), (3, 10)))
    version = changes.current_version(empty_lake, "silver.movie_genres")
    owners = frame_of(spark, [(1,), (2,), (4,)], "movie_id bigint")
    rows = pairs(spark, (1, 11), (1, 12), (4, 10))
    for _ in range(2):
        tables.replace(spark, empty_lake, PAIRS, rows, owners)
    assert held(empty_lake, "silver.movie_genres") == [(1, 11), (1, 12), (3, 10), (4, 10)]
    assert feed(empty_lake, "silver.movie_genres", version) == [
        ("delete", 1),
        ("delete", 2),
        ("insert", 1),
        ("insert", 4),
    ]


def test_a_row_without_a_required_value_is_refused_whole(
    spark: SparkSession, empty_lake: Settings
) -> None:
    columns = "genre_id bigint, name string"
    rows = frame_of(spark, [(1, "Drama"), (2, None)], columns)
    with pytest.raises(Exception, match=r"NOT NULL|NOT_NULL"):
        tables.insert_new(spark, empty_lake, GENRES, rows)
    assert held(empty_lake, "silver.genres") == []


def test_tables_are_made_once_from_their_contracts(
    spark: SparkSession, empty_lake: Settings
) -> None:
    tables.ensure_layer(lambda: spark, empty_lake, "silver")
    assert changes.current_version(empty_lake, "silver.events") == 0
    made = tables.read(spark, empty_lake, "silver.events").schema
    expected = table("silver.events").spark_schema()
    assert [(f.name, f.dataType) for f in made] == [(f.name, f.dataType) for f in expected]


def test_replace_without_owners_writes_what_differs_and_deletes_the_rest(
    spark: SparkSession, empty_lake: Settings
) -> None:
    tables.replace(
        spark, empty_lake, GENRES, genres(spark, g1="Drama", g2="Comedy", g3="Fun"), None
    )
    version = changes.current_version(empty_lake, "silver.genres")
    for _ in range(2):
        tables.replace(
            spark, empty_lake, GENRES, genres(spark, g1="Drama", g2="Joy", g4="War"), None
        )
    assert held(empty_lake, "silver.genres") == [(1, "Drama"), (2, "Joy"), (4, "War")]
    assert feed(empty_lake, "silver.genres", version) == [
        ("delete", 3),
        ("insert", 4),
        ("update_postimage", 2),
        ("update_preimage", 2),
    ]


def test_replace_without_owners_leaves_one_row_of_a_key_that_several_had(
    spark: SparkSession, empty_lake: Settings
) -> None:
    for _ in range(2):
        twins = genres(spark, g1="Drama", g2="Comedy")
        twins.write.format("delta").mode("append").save(
            tables.table_path(empty_lake, "silver.genres")
        )
    tables.replace(spark, empty_lake, GENRES, genres(spark, g1="Drama", g3="Horror"), None)
    assert held(empty_lake, "silver.genres") == [(1, "Drama"), (3, "Horror")]
