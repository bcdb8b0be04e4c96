"""A table and a checkpoint that belong together go on wherever a crash was, and no others do."""

import json
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from cinelake.errors import CheckpointMismatchError, DamagedDataError, ServiceError
from cinelake.settings import Settings
from lakehouse import checkpoints, tables
from lakehouse.checkpoints import Checkpoint
from lakehouse.tables import SparkSource
from pipeline.streams import run_silver

NAME = "bronze.user_logs"
NO_SPARK = cast(SparkSource, None)


def note(lake: Settings, name: str, planned: int, committed: int, query_id: str = "ours") -> None:
    """Write a checkpoint as Spark does, with the checksums of its file system beside."""
    folder = Path(tables.checkpoint_path(lake, name))
    for kind, newest in (("offsets", planned), ("commits", committed)):
        (folder / kind).mkdir(parents=True)
        for batch in range(newest + 1):
            (folder / kind / str(batch)).write_text("v1\n{}")
            (folder / kind / f".{batch}.crc").write_bytes(b"crc")
    (folder / "metadata").write_text(json.dumps({"id": query_id}))


def write(lake: Settings, name: str, rows: int, **batches: int) -> None:
    """Append rows to a table, as a batch of each of the queries named."""
    taken = [Transaction(query_id, batch) for query_id, batch in batches.items()]
    write_deltalake(
        tables.table_path(lake, name),
        pa.table({"offset": pa.array(range(rows), pa.int64())}),
        mode="append",
        commit_properties=CommitProperties(app_transactions=taken),
    )


def test_a_checkpoint_that_is_not_there_is_of_no_query(lake: Settings) -> None:
    assert checkpoints.read(lake, NAME) == Checkpoint("", -1, -1)
    note(lake, NAME, planned=11, committed=9)
    assert checkpoints.read(lake, NAME) == Checkpoint("ours", 11, 9)


# Planned and committed batches of the checkpoint, then the rows of the table and the batches it has taken.
FITTING: dict[str, tuple[tuple[int, int] | None, tuple[int, dict[str, int]] | None]] = {
    "nothing is there yet": (None, None),
    "the table was made and no query ran": (None, (0, {})),
    "killed before the first batch was planned": ((-1, -1), (0, {})),
    "killed before the first batch was written": ((0, -1), (0, {})),
    "killed before the first batch was committed": ((0, -1), (5, {"ours": 0})),
    "all is written": ((3, 3), (5, {"ours": 3})),
    "killed before a batch was written": ((4, 3), (5, {"ours": 3})),
    "killed before a batch was committed": ((4, 3), (5, {"ours": 4})),
    "no batch had a message": ((3, 3), (0, {"ours": 3})),
    "another query wrote before": ((1, 1), (5, {"theirs": 40, "ours": 1})),
}
UNKNOWN_TO_THE_CHECKPOINT: dict[str, tuple[tuple[int, int] | None, tuple[int, dict[str, int]]]] = {
    "the checkpoint is gone": (None, (5, {"theirs": 3})),
    "its offsets are gone": ((-1, 3), (5, {"ours": 3})),
    "it is older than the table": ((2, 2), (5, {"ours": 3})),
    "another query went on": ((0, -1), (5, {"theirs": 3})),
    "nobody knows who wrote": (None, (5, {})),
}
LACKING_IN_THE_TABLE: dict[str, tuple[tuple[int, int], tuple[int, dict[str, int]] | None]] = {
    "the table is gone": ((3, 3), None),
    "the table was made anew": ((3, 3), (0, {})),
    "it is older than the checkpoint": ((3, 3), (5, {"ours": 2})),
}


def put(lake: Settings, case: tuple[Any, Any]) -> None:
    checkpoint, written = case
    if checkpoint:
        note(lake, NAME, *checkpoint)
    if written:
        rows, batches = written
        write(lake, NAME, rows, **batches)


@pytest.mark.parametrize("case", FITTING.values(), ids=FITTING)
def test_what_belongs_together_goes_on(lake: Settings, case: tuple[Any, Any]) -> None:
    put(lake, case)
    checkpoints.require_fits(lake, NAME)


@pytest.mark.parametrize("case", UNKNOWN_TO_THE_CHECKPOINT.values(), ids=UNKNOWN_TO_THE_CHECKPOINT)
def test_what_would_be_read_twice_is_refused(lake: Settings, case: tuple[Any, Any]) -> None:
    put(lake, case)
    with pytest.raises(CheckpointMismatchError, match="knows nothing of") as caught:
        checkpoints.require_fits(lake, NAME)
    assert tables.checkpoint_path(lake, NAME) in caught.value.message
    assert "docs/runbook.md" in caught.value.hint


@pytest.mark.parametrize("case", LACKING_IN_THE_TABLE.values(), ids=LACKING_IN_THE_TABLE)
def test_what_would_be_passed_over_is_refused(lake: Settings, case: tuple[Any, Any]) -> None:
    put(lake, case)
    with pytest.raises(CheckpointMismatchError, match="lacks messages that its checkpoint"):
        checkpoints.require_fits(lake, NAME)


@pytest.mark.parametrize(
    ("source", "fed"), [("bronze.user_logs", "silver.events"), ("bronze.movie", "silver.movies")]
)
def test_silver_is_not_made_empty_beside_a_checkpoint_that_has_passed_bronze(
    lake: Settings, source: str, fed: str
) -> None:
    checkpoints.require_silver(lake)
    note(lake, f"silver.{source}", planned=2, committed=2)
    with pytest.raises(CheckpointMismatchError, match=f"{fed} is gone"):
        run_silver(NO_SPARK, lake)
    write(lake, fed, 0)
    checkpoints.require_silver(lake)


def test_silver_goes_on_without_a_checkpoint_and_with_one_that_committed_nothing(
    lake: Settings,
) -> None:
    for fed in checkpoints.FIRST_FED.values():
        write(lake, fed, 5)
    checkpoints.require_silver(lake)
    note(lake, "silver.bronze.movie", planned=0, committed=-1)
    checkpoints.require_silver(lake)


# --- What Kafka holds ---------------------------------------------------------------------------------------

TOPIC = "logs"
COMMITTED, PLANNED = {0: 10, 1: 4}, {0: 15, 1: 4}
KAFKA_HAS = {
    "all": {0: range(20), 1: range(4)},
    "what comes next": {0: range(10, 10), 1: range(4, 9)},
}
KAFKA_LACKS = {
    "all": {0: range(0), 1: range(0)},
    "the newest of one partition": {0: range(9), 1: range(4)},
    "what comes next": {0: range(11, 20), 1: range(4)},
    "a partition": {0: range(20)},
}


def plan(lake: Settings, batch: int, text: str) -> Path:
    """Note the plan of a batch as Spark does; its file."""
    file = Path(tables.checkpoint_path(lake, NAME), "offsets", str(batch))
    file.write_text(text)
    return file


def taken(offsets: dict[int, int]) -> str:
    return "v1\n{}\n" + json.dumps({TOPIC: offsets})


@pytest.fixture
def half_way(lake: Settings) -> Settings:
    """Batch 0 is committed, batch 1 planned and not written."""
    note(lake, NAME, planned=1, committed=0)
    plan(lake, 0, taken(COMMITTED))
    plan(lake, 1, taken(PLANNED))
    write(lake, NAME, 14, ours=0)
    return lake


def files(lake: Settings) -> set[Path]:
    return set(Path(tables.checkpoint_path(lake, NAME)).rglob("*"))


@pytest.mark.parametrize("kept", KAFKA_HAS.values(), ids=KAFKA_HAS)
def test_a_query_goes_on_where_kafka_holds_what_comes_next(
    half_way: Settings, kept: dict[int, range]
) -> None:
    checkpoints.require_kept(half_way, NAME, TOPIC, kept)


@pytest.mark.parametrize("kept", KAFKA_LACKS.values(), ids=KAFKA_LACKS)
def test_a_query_is_not_started_where_kafka_lacks_what_comes_next(
    half_way: Settings, kept: dict[int, range]
) -> None:
    before = files(half_way)
    with pytest.raises(ServiceError, match=rf"{NAME} has taken partition \d of {TOPIC}"):
        checkpoints.require_kept(half_way, NAME, TOPIC, kept)
    assert files(half_way) == before


def test_a_batch_that_was_written_has_to_be_in_kafka_though_it_was_not_committed(
    half_way: Settings,
) -> None:
    kept = {0: range(14), 1: range(4)}
    checkpoints.require_kept(half_way, NAME, TOPIC, kept)
    write(half_way, NAME, 5, ours=1)
    with pytest.raises(ServiceError, match="up to offset 15, and Kafka holds 0 to 14"):
        checkpoints.require_kept(half_way, NAME, TOPIC, kept)


VOID = {
    "it goes back behind the last commit": taken({0: 0, 1: 0}),
    "it goes beyond what Kafka has": taken({0: 21, 1: 4}),
    "it lacks a partition": taken({0: 15}),
    "it names one that Kafka lacks": taken({0: 15, 1: 4, 2: 7}),
    "it is empty": "",
    "it is cut off": taken(PLANNED)[:-5],
}


@pytest.mark.parametrize("text", VOID.values(), ids=VOID)
def test_a_plan_that_was_never_written_and_can_never_be_is_taken_away(
    half_way: Settings, text: str
) -> None:
    file = plan(half_way, 1, text)
    before = files(half_way)
    checkpoints.drop_void_plan(half_way, NAME, TOPIC, KAFKA_HAS["all"])
    assert before - files(half_way) == {file, file.with_name(".1.crc")}
    checkpoints.require_fits(half_way, NAME)
    checkpoints.drop_void_plan(half_way, NAME, TOPIC, KAFKA_HAS["all"])
    assert checkpoints.kafka_offsets(half_way, NAME, TOPIC) == COMMITTED


@pytest.mark.parametrize("is_written", [False, True])
def test_a_plan_that_can_be_followed_or_was_stays(half_way: Settings, is_written: bool) -> None:
    kept = KAFKA_HAS["all"]
    if is_written:
        write(half_way, NAME, 5, ours=1)
        kept = {0: range(12), 1: range(4)}
    before = files(half_way)
    checkpoints.drop_void_plan(half_way, NAME, TOPIC, kept)
    assert files(half_way) == before


def test_a_damaged_plan_that_was_written_is_named_and_stays(half_way: Settings) -> None:
    write(half_way, NAME, 5, ours=1)
    file = plan(half_way, 1, "")
    checkpoints.drop_void_plan(half_way, NAME, TOPIC, KAFKA_HAS["all"])
    with pytest.raises(DamagedDataError, match=f"{file} is empty"):
        checkpoints.require_whole(half_way, NAME)
