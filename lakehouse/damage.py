"""Damage to a Delta table: which of its files is missing, cut off or holds something else than it should.

delta-rs and Spark tell of it in many ways, mostly without the file, or not at all: both pass over a commit without a byte,
and count the rows of a file that is gone. So a table's log is looked at before the table is opened, and an error while it
is read leads to a look at its files.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType

from cinelake.errors import DamagedDataError

LOG = "_delta_log"
SHOWN = 3
"""Files that a message names at most."""
HINT = (
    'Bring it back from a backup, or make it anew: "Damaged data" in docs/runbook.md. Nothing was written to it;'
    " `cinelake status` lists all that is damaged."
)
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.")
_CHECKSUM = re.compile(r"(\d{20})\.crc")
"""Spark writes it after the commit of that version."""
_OF_A_QUERY = ("Schema error", "SQL error", "Optimizer rule", "Error during planning")
"""How an error begins that comes of a query's words, before a file is read."""


def opened(path: str, version: int | None = None) -> DeltaTable | None:
    """A Delta table, or None when there is none.

    Args:
        path: Its folder or URI.
        version: Which version; by default the newest.

    Raises:
        DamagedDataError: A file of its log is missing or damaged.
    """
    if found := _log_problems(path):
        raise _damaged(path, found)
    with reading(path):
        try:
            return DeltaTable(path, version=version)
        except TableNotFoundError:
            return None


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Read a table with delta-rs in the block.

    Args:
        path: Its folder or URI.

    Raises:
        DamagedDataError: It cannot be read, and one of its files is missing or damaged.
    """
    try:
        yield
    except Exception as error:
        if is_of_storage(error) and (found := problems(path, is_thorough=True)):
            raise _damaged(path, found) from error
        raise


def is_of_storage(error: BaseException | None) -> bool:
    """Whether an error may come of a file of the lake; a query that fails while it runs raises no more than `Exception`."""
    kinds = DeltaError | pa.ArrowException | OSError | orjson.JSONDecodeError
    is_known = isinstance(error, kinds) or type(error) is Exception
    return is_known and not str(error).startswith(_OF_A_QUERY)


def require_whole(path: str) -> None:
    """Make sure that the files of a table are there.

    Args:
        path: Its folder or URI.

    Raises:
        DamagedDataError: They are not, or one is damaged.
    """
    if found := problems(path):
        raise _damaged(path, found)


def require_commits(path: str, first: int, last: int) -> None:
    """Make sure that the commits of some versions are whole; those that the log no longer has are not asked for.

    Args:
        path: The table's folder or URI.
        first: The first version.
        last: The last version.

    Raises:
        DamagedDataError: One is not.
    """
    storage, folder = storage_of(path)
    files = storage.get_file_info(
        [f"{folder}/{LOG}/{version:020}.json" for version in range(first, last + 1)]
    )
    there = [each for each in files if each.type != FileType.NotFound]
    if found := [*_commit_problems(storage, there)]:
        raise _damaged(path, found)


def problems(path: str, is_thorough: bool = False) -> list[str]:
    """What is wrong with the files of a table's newest version.

    Args:
        path: Its folder or URI.
        is_thorough: Read also what takes long: older commits, each row, and the data files of a store of objects.

    Returns:
        A line a file, with its path; empty when nothing is, or there is no such table.
    """
    if found := _log_problems(path):
        return found
    storage, folder = storage_of(path)
    names = _names(path)
    first = 0 if is_thorough else max(_versions(_CHECKPOINT, names), default=-1) + 1
    commits = [f"{v:020}.json" for v in sorted(_versions(_COMMIT, names)) if v >= first]
    if found := [*_commit_problems(storage, _infos(storage, folder, commits))]:
        return found
    try:
        delta = DeltaTable(path)
    except TableNotFoundError:
        return []
    except DeltaError as error:
        return [*_checkpoint_problems(storage, folder, names)] or [
            f"{folder}/{LOG} cannot be read: {_line(error)}"
        ]
    if "://" in path and not is_thorough:
        return []
    return [*_data_problems(storage, folder, delta, is_thorough)]


def _damaged(path: str, found: list[str]) -> DamagedDataError:
    full_name = ".".join(path.rstrip("/").split("/")[-2:])
    files = "; ".join(found[:SHOWN])
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return DamagedDataError(f"{full_name} is damaged: {files}{more}.", HINT)


def _line(error: Exception) -> str:
    """An error's first line: those of delta-rs go on with a backtrace."""
    return f"{error}".partition("\n")[0]


# --- The log ------------------------------------------------------------------------------------------------


def _log_problems(path: str) -> list[str]:
    """What the names and sizes in a table's log tell: quick, as every reader looks."""
    # A list that was made while others wrote may have a commit and lack the one before it, or a checksum and lack its commit.
    return _seen_in_log(path) and _seen_in_log(path)


def _seen_in_log(path: str) -> list[str]:
    storage, folder = storage_of(path)
    names = _names(path)
    commits, checkpoints = _versions(_COMMIT, names), _versions(_CHECKPOINT, names)
    if not commits and not checkpoints:
        return [f"{folder}/{LOG} is missing"] if _has_data(storage, folder) else []
    newest = max(checkpoints, default=-1)
    last = max(commits | checkpoints | _versions(_CHECKSUM, names))
    if newest < 0 and 0 not in commits:
        return [*_lost_checkpoint(storage, folder, names)] or [
            f"{folder}/{LOG}/{0:020}.json is missing"
        ]
    # The log is cleaned from its beginning on, so that what is missing in its midst was taken by somebody else.
    first = min([newest + 1, *commits])
    missing = [
        f"{folder}/{LOG}/{version:020}.json is missing"
        for version in range(first, last + 1)
        if version not in commits and version != newest
    ]
    recent = [
        name
        for name in names
        if any(version > newest for version in _versions(_COMMIT, [name]))
        or newest in _versions(_CHECKPOINT, [name])
    ]
    empty = [each.path for each in _infos(storage, folder, recent) if each.size == 0]
    return [*missing, *(f"{file} is empty" for file in empty)]


def _versions(kind: re.Pattern[str], names: Iterable[str]) -> set[int]:
    found = (kind.match(name) for name in names)
    return {int(match[1]) for match in found if match}


def _names(path: str) -> list[str]:
    """The files of the log. On a disk none is looked at, as a log may have a hundred thousand."""
    if "://" not in path:
        try:
            return sorted(each.name for each in Path(path, LOG).iterdir())
        except FileNotFoundError:
            return []
    storage, folder = storage_of(path)
    files = storage.get_file_info(FileSelector(f"{folder}/{LOG}", allow_not_found=True))
    return sorted(each.base_name for each in files)


def _has_data(storage: FileSystem, folder: str) -> bool:
    files = storage.get_file_info(FileSelector(folder, allow_not_found=True))
    return any(each.base_name.endswith(".parquet") for each in files)


def _infos(storage: FileSystem, folder: str, names: list[str]) -> list[FileInfo]:
    found: list[FileInfo] = storage.get_file_info([f"{folder}/{LOG}/{name}" for name in names])
    return found


def _commit_problems(storage: FileSystem, files: Iterable[FileInfo]) -> Iterator[str]:
    for each in files:
        try:
            with storage.open_input_stream(each.path) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            # The log was cleaned meanwhile; what is missing in its midst its names tell.
            continue
        try:
            if not all(isinstance(orjson.loads(line), dict) for line in lines if line.strip()):
                yield f"{each.path} is no commit"
            elif not lines:
                yield f"{each.path} is empty"
        except orjson.JSONDecodeError:
            yield f"{each.path} is cut off, or no JSON"


def _lost_checkpoint(storage: FileSystem, folder: str, names: list[str]) -> Iterator[str]:
    """The checkpoint that the log says is its last, and that is not there."""
    if "_last_checkpoint" not in names:
        return
    with storage.open_input_stream(f"{folder}/{LOG}/_last_checkpoint") as file:
        hint = re.search(rb'"version":(\d+)', file.read())
    if hint and int(hint[1]) not in _versions(_CHECKPOINT, names):
        yield f"{folder}/{LOG}/{int(hint[1]):020}.checkpoint.parquet is missing"


def _checkpoint_problems(storage: FileSystem, folder: str, names: list[str]) -> Iterator[str]:
    yield from _lost_checkpoint(storage, folder, names)
    for name in names:
        if _CHECKPOINT.match(name) and name.endswith(".parquet"):
            yield from _parquet_problems(storage, f"{folder}/{LOG}/{name}")


# --- The data -----------------------------------------------------------------------------------------------


def _data_problems(
    storage: FileSystem, folder: str, delta: DeltaTable, is_thorough: bool
) -> Iterator[str]:
    added = delta.get_add_actions(flatten=True)
    sizes = {
        f"{folder}/{path}": size
        for path, size in zip(
            added["path"].to_pylist(), added["size_bytes"].to_pylist(), strict=True
        )
    }
    for each in storage.get_file_info([*sizes]):
        if each.type == FileType.NotFound:
            yield f"{each.path} is missing"
        elif each.size != sizes[each.path]:
            yield f"{each.path} has {each.size:,} of its {sizes[each.path]:,} bytes"
        elif is_thorough:
            yield from _parquet_problems(storage, each.path)
    try:
        for _ in delta.deletion_vectors():
            pass
    except DeltaError as error:
        yield f"which rows of {folder} are deleted cannot be read: {_line(error)}"


def _parquet_problems(storage: FileSystem, file: str) -> Iterator[str]:
    try:
        with pq.ParquetFile(file, filesystem=storage) as found:
            for _ in found.iter_batches():
                pass
    except (pa.ArrowException, OSError) as error:
        yield f"{file} is no Parquet, or damaged: {_line(error)}"


def storage_of(path: str) -> tuple[FileSystem, str]:
    """The file system of a folder or URI, and the folder there, without a slash at its end."""
    storage, folder = FileSystem.from_uri(path)
    return storage, folder.rstrip("/")
