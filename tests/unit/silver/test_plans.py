"""A small batch is looked up in silver's history; nothing sorts that history for it."""

from collections.abc import Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import Table
from lakehouse.silver import refresh_events as module
from tests.unit.silver.conftest import message, uuid_of
from tests.unit.silver.test_refresh import bronze

THRESHOLD = "spark.sql.autoBroadcastJoinThreshold"


@pytest.fixture
def by_hints_alone(spark: SparkSession) -> Iterator[None]:
    """What a test holds is small by Spark's own estimate too: only a hint is to count."""
    before = spark.conf.get(THRESHOLD)
    spark.conf.set(THRESHOLD, "-1")
    yield
    spark.conf.set(THRESHOLD, str(before))


def plan(frame: DataFrame) -> str:
    return str(frame._jdf.queryExecution().executedPlan().toString())


@pytest.mark.usefixtures("by_hints_alone")
def test_only_a_large_batch_sorts_the_history_of_events(
    spark: SparkSession, empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []
    compute, apply = tables.computed, tables._apply

    def noting_computed(frame: DataFrame) -> DataFrame:
        plans.append(plan(frame))
        return compute(frame)

    def noting_apply(spark: SparkSession, lake: Settings, table: Table, rows: DataFrame) -> None:
        if table.full_name == "silver.events":
            plans.append(plan(rows))
        apply(spark, lake, table, rows)

    def joins_of(name: str) -> dict[str, str]:
        """How the history was joined with a batch: to leave out the batch's own events, and to compare rows."""
        plans.clear()
        sent = message(event_id=uuid_of(name), user_id=name, anonymous_id=None)
        module.refresh_events(spark, empty_lake, bronze(spark, "user_logs", [(0, 0, sent)]))
        lines = [line.strip(" +-:*()0123456789") for found in plans for line in found.splitlines()]
        return {
            kind: line.split()[0]
            for kind in ("LeftAnti", "LeftSemi")
            for line in lines
            if "Join" in line and "[event_id" in line and kind in line
        }

    # Only how the batch and `events` are computed is looked at.
    monkeypatch.setattr(module.side_by_side, "run", lambda _steps: None)
    monkeypatch.setattr(tables, "computed", noting_computed)
    monkeypatch.setattr(tables, "_apply", noting_apply)
    joins_of("before")
    assert joins_of("small") == dict.fromkeys(("LeftAnti", "LeftSemi"), "BroadcastHashJoin")
    monkeypatch.setattr(tables, "FEW_ROWS", 0)
    assert joins_of("large") == dict.fromkeys(("LeftAnti", "LeftSemi"), "SortMergeJoin")
