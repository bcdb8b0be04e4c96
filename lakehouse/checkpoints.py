"""How far a streaming query has come by its Spark checkpoint, and whether that fits the tables it writes to.

Spark notes a batch's offsets before it is written (`offsets/<batch>`) and its end afterwards (`commits/<batch>`). Delta
keeps the last batch of each query in the table's own log, so that a repeated one is passed over. Of a checkpoint and a
table that belong together, the table is therefore never behind what is committed nor ahead of what is planned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pyarrow.fs import FileSelector, FileSystem, FileType

from cinelake.errors import CheckpointMismatchError, DamagedDataError, ServiceError
from cinelake.log import get_logger
from cinelake.settings import Settings
from lakehouse import changes
from lakehouse.contract import tables
from lakehouse.tables import checkpoint_path

ANEW = 'or build the lake anew: "A lost checkpoint, or lost messages" in docs/runbook.md.'

AS_IT_WAS = 'Bring it back from a backup, or see "Damaged data" in docs/runbook.md.'

FIRST_FED: dict[str, str] = {
    "bronze.user_logs": "silver.events",
    "bronze.movie": "silver.movies",
}
"""The silver table that is there as soon as the query of a bronze table has written anything."""

log = get_logger("checkpoints")


@dataclass(frozen=True)
class Checkpoint:
    """What a streaming query remembers.

    Args:
        query_id: The name under which a Delta table keeps the query's last batch; empty when the query never ran.
        planned: The newest batch whose offsets are noted; -1 when there is none.
        committed: The newest batch that was written to its end; -1 when there is none.
    """

    query_id: str
    planned: int
    committed: int


def read(settings: Settings, full_name: str) -> Checkpoint:
    """The checkpoint of a query, without Spark.

    Args:
        settings: Tells where the lake is.
        full_name: What the checkpoint is called after, for example `bronze.movie` or `silver.bronze.movie`.

    Raises:
        DamagedDataError: The file that names the query is damaged.
    """
    storage, folder = FileSystem.from_uri(checkpoint_path(settings, full_name))
    return Checkpoint(
        _query_id(storage, f"{folder}/metadata"),
        _newest(storage, f"{folder}/offsets"),
        _newest(storage, f"{folder}/commits"),
    )


def offsets(settings: Settings, full_name: str) -> dict[str, Any]:
    """Where a query goes on: the end of the last batch that was written to its end, as its source puts it.

    Args:
        settings: Tells where the lake is.
        full_name: What the checkpoint is called after, for example `bronze.movie` or `silver.bronze.movie`.

    Returns:
        Of Kafka the next offset by topic and partition, of a Delta table `reservoirVersion`, the next version; empty
        when no batch was written.

    Raises:
        DamagedDataError: The file that says so is damaged.
    """
    return _offsets_of(settings, full_name, read(settings, full_name).committed)


def _offsets_of(settings: Settings, full_name: str, batch: int) -> dict[str, Any]:
    storage, folder = FileSystem.from_uri(checkpoint_path(settings, full_name))
    # The last line is that of the one source.
    return _last_line(storage, f"{folder}/offsets/{batch}")


def _last_line(storage: FileSystem, path: str) -> dict[str, Any]:
    """The object in the last line of a file of a checkpoint; empty when there is no such file."""
    if storage.get_file_info(path).type == FileType.NotFound:
        return {}
    with storage.open_input_stream(path) as file:
        lines = file.read().splitlines()
    try:
        found = orjson.loads(lines[-1])
        if isinstance(found, dict):
            return found
    except (IndexError, orjson.JSONDecodeError):
        pass
    raise DamagedDataError(f"{path} is empty, cut off or no JSON.", AS_IT_WAS)


def queries() -> list[str]:
    """What the checkpoints of all queries are called after."""
    return [
        *(each.full_name for each in tables("bronze")),
        *(f"silver.{name}" for name in FIRST_FED),
    ]


def require_whole(settings: Settings, full_name: str) -> None:
    """Make sure that the files are whole of which a query learns where it goes on.

    Args:
        settings: Tells where the lake is.
        full_name: What the checkpoint is called after, for example `bronze.movie` or `silver.bronze.movie`.

    Raises:
        DamagedDataError: One is damaged, or one is missing of a query that has written something.
    """
    storage, folder = FileSystem.from_uri(checkpoint_path(settings, full_name))
    planned, committed = (_newest(storage, f"{folder}/{kind}") for kind in ("offsets", "commits"))
    needed = [f"{folder}/{name}" for name in ("metadata", f"offsets/{committed}")]
    for path in needed if committed >= 0 else ():
        if storage.get_file_info(path).type == FileType.NotFound:
            raise DamagedDataError(f"{path} is missing.", AS_IT_WAS)
    for name in ("metadata", f"offsets/{committed}", f"offsets/{planned}", f"commits/{committed}"):
        _last_line(storage, f"{folder}/{name}")
    _last_line(storage, f"{folder}/sources/0/0")


def kafka_offsets(settings: Settings, full_name: str, topic: str) -> dict[int, int]:
    """By partition of a topic the offset after the last message that a query has written to its end.

    Args:
        settings: Tells where the lake is.
        full_name: The table of bronze, for example `bronze.movie`.
        topic: Its topic.
    """
    return _by_partition(offsets(settings, full_name), topic)


def _by_partition(found: dict[str, Any], topic: str) -> dict[int, int]:
    return {int(partition): offset for partition, offset in found.get(topic, {}).items()}


def _query_id(storage: FileSystem, path: str) -> str:
    return str(_last_line(storage, path).get("id", ""))


def _newest(storage: FileSystem, folder: str) -> int:
    found = storage.get_file_info(FileSelector(folder, allow_not_found=True))
    return max((int(each.base_name) for each in found if each.base_name.isdecimal()), default=-1)


def require_fits(settings: Settings, full_name: str) -> None:
    """Refuse to go on with a bronze table and a checkpoint that do not belong together.

    Args:
        settings: Tells where the lake is.
        full_name: For example `bronze.user_logs`.

    Raises:
        CheckpointMismatchError: Messages would be appended twice, or passed over.
    """
    checkpoint = read(settings, full_name)
    path = checkpoint_path(settings, full_name)
    written = _written(settings, full_name, checkpoint.query_id)
    if written > checkpoint.planned or (written < 0 and _has_files(settings, full_name)):
        raise CheckpointMismatchError(
            f"{full_name} holds messages that its checkpoint {path} knows nothing of.",
            f"Bring back the checkpoint as it was last with this table, {ANEW}",
        )
    if written < checkpoint.committed:
        raise CheckpointMismatchError(
            f"{full_name} lacks messages that its checkpoint {path} has as written.",
            f"Bring back the table as it was last with this checkpoint, {ANEW}",
        )


def require_kept(settings: Settings, full_name: str, topic: str, kept: Mapping[int, range]) -> None:
    """Refuse to start a query of which Kafka lacks the place where it goes on: it would note a plan, and could not follow it.

    Args:
        settings: Tells where the lake is.
        full_name: For example `bronze.user_logs`.
        topic: Its topic.
        kept: By partition the offsets that Kafka holds.

    Raises:
        ServiceError: Kafka has lost messages, or a topic was made anew.
    """
    checkpoint = read(settings, full_name)
    written = _written(settings, full_name, checkpoint.query_id)
    for batch in sorted({checkpoint.committed, written}):
        for partition, offset in _by_partition(
            _offsets_of(settings, full_name, batch), topic
        ).items():
            there = kept.get(partition, range(0))
            if not there.start <= offset <= there.stop:
                raise ServiceError(
                    f"{full_name} has taken partition {partition} of {topic} up to offset {offset},"
                    f" and Kafka holds {there.start} to {there.stop} of it.",
                    'Nothing was written. Bring Kafka\'s data back: "A lost checkpoint, or lost messages" in'
                    " docs/runbook.md.",
                )


def has_taken_all(
    settings: Settings, full_name: str, topic: str, kept: Mapping[int, range]
) -> bool:
    """Whether a query has written to its end all that its topic holds now.

    Args:
        settings: Tells where the lake is.
        full_name: For example `bronze.user_logs`.
        topic: Its topic.
        kept: By partition the offsets that Kafka holds.
    """
    taken = kafka_offsets(settings, full_name, topic)
    return all(taken.get(partition, 0) == there.stop for partition, there in kept.items())


def drop_void_plan(
    settings: Settings, full_name: str, topic: str, kept: Mapping[int, range]
) -> None:
    """Take away the plan of a batch that was never written, if it can never be: Spark would follow it for ever.

    Such a one is left when a query was started while Kafka's data was away, or when a machine stopped in the midst of
    writing it. A plan that was written, though not committed, stays: its messages are in the table.

    Args:
        settings: Tells where the lake is.
        full_name: For example `bronze.user_logs`.
        topic: Its topic.
        kept: By partition the offsets that Kafka holds.
    """
    checkpoint = read(settings, full_name)
    written = _written(settings, full_name, checkpoint.query_id)
    if checkpoint.planned <= max(checkpoint.committed, written):
        return
    try:
        plan = _by_partition(_offsets_of(settings, full_name, checkpoint.planned), topic)
    except DamagedDataError:
        plan = {}
    taken = kafka_offsets(settings, full_name, topic)
    if plan and all(
        taken.get(partition, 0) <= plan.get(partition, -1) <= kept.get(partition, range(0)).stop
        for partition in taken | plan
    ):
        return
    storage, folder = FileSystem.from_uri(checkpoint_path(settings, full_name))
    file = f"{folder}/offsets/{checkpoint.planned}"
    log.warning("void plan taken away", table=full_name, file=file, plan=plan, taken=taken)
    storage.delete_file(file)
    # Of the file system that Spark wrote it with, where that keeps one.
    checksum = f"{folder}/offsets/.{checkpoint.planned}.crc"
    if storage.get_file_info(checksum).type != FileType.NotFound:
        storage.delete_file(checksum)


def _written(settings: Settings, full_name: str, query_id: str) -> int:
    """The last batch of the query that the table has taken; -1 when it has taken none."""
    delta = changes.open_table(settings, full_name)
    found = delta.transaction_version(query_id) if delta and query_id else None
    return -1 if found is None else found


def _has_files(settings: Settings, full_name: str) -> bool:
    delta = changes.open_table(settings, full_name)
    return bool(delta and delta.file_uris())


def require_silver(settings: Settings) -> None:
    """Refuse to make silver's tables empty when its queries have handed them over already.

    A checkpoint that is lost does no harm here: silver writes by key, and takes bronze in once more. One whose tables
    are lost passes over all that bronze held. The other tables are not asked for, as a release may add one.

    Raises:
        CheckpointMismatchError: The first table that a bronze table feeds is gone.
        DamagedDataError: A file of a checkpoint is damaged.
    """
    for source, full_name in FIRST_FED.items():
        require_whole(settings, f"silver.{source}")
        path = checkpoint_path(settings, f"silver.{source}")
        committed = read(settings, f"silver.{source}").committed
        if committed >= 0 and changes.open_table(settings, full_name) is None:
            raise CheckpointMismatchError(
                f"{full_name} is gone, but its checkpoint {path} is there.",
                "Bring silver back as it was last with this checkpoint, or build silver anew as the runbook says:"
                ' "A lost checkpoint, or lost messages" in docs/runbook.md.',
            )
