"""A table is compared with its contract column by column, whatever their order."""

import pytest

from cinelake.settings import Settings
from lakehouse import shape
from lakehouse.contract import table, tables
from lakehouse.shape import ColumnShape, compare
from lakehouse.tables import table_path

EXPECTED = {
    "id": ColumnShape("long", True),
    "name": ColumnShape("string", False),
    "at": ColumnShape("timestamp", True),
}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (EXPECTED, []),
        (dict(reversed(EXPECTED.items())), []),
        ({**EXPECTED, "word": ColumnShape("string", False)}, [("word", "extra", False)]),
        ({**EXPECTED, "name": ColumnShape("long", False)}, [("name", "type", False)]),
        ({**EXPECTED, "name": ColumnShape("string", True)}, [("name", "stricter", True)]),
        ({**EXPECTED, "at": ColumnShape("timestamp", False)}, [("at", "laxer", False)]),
        (
            {"id": EXPECTED["id"]},
            [("name", "missing", True), ("at", "missing", False)],
        ),
    ],
)
def test_each_difference_is_named_and_only_what_keeps_every_row_is_additive(
    found: shape.Shape, expected: list[tuple[str, str, bool]]
) -> None:
    differences = compare(EXPECTED, found)
    assert [(each.column, each.kind, each.is_additive) for each in differences] == expected


def test_tables_made_from_their_contracts_have_no_difference(empty_lake: Settings) -> None:
    for layer in ("bronze", "silver"):
        for contract in tables(layer):
            found = shape.found_in_lake(table_path(empty_lake, contract.full_name))
            assert found is not None
            assert shape.compare_delta(contract, found) == []


def test_a_table_that_is_not_there_has_no_shape(lake: Settings) -> None:
    assert shape.found_in_lake(table_path(lake, "silver.ratings")) is None


def test_raw_bytes_have_no_place_in_postgres() -> None:
    columns = shape.of_postgres(table("silver.quarantine"))
    assert "payload" not in columns
    assert columns["_lake_version"] == ColumnShape("bigint", True)
    assert columns["kafka_offset"] == ColumnShape("bigint", True)
    assert shape.of_postgres(table("silver.ratings"))["event_id"].type == "uuid"


def test_another_key_is_a_difference() -> None:
    ratings = table("silver.ratings")
    found = shape.PostgresShape(shape.of_postgres(ratings), ("movie_id", "user_id"))
    (difference,) = shape.compare_postgres(ratings, found)
    assert (difference.kind, difference.column) == ("key", "user_id, movie_id")
    assert difference.problem.endswith("the table's key is movie_id, user_id")
    assert shape.compare_postgres(ratings, found._replace(key=("user_id", "movie_id"))) == []
