"""A Delta table follows its contract to new optional columns, keeps its rows, and is left alone by anything else."""

from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from cinelake.errors import ContractRefusedError
from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import Column, Table, table
from lakehouse.frames import frame_of

GENRES = table("silver.genres")
"""genre_id and name, both required."""
NEW_COLUMNS = (
    Column(name="colour", type="string", description='It\'s \\ "odd" `x` — 映画.', required=False),
    Column(name="films", type="bigint", description="How many.", required=False),
)


def with_columns(*columns: Column) -> Table:
    return GENRES.model_copy(update={"columns": (*GENRES.columns, *columns)})


def put(spark: SparkSession, lake: Settings, contract: Table, *rows: Sequence[Any]) -> None:
    tables.upsert(spark, lake, contract, frame_of(spark, list(rows), contract.spark_schema()))


def version(lake: Settings) -> int:
    return changes.current_version(lake, GENRES.full_name)


def held(lake: Settings) -> list[tuple[Any, ...]]:
    rows = changes.query(lake, GENRES.full_name, "select * from t order by genre_id").to_pylist()
    return [tuple(row.values()) for row in rows]


def no_spark() -> NoReturn:
    pytest.fail("there is nothing to do that needs Spark")


def test_new_optional_columns_appear_and_rows_and_change_feed_stay(
    spark: SparkSession, empty_lake: Settings
) -> None:
    put(spark, empty_lake, GENRES, (1, "Drama"), (2, "Comedy"))
    first = version(empty_lake)
    wider = with_columns(*NEW_COLUMNS)
    tables.ensure_table(lambda: spark, empty_lake, wider)
    put(spark, empty_lake, wider, (2, "Comedy", "red", 7), (3, "Horror", None, None))
    assert held(empty_lake) == [
        (1, "Drama", None, None),
        (2, "Comedy", "red", 7),
        (3, "Horror", None, None),
    ]
    names = wider.column_names
    feed = changes.read_changes(empty_lake, GENRES.full_name, first - 1, version(empty_lake), names)
    found = sorted(
        (row["_change_type"], row["genre_id"], row["colour"]) for row in feed.read_all().to_pylist()
    )
    assert found == [
        ("insert", 1, None),
        ("insert", 2, None),
        ("insert", 3, None),
        ("update_postimage", 2, "red"),
        ("update_preimage", 2, None),
    ]
    fields = DeltaTable(tables.table_path(empty_lake, GENRES.full_name)).schema().fields
    comments = {field.name: field.metadata.get("comment") for field in fields}
    assert comments == {column.name: column.description for column in wider.columns}


def test_a_table_that_fits_its_contract_is_not_written_and_spark_is_not_asked(
    empty_lake: Settings,
) -> None:
    for layer in ("bronze", "silver"):
        tables.ensure_layer(no_spark, empty_lake, layer)
    assert version(empty_lake) == 0


def test_a_required_column_that_may_be_null_now_takes_nulls(
    spark: SparkSession, empty_lake: Settings
) -> None:
    put(spark, empty_lake, GENRES, (1, "Drama"))
    key, name = GENRES.columns
    laxer = GENRES.model_copy(
        update={"columns": (key, name.model_copy(update={"required": False}))}
    )
    tables.ensure_table(lambda: spark, empty_lake, laxer)
    put(spark, empty_lake, laxer, (2, None))
    assert held(empty_lake) == [(1, "Drama"), (2, None)]


KEY, NAME = GENRES.columns
REQUIRED = Column(name="colour", type="string", description="Which.", required=True)


@pytest.mark.parametrize(
    ("contract", "named"),
    [
        (with_columns(REQUIRED), "silver.genres.colour is missing"),
        (
            with_columns(*NEW_COLUMNS, REQUIRED.model_copy(update={"name": "taste"})),
            "silver.genres.taste is missing",
        ),
        (GENRES.model_copy(update={"columns": (KEY,)}), "silver.genres.name is there as string"),
        (
            GENRES.model_copy(update={"columns": (KEY.model_copy(update={"type": "int"}), NAME)}),
            "silver.genres.genre_id is long, by the contract integer",
        ),
    ],
)
def test_what_would_touch_rows_is_refused_with_table_and_column_and_changes_nothing(
    empty_lake: Settings, contract: Table, named: str
) -> None:
    with pytest.raises(ContractRefusedError) as caught:
        tables.ensure_table(no_spark, empty_lake, contract)
    assert named in caught.value.message
    assert "optional column" in caught.value.hint
    assert version(empty_lake) == 0


def test_a_column_required_from_now_on_is_refused(
    spark: SparkSession, empty_lake: Settings
) -> None:
    tables.ensure_table(lambda: spark, empty_lake, with_columns(*NEW_COLUMNS))
    with pytest.raises(ContractRefusedError, match=r"silver\.genres\.colour may be null"):
        tables.ensure_table(lambda: spark, empty_lake, with_columns(REQUIRED, NEW_COLUMNS[1]))
