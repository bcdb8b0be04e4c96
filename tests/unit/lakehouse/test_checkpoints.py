"""A table and a checkpoint that belong together go on wherever a crash was, and no others do."""

import json
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from cinelake.errors import CheckpointMismatchError
from cinelake.settings import Settings
from lakehouse import checkpoints, tables
from lakehouse.checkpoints import Checkpoint
from pipeline.streams import SparkSource, run_silver

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
