"""A table that is made without Spark is the one that Spark would have made."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from cinelake.settings import Settings
from lakehouse import first_commit, tables
from lakehouse.contract import table
from lakehouse.frames import frame_of


def actions(folder: Path) -> dict[str, Any]:
    """The actions of a table's first commit by kind, without what differs from one table to the next."""
    lines = (folder / "_delta_log" / first_commit.FIRST).read_text().splitlines()
    found: dict[str, Any] = {kind: one for line in lines for kind, one in json.loads(line).items()}
    for kind, name in (
        ("metaData", "id"),
        ("metaData", "createdTime"),
        ("commitInfo", "timestamp"),
    ):
        del found[kind][name]
    for name in ("engineInfo", "txnId"):
        found["commitInfo"].pop(name, None)
    for name in ("readerFeatures", "writerFeatures"):
        found["protocol"][name].sort()
    found["metaData"]["schemaString"] = json.loads(found["metaData"]["schemaString"])
    parameters = found["commitInfo"]["operationParameters"]
    for name in ("clusterBy", "properties"):
        parameters[name] = json.loads(parameters[name])
    if domain := found.get("domainMetadata"):
        domain["configuration"] = json.loads(domain["configuration"])
    return found


@pytest.mark.parametrize("name", ["bronze.user_logs", "silver.genres", "silver.events"])
def test_the_first_commit_says_what_that_of_spark_says(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    first_commit.make(ours, table(name))
    tables._make(spark, str(theirs), table(name))
    assert actions(ours) == actions(theirs)
    assert [path.name for path in (ours / "_delta_log").iterdir()] == [first_commit.FIRST]


def test_spark_writes_to_a_table_that_was_made_without_it(
    spark: SparkSession, lake: Settings
) -> None:
    genres = table("silver.genres")
    tables.ensure_table(lambda: spark, lake, genres)
    assert tables.is_unwritten(lake, genres)
    for name in ("Drama", "Comedy"):
        rows = frame_of(spark, [(18, name)], genres.spark_schema())
        tables.upsert(spark, lake, genres, rows)
    feed = DeltaTable(tables.table_path(lake, "silver.genres")).load_cdf(starting_version=1)
    assert feed.read_all().num_rows == 3


def test_of_two_that_make_one_table_at_once_one_does(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(first_commit.make, tmp_path / "table", table("silver.genres"))
            for _ in range(16)
        ]:
            done.result()
    made = DeltaTable(tmp_path / "table")
    first_commit.make(tmp_path / "table", table("silver.genres"))
    assert DeltaTable(tmp_path / "table").metadata().id == made.metadata().id
