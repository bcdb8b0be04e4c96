"""A table as it was: by version and by time, and a clear word where that is not to be had."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError, ServiceError
from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.as_of import Selection, find_version, read_as_of
from tests.unit.lakehouse.test_changes import put

GENRES = "silver.genres"


def names(lake: Settings, version: int, **selection: object) -> list[str]:
    rows = read_as_of(lake, GENRES, version, Selection(columns=["name"], **selection))  # type: ignore[arg-type]
    return sorted(row["name"] for row in rows.to_pylist())


def test_each_version_is_there_until_it_is_vacuumed(
    spark: SparkSession, empty_lake: Settings
) -> None:
    first = put(spark, empty_lake, (1, "Drama"), (2, "Comedy"))
    second = put(spark, empty_lake, (1, "drama"), (3, "Horror"))
    assert names(empty_lake, first) == ["Comedy", "Drama"]
    assert names(empty_lake, second) == ["Comedy", "Horror", "drama"]
    assert names(empty_lake, second, where="genre_id > 1") == ["Comedy", "Horror"]
    assert len(names(empty_lake, second, limit=1)) == 1
    whole = read_as_of(empty_lake, GENRES, first, Selection())
    assert whole.schema.names == ["genre_id", "name"]

    then = find_version(empty_lake, GENRES, version=first).committed_at
    assert find_version(empty_lake, GENRES, at=then).version == first
    assert find_version(empty_lake, GENRES, at=datetime.now(UTC)).version == second
    with pytest.raises(BadInputError, match="has no version 9") as refused:
        find_version(empty_lake, GENRES, version=9)
    assert f"to {second} (" in refused.value.hint
    with pytest.raises(BadInputError, match="has no version at 1999"):
        find_version(empty_lake, GENRES, at=datetime(1999, 1, 1, tzinfo=UTC) + timedelta(1))
    with pytest.raises(BadInputError, match="has no column title"):
        read_as_of(empty_lake, GENRES, first, Selection(columns=["title"]))
    with pytest.raises(BadInputError, match="'nope' cannot be evaluated"):
        names(empty_lake, first, where="nope")

    kept = {Path(uri) for uri in DeltaTable(tables.table_path(empty_lake, GENRES)).file_uris()}
    for file in {*Path(tables.table_path(empty_lake, GENRES)).glob("*.parquet")} - kept:
        file.unlink()
    with pytest.raises(ServiceError, match="its files were vacuumed"):
        names(empty_lake, first)


def test_a_table_that_is_unknown_or_not_made_yet_is_named(lake: Settings) -> None:
    for unknown in ("silver.nope", "golden.ratings", "../silver"):
        with pytest.raises(BadInputError, match="There is no table") as refused:
            find_version(lake, unknown, version=0)
        assert "silver.ratings" in refused.value.hint
    with pytest.raises(ServiceError, match="does not exist yet"):
        find_version(lake, GENRES, version=0)


@pytest.mark.parametrize(
    ("table", "instead"),
    [("gold.ratings", "silver.ratings"), ("gold.dim_session", "silver.events")],
)
def test_a_table_of_gold_is_said_to_be_elsewhere_and_what_to_ask_instead(
    lake: Settings, table: str, instead: str
) -> None:
    with pytest.raises(BadInputError, match=f"{table} is in PostgreSQL") as refused:
        find_version(lake, table, version=0)
    assert f"`cinelake as-of {instead}`" in refused.value.hint
    assert "cinelake gold rollback" in refused.value.hint
