"""Waiting for streaming queries: one that fails is noticed at once, and the others are stopped."""

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from cinelake.errors import ServiceError
from spark_streaming.bronze import Batch, Trigger, await_all


def query(spark: SparkSession, folder: Path, name: str, trigger: Trigger) -> StreamingQuery:
    """A query that fails when its name says so, and else goes on."""

    def handle(batch: DataFrame, _batch_id: int) -> None:
        if name == "fails":
            raise ValueError("a broken batch")

    return (
        spark.readStream.format("rate")
        .load()
        .writeStream.foreachBatch(handle)
        .queryName(name)
        .option("checkpointLocation", str(folder / name))
        .trigger(**trigger.options())
        .start()
    )


def test_a_query_that_fails_beside_a_daemon_ends_both(spark: SparkSession, tmp_path: Path) -> None:
    daemon = Trigger("100 milliseconds")
    queries = [query(spark, tmp_path, name, daemon) for name in ("goes on", "fails")]
    with pytest.raises(ServiceError, match="A streaming query failed") as caught:
        await_all(queries)
    assert caught.value.message.strip()
    assert not any(each.isActive for each in queries)


def test_rows_are_counted_by_query(spark: SparkSession, tmp_path: Path) -> None:
    source = str(tmp_path / "source")
    spark.range(5).write.format("delta").save(source)
    queries = [
        spark.readStream.format("delta")
        .load(source)
        .writeStream.format("noop")
        .queryName(name)
        .option("checkpointLocation", str(tmp_path / name))
        .trigger(**Trigger().options())
        .start()
        for name in ("one", "two")
    ]
    noted: list[Batch] = []
    assert await_all(queries, noted.extend) == {"one": 5, "two": 5}
    assert sorted((batch.query, batch.number, batch.rows) for batch in noted) == [
        ("one", 0, 5),
        ("two", 0, 5),
    ]
    for batch in noted:
        assert batch.state_rows == 0
        assert batch.phases["addBatch"] > 0
        assert sum(batch.phases.values()) <= batch.seconds


def test_a_trigger_runs_once_or_again_and_again() -> None:
    assert Trigger().options() == {"availableNow": True}
    assert Trigger("10 seconds").options() == {"processingTime": "10 seconds"}
