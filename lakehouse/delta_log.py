"""A Delta table's own log and files, read as they lie: commits, checkpoints and what is on the storage.

The log is described in Delta's protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import orjson
import pyarrow.parquet as pq
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType

from cinelake.settings import Settings
from lakehouse import damage
from lakehouse.damage import LOG
from lakehouse.tables import table_path


@dataclass(frozen=True)
class Added:
    """A data file that a commit added.

    Args:
        path: Below the table's folder.
        lowest: The least value of each column that has one, as JSON gives it.
        highest: The greatest.
    """

    path: str
    lowest: dict[str, Any]
    highest: dict[str, Any]

    def may_hold(self, **values: Any) -> bool:
        """Whether a row with these values may be in the file; a column without figures rules nothing out."""
        return all(
            self.lowest.get(name, value) <= value <= self.highest.get(name, value)
            for name, value in values.items()
        )


@dataclass(frozen=True)
class Commit:
    """One version of a table.

    Args:
        version: Its number.
        committed_at: When, UTC.
        added: Files with rows that were not in the table before.
        changes_rows: False for one that only moves rows to other files, or moves none.
    """

    version: int
    committed_at: datetime
    added: list[Added] = field(default_factory=list)
    changes_rows: bool = False


@dataclass(frozen=True)
class StoredFile:
    """A file in a table's folder: its path below that, its size in bytes and when it was written, UTC."""

    path: str
    size: int
    written_at: datetime


def read_commit(settings: Settings, full_name: str, version: int) -> Commit | None:
    """One version as the log tells it; None when the log does not reach back that far, or not yet so far.

    Raises:
        DamagedDataError: Its commit is damaged.
    """
    storage, folder = _storage(settings, full_name)
    path = f"{folder}/{LOG}/{version:020}.json"
    if storage.get_file_info(path).type == FileType.NotFound:
        return None
    with damage.reading(table_path(settings, full_name)), storage.open_input_stream(path) as file:
        return _commit(version, [orjson.loads(line) for line in file.read().splitlines() if line])


def _commit(version: int, actions: list[dict[str, Any]]) -> Commit:
    info: dict[str, Any] = next(
        (action["commitInfo"] for action in actions if "commitInfo" in action), {}
    )
    return Commit(
        version,
        datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
        [_added(action["add"]) for action in actions if action.get("add", {}).get("dataChange")],
        any(
            action[kind].get("dataChange", True)
            for action in actions
            for kind in ("add", "remove")
            if kind in action
        ),
    )


def _added(add: dict[str, Any]) -> Added:
    stats = orjson.loads(add.get("stats") or "{}")
    return Added(add["path"], stats.get("minValues", {}), stats.get("maxValues", {}))


def commits_from(settings: Settings, full_name: str, version: int, upto: int) -> Iterator[Commit]:
    """The commits `version` <= … <= `upto` that the log still has, the oldest first."""
    for number in range(version, upto + 1):
        commit = read_commit(settings, full_name, number)
        if commit is not None:
            yield commit


def checkpoint_age(settings: Settings, full_name: str) -> tuple[int, datetime] | None:
    """Version and time of the newest checkpoint of the log; None when there is none, or nothing that tells of it."""
    storage, folder = _storage(settings, full_name)
    info = storage.get_file_info(f"{folder}/{LOG}/_last_checkpoint")
    if info.type == FileType.NotFound:
        return None
    try:
        with storage.open_input_stream(info.path) as file:
            return int(orjson.loads(file.read())["version"]), info.mtime.astimezone(UTC)
    except orjson.JSONDecodeError:
        # No more than a hint: delta-rs and Spark pass over one that is damaged.
        return None


def stored_files(settings: Settings, full_name: str) -> list[StoredFile]:
    """Every file of the table's folder but its log and hidden ones, such as Hadoop's checksums."""
    storage, folder = _storage(settings, full_name)
    found = storage.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True))
    return [_stored(each, folder) for each in found if _is_data(each, folder)]


def _is_data(each: FileInfo, folder: str) -> bool:
    parts = PurePosixPath(each.path[len(folder) + 1 :]).parts
    return each.type == FileType.File and parts[0] != LOG and not parts[-1].startswith(".")


def _stored(each: FileInfo, folder: str) -> StoredFile:
    return StoredFile(each.path[len(folder) + 1 :], each.size, each.mtime.astimezone(UTC))


def count_in_file(
    settings: Settings, full_name: str, path: str, filters: list[tuple[str, str, Any]]
) -> int:
    """How many rows of one data file meet all conditions, deleted ones included.

    Args:
        settings: Tells where the lake is.
        full_name: For example `bronze.user_logs`.
        path: Of the file, below the table's folder.
        filters: Column, operator and value of each condition.

    Raises:
        DamagedDataError: The file is missing or damaged.
    """
    storage, folder = _storage(settings, full_name)
    columns = [column for column, _, _ in filters]
    with damage.reading(table_path(settings, full_name)):
        rows = pq.read_table(
            f"{folder}/{path}", columns=columns, filters=filters, filesystem=storage
        )
    return int(rows.num_rows)


def _storage(settings: Settings, full_name: str) -> tuple[FileSystem, str]:
    return damage.storage_of(table_path(settings, full_name))
