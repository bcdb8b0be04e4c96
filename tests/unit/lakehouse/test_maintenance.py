"""Upkeep makes files fewer and changes no row; what a reader has still to read stays."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError
from cinelake.settings import Settings
from lakehouse import changes, delta_log, maintenance, readers, tables, watermarks
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.readers import Unread, oldest_unread, streamed_version
from tests.unit.lakehouse.test_changes import put, seen

GENRES = "silver.genres"


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The watermarks, in a dictionary instead of PostgreSQL."""
    kept: dict[str, int] = {}
    monkeypatch.setattr(watermarks, "read", lambda _, name: kept.get(name, -1))
    return kept


def planned(lake: Settings, hours: float | None) -> maintenance.Upkeep:
    return next(each for each in maintenance.plan(lake, hours) if each.table == GENRES)


def test_files_are_put_together_and_taken_away_and_no_row_changes(
    spark: SparkSession, empty_lake: Settings, marks: dict[str, int]
) -> None:
    first = put(spark, empty_lake, (1, "Drama"), (2, "Comedy"))
    put(spark, empty_lake, (3, "Horror"))
    newest = put(spark, empty_lake, (1, "drama"), (4, "War"))
    rows = changes.query(empty_lake, GENRES, "select * from t order by 1").to_pylist()

    marks[GENRES] = first
    with pytest.raises(BadInputError, match="cinelake publish has not read version 2") as refused:
        maintenance.plan(empty_lake, 0.5)
    assert "for 2 hours" in refused.value.hint
    waiting = planned(empty_lake, None)
    assert waiting.retention_hours == 168
    assert waiting.oldest_unread is not None
    assert waiting.oldest_unread.version == first + 1
    assert maintenance.preview(_no_spark, empty_lake, waiting) == waiting

    marks[GENRES] = newest
    ready = planned(empty_lake, 0)
    assert (ready.oldest_unread, ready.retention_hours) == (None, 0)
    assert ready.small_files_before >= 3
    assert maintenance.preview(lambda: spark, empty_lake, ready).bytes_after == ready.bytes_after
    assert planned(empty_lake, 0).bytes_before == ready.bytes_before
    done = maintenance.maintain(lambda: spark, empty_lake, ready)
    assert done.small_files_after == 1
    assert done.files_removed >= ready.small_files_before
    assert done.bytes_after < done.bytes_before
    assert changes.query(empty_lake, GENRES, "select * from t order by 1").to_pylist() == rows

    # The readers find nothing to do in the versions that it made.
    upto = changes.current_version(empty_lake, GENRES)
    assert upto > newest
    assert seen(empty_lake, newest, upto) == []
    again = planned(empty_lake, 0)
    assert again.oldest_unread is None
    assert not again.wants_compaction
    assert maintenance.maintain(_no_spark, empty_lake, again).files_removed == 0


def _no_spark() -> SparkSession:
    raise AssertionError("there is nothing to do that needs Spark")


def test_what_came_after_the_plan_is_kept(
    spark: SparkSession, empty_lake: Settings, marks: dict[str, int]
) -> None:
    marks[GENRES] = put(spark, empty_lake, (1, "Drama"), (2, "Comedy"))
    ready = planned(empty_lake, 0)
    late = put(spark, empty_lake, (1, "drama"))
    done = maintenance.maintain(lambda: spark, empty_lake, ready)
    assert done.retention_hours > 0
    assert done.files_removed == 0
    assert ("update_postimage", 1, "drama", late) in seen(empty_lake, marks[GENRES], late)


def test_a_clustered_table_stays_clustered(spark: SparkSession, empty_lake: Settings) -> None:
    sessions = table("silver.sessions")
    assert sessions.cluster_by == ("visitor_id",)
    path = tables.table_path(empty_lake, sessions.full_name)
    now = datetime.now(UTC)
    values = {
        "session_id": "s",
        "visitor_id": "u:ada",
        "is_given": False,
        "started_at": now,
        "ended_at": now,
        "event_count": 1,
    }
    row = tuple(values.get(name) for name in sessions.column_names)
    for _ in range(2):
        frame = frame_of(spark, [row], sessions.spark_schema())
        frame.write.format("delta").mode("append").save(path)
    small = maintenance.Upkeep(sessions.full_name, 2, 0, None, None, 168, 2, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watermarks, "read", lambda *_: -1)
        done = maintenance.maintain(lambda: spark, empty_lake, small)
    assert done.small_files_after == 1
    detail = spark.sql(f"describe detail delta.`{path}`").collect()[0]
    assert detail["clusteringColumns"] == ["visitor_id"]


def test_the_oldest_of_several_readers_counts_and_idle_versions_do_not(
    lake: Settings, monkeypatch: pytest.MonkeyPatch, marks: dict[str, int]
) -> None:
    logs = table("bronze.user_logs")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    log = Path(tables.table_path(lake, logs.full_name)) / "_delta_log"
    log.mkdir(parents=True)
    add = {"path": "x.parquet", "dataChange": True}
    for version, actions in enumerate(
        ([], [{"add": add}], [{"add": {**add, "dataChange": False}}], [{"add": add}], [])
    ):
        info = {"commitInfo": {"timestamp": (start.timestamp() + version) * 1000}}
        lines = [json.dumps(action) for action in [info, *actions]]
        (log / f"{version:020}.json").write_text("\n".join(lines))
    monkeypatch.setattr(changes, "current_version", lambda *_: 4)
    gate = f"gate of {logs.full_name}"

    def unread(gated: int, streamed: int) -> Unread | None:
        marks[gate] = gated
        monkeypatch.setattr(readers, "streamed_version", lambda *_: streamed)
        return oldest_unread(lake, logs)

    third = start + timedelta(seconds=3)
    assert unread(4, 3) is None
    assert unread(-1, -1) is None
    assert unread(4, 1) == Unread(3, third, "cinelake silver")
    assert unread(2, 4) == Unread(3, third, "the bronze gate")
    assert unread(0, 2) == Unread(1, start + timedelta(seconds=1), "the bronze gate")
    assert delta_log.read_commit(lake, logs.full_name, 5) is None
    found = unread(4, 1)
    assert found is not None
    assert found.age_hours(third + timedelta(hours=2)) == 2


def _checkpoint(lake: Settings, **files: dict[str, Any] | None) -> None:
    folder = Path(tables.checkpoint_path(lake, "silver.bronze.movie"))
    for name, offset in files.items():
        kind, number = name.rsplit("_", 1)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        content = "v1\n{}" if offset is None else f'v1\n{{"conf":{{}}}}\n{json.dumps(offset)}'
        (folder / kind / number).write_text(content)


def test_how_far_silver_has_read_is_what_it_has_committed(lake: Settings) -> None:
    assert streamed_version(lake, "bronze.movie") == -1
    _checkpoint(lake, offsets_9={"reservoirVersion": 4}, offsets_10={"reservoirVersion": 7})
    assert streamed_version(lake, "bronze.movie") == -1
    _checkpoint(lake, commits_9=None)
    assert streamed_version(lake, "bronze.movie") == 3
    _checkpoint(lake, commits_10=None)
    assert streamed_version(lake, "bronze.movie") == 6
