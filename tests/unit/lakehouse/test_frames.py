"""Frames of Python rows: the same as Spark makes of them through a Python worker."""

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.testing import assertDataFrameEqual

from lakehouse import frames
from lakehouse.frames import frame_of

DDL = (
    "id bigint, name string, rating double, at timestamp, day date, raw binary, is_on boolean,"
    " tags array<string>, place struct<x: int, parts: array<struct<k: string, v: int>>>,"
    " counts map<string, int>"
)
ROWS = [
    (
        *(1, "été", 8.5, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), date(2026, 1, 2)),
        *(b"\x00\xff", True, ["a", None], (7, [("k", 1), None]), {"views": 3}),
    ),
    (2, "", -0.0, datetime(1999, 12, 31, 23, 59), date(1, 1, 1), b"", False, [], (None, []), {}),
    (None,) * 10,
]


def test_a_frame_has_the_rows_types_and_order_that_it_was_given(spark: SparkSession) -> None:
    found = frame_of(spark, ROWS, DDL)
    by_worker = spark.createDataFrame(ROWS, DDL)
    assert found.schema == by_worker.schema
    assertDataFrameEqual(found, by_worker, checkRowOrder=True)


def test_what_was_collected_becomes_the_same_frame(spark: SparkSession) -> None:
    first = frame_of(spark, ROWS, DDL)
    assertDataFrameEqual(frame_of(spark, first.collect(), first.schema), first, checkRowOrder=True)


def test_rows_that_are_made_one_after_the_other_are_all_there_in_their_order(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "BLOCK", 2)
    found = frame_of(
        spark, ((number, str(number)) for number in range(5)), "id bigint, name string"
    )
    assert [tuple(row) for row in found.collect()] == [(n, str(n)) for n in range(5)]


def test_no_rows_are_an_empty_frame(spark: SparkSession) -> None:
    found = frame_of(spark, [], DDL)
    assert found.count() == 0
    assert len(found.columns) == 10


def _plan(frame: DataFrame) -> str:
    return str(frame._jdf.queryExecution().toString())


def test_its_rows_are_read_without_a_python_worker(spark: SparkSession) -> None:
    assert "ExistingRDD" in _plan(spark.createDataFrame(ROWS, DDL))
    assert "ExistingRDD" not in _plan(frame_of(spark, ROWS, DDL))


def test_a_row_that_lacks_a_value_is_refused(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        frame_of(spark, [(1, "a"), (2,)], "id bigint, name string")
