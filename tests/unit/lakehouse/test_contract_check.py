"""Every drift from the contracts is found and named; what could not be looked at is said, not passed over."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import CONTRACTS, Table, table
from lakehouse.contract_check import check, document_problems
from lakehouse.contract_revision import working_tree
from lakehouse.generate import write_generated

RATINGS = table("silver.ratings")


def changed(column: str, **fields: Any) -> Table:
    columns = tuple(
        each.model_copy(update=fields) if each.name == column else each for each in RATINGS.columns
    )
    return RATINGS.model_copy(update={"columns": columns})


def having(**fields: Any) -> Table:
    return RATINGS.model_copy(update=fields)


def test_the_contracts_and_what_is_generated_from_them_agree(lake: Settings) -> None:
    checked = check(lake)
    assert checked.findings == []
    assert checked.tables == {"contracts": len(working_tree())}
    assert set(checked.not_checked) == {"lake", "PostgreSQL"}
    assert "POSTGRES_URI is not set" in checked.not_checked["PostgreSQL"]


@pytest.mark.parametrize(
    ("contract", "column", "problem"),
    [
        (changed("rating", description=" "), "rating", "has no description"),
        (changed("movie_id", required=False), "movie_id", "part of the key, but not required"),
        (
            changed("rating", classification="secret"),
            "rating",
            "classification secret; known are public",
        ),
        (
            changed("user_id", classification=""),
            "user_id",
            "has no classification; known are public",
        ),
        (changed("user_id", references=("people", "x")), "user_id", "silver.people.x, which is no"),
        (changed("user_id", references=("nobody", "id")), "user_id", "silver.nobody, which is no"),
        (changed("user_id", references=("movies", "movie_id")), "user_id", "which is bigint"),
        (changed("rating", minimum=11.0), "rating", "minimum 11 above the maximum 10"),
        (changed("event_id", maximum=1.0), "event_id", "has a limit, but is a string"),
        (changed("rating", pattern="^a"), "rating", "rule for texts, but is a double"),
        (changed("event_id", pattern="("), "event_id", "a pattern that is none"),
        (having(cluster_by=("colour",)), "colour", "is clustered by, but is no column"),
        (having(freshness_column="rating"), "rating", "is no timestamp column"),
        (having(columns=RATINGS.columns[2:]), "", "has no key"),
        (having(columns=(*RATINGS.columns, RATINGS.columns[2])), "rating", "is there 2 times"),
    ],
)
def test_a_contract_that_contradicts_itself_is_found(
    contract: Table, column: str, problem: str
) -> None:
    ((found_column, found),) = document_problems(contract, working_tree())
    assert found_column == column
    assert problem in found


def test_a_contract_that_cannot_be_read_is_a_finding_and_stops_the_rest(
    lake: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    (folder / "silver/genres.yaml").write_text("kind: Recipe", "utf-8")
    (folder / "silver/ratings.yaml").rename(folder / "silver/scores.yaml")
    checked = check(lake, folder)
    assert [(found.place, found.name) for found in checked.findings] == [
        ("contract", "silver.genres"),
        ("contract", "silver.scores"),
    ]
    assert "calls itself silver.ratings" in checked.findings[1].problem
    assert checked.not_checked == {"all that follows": "a contract cannot be read"}


def test_a_stale_file_is_a_finding(lake: Settings, tmp_path: Path) -> None:
    write_generated(tmp_path)
    assert check(lake, root=tmp_path).findings == []
    (tmp_path / "docs/data-dictionary.md").write_text("old", "utf-8")
    (found,) = check(lake, root=tmp_path).findings
    assert (found.place, found.name) == ("generated file", "docs/data-dictionary.md")
    assert "python -m lakehouse.generate" in found.problem


def test_a_lake_that_differs_is_found_by_table_and_column(
    spark: SparkSession, empty_lake: Settings
) -> None:
    path = tables.table_path(empty_lake, "silver.genres")
    spark.sql(f"alter table delta.`{path}` add columns (colour string)")
    spark.sql(f"alter table delta.`{path}` alter column name drop not null")
    checked = check(empty_lake)
    assert checked.tables["lake"] == len(working_tree())
    assert [(found.place, found.name, found.column) for found in checked.findings] == [
        ("lake", "silver.genres", "name"),
        ("lake", "silver.genres", "colour"),
    ]
