"""Reading the lake without Spark: versions, counts and what changed between two versions."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.frames import frame_of

GENRES, LOGS = table("silver.genres"), table("bronze.user_logs")


def put(spark: SparkSession, lake: Settings, *rows: tuple[int, str]) -> int:
    """Upsert genres; the version after it."""
    frame = frame_of(spark, list(rows), GENRES.spark_schema())
    tables.upsert(spark, lake, GENRES, frame)
    return changes.current_version(lake, "silver.genres")


def seen(lake: Settings, after: int, upto: int) -> list[tuple[str, int, str, int]]:
    rows = changes.read_changes(lake, "silver.genres", after, upto).read_all().to_pylist()
    return sorted(
        (row["_change_type"], row["genre_id"], row["name"], row["_commit_version"]) for row in rows
    )


def test_a_table_that_is_not_there_has_no_version_no_rows_and_no_changes(lake: Settings) -> None:
    assert changes.current_version(lake, "silver.genres") == -1
    assert changes.count_rows(lake, "silver.genres") == 0
    assert changes.query(lake, "silver.genres", "select * from t").num_rows == 0
    for after in (-1, 0):
        with pytest.raises(ServiceError, match=r"silver\.genres does not exist"):
            changes.read_changes(lake, "silver.genres", after, 1)


def test_changes_are_those_between_the_two_versions(
    spark: SparkSession, empty_lake: Settings
) -> None:
    first = put(spark, empty_lake, (1, "Drama"), (2, "Comedy"))
    second = put(spark, empty_lake, (1, "drama"), (3, "Horror"))
    third = put(spark, empty_lake, (4, "War"))
    assert changes.count_rows(empty_lake, "silver.genres") == 4
    assert changes.count_rows(empty_lake, "silver.genres", "genre_id > 2") == 2
    assert seen(empty_lake, first, second) == [
        ("insert", 3, "Horror", second),
        ("update_postimage", 1, "drama", second),
        ("update_preimage", 1, "Drama", second),
    ]
    assert seen(empty_lake, second, third) == [("insert", 4, "War", third)]


def test_to_one_who_knows_nothing_every_row_is_new(
    spark: SparkSession, empty_lake: Settings
) -> None:
    put(spark, empty_lake, (1, "Drama"), (2, "Comedy"))
    second = put(spark, empty_lake, (1, "drama"))
    put(spark, empty_lake, (3, "too late"))
    assert seen(empty_lake, -1, second) == [
        ("insert", 1, "drama", second),
        ("insert", 2, "Comedy", second),
    ]
    reader = changes.read_changes(empty_lake, "silver.genres", -1, second, ["name"])
    assert reader.schema.names == ["name", "_change_type", "_commit_version"]


def test_columns_named_like_words_of_sql_can_be_read(
    spark: SparkSession, empty_lake: Settings
) -> None:
    rows = spark.sql(
        "select 'user_logs' as topic, 0 as partition, 7L as offset, timestamp'2026-01-01' as"
        " timestamp, cast(null as binary) as key, cast('x' as binary) as value,"
        " date'2026-01-01' as ingest_date"
    )
    tables.insert_new(spark, empty_lake, LOGS, rows)
    newest = changes.current_version(empty_lake, LOGS.full_name)
    for after in (-1, 0):
        reader = changes.read_changes(empty_lake, LOGS.full_name, after, newest, LOGS.column_names)
        row = reader.read_all().to_pylist()[0]
        assert [row[name] for name in ("topic", "partition", "offset")] == ["user_logs", 0, 7]
        assert (row["key"], row["value"], row["_commit_version"]) == (None, b"x", newest)


def test_changes_that_were_cleaned_away_are_an_error_that_says_what_to_do(
    spark: SparkSession, empty_lake: Settings
) -> None:
    first = put(spark, empty_lake, (1, "Drama"), (2, "Comedy"))
    newest = put(spark, empty_lake, (1, "drama"))
    folder = Path(tables.table_path(empty_lake, "silver.genres")) / "_change_data"
    for file in folder.rglob("*.parquet"):
        file.unlink()
    with pytest.raises(ServiceError, match="cannot be read") as caught:
        changes.read_changes(empty_lake, "silver.genres", first, newest).read_all()
    assert "cinelake publish --full" in caught.value.hint
    assert [row[1:3] for row in seen(empty_lake, -1, newest)] == [(1, "drama"), (2, "Comedy")]


def test_a_date_that_python_has_no_name_for_is_shown_as_a_text() -> None:
    days = pa.array([-(10**6), 0, None], pa.int32()).cast(pa.date32())
    found = changes.python_rows(pa.table({"day": days, "n": [1, 2, 3]}))
    assert found == [
        {"day": "-0768-02-04", "n": 1},
        {"day": "1970-01-01", "n": 2},
        {"day": None, "n": 3},
    ]
    known = changes.python_rows(pa.table({"day": days[1:]}))
    assert known == [{"day": date(1970, 1, 1)}, {"day": None}]
