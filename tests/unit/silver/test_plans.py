"""A small batch is looked up in silver's history; nothing sorts that history for it."""

from collections.abc import Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.silver import refresh_events as module
from lakehouse.silver.refresh import refresh_events
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
@pytest.mark.parametrize(
    ("most", "join"), [(tables.FEW_ROWS, "BroadcastHashJoin"), (0, "SortMergeJoin")]
)
def test_only_a_large_batch_sorts_the_history_of_events(
    spark: SparkSession,
    empty_lake: Settings,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    join: str,
) -> None:
    def take(name: str) -> None:
        sent = message(event_id=uuid_of(name), user_id=name, anonymous_id=None)
        refresh_events(spark, empty_lake, bronze(spark, "user_logs", [(0, 0, sent)]))

    take("before")
    plans: list[str] = []
    keep, apply = module._Batch._keep, tables._apply

    def noting_keep(batch: module._Batch, frame: DataFrame) -> DataFrame:
        plans.append(plan(frame))
        return keep(batch, frame)

    def noting_apply(
        spark: SparkSession, lake: Settings, table: tables.Table, rows: DataFrame
    ) -> None:
        if table.full_name == "silver.events":
            plans.append(plan(rows))
        apply(spark, lake, table, rows)

    monkeypatch.setattr(module._Batch, "_keep", noting_keep)
    monkeypatch.setattr(tables, "_apply", noting_apply)
    monkeypatch.setattr(tables, "FEW_ROWS", most)
    take("after")
    joins = [
        line.strip(" +-:*()0123456789")
        for found in plans
        for line in found.splitlines()
        if "Join" in line
    ]
    # Of the history all but the batch's own events; of what silver holds the rows to compare with.
    for kind in ("LeftAnti", "LeftSemi"):
        of_events = [line for line in joins if "[event_id" in line and kind in line]
        assert of_events, joins
        assert of_events[-1].startswith(join), joins
