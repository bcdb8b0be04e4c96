"""Upkeep of the lake: small files become large ones, and files that no version needs any more go.

Neither changes a row. `OPTIMIZE` commits a version that says so, which every reader passes over, and clusters the
tables whose contract has `clusterBy`. `VACUUM` keeps what the slowest reader has still to read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError
from cinelake.settings import Settings
from lakehouse import changes, delta_log
from lakehouse.contract import Table, table, tables
from lakehouse.readers import Unread, now, oldest_unread
from lakehouse.tables import SparkSource, table_path

DEFAULT_RETENTION_HOURS = 168.0
"""Delta's own default: a week."""
WRITERS_NEED_HOURS = 1.0
"""Bronze may be written to meanwhile, and a file that is not committed yet looks like one that nobody needs."""
MARGIN_HOURS = 1.0
"""Files are written, and marked as removed, before the commit that a reader waits for."""
SMALL_BYTES = 32 * 1024 * 1024
"""A smaller file costs more to open than to read."""
TARGET_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Upkeep:
    """What is to be done with a table, or was.

    Args:
        table: Its full name.
        small_files_before: Data files below `SMALL_BYTES` that the newest version is made of.
        bytes_before: Everything on the storage, old versions included.
        checkpoint_age_hours: Age of the log's newest checkpoint; None when there is none.
        oldest_unread: The oldest version that a reader has still to read; None when there is none.
        retention_hours: How long files stay that the newest version does not need.
        small_files_after: As `small_files_before`, afterwards.
        bytes_after: As `bytes_before`, afterwards.
        files_removed: Files that `VACUUM` took away, or would.
        skipped: Why nothing was done; empty when it was.
    """

    table: str
    small_files_before: int
    bytes_before: int
    checkpoint_age_hours: float | None
    oldest_unread: Unread | None
    retention_hours: float
    small_files_after: int
    bytes_after: int
    files_removed: int = 0
    skipped: str = ""

    @property
    def wants_compaction(self) -> bool:
        """Whether there are small files to be put together."""
        return self.small_files_before > 1


def plan(settings: Settings, retention_hours: float | None) -> list[Upkeep]:
    """What every table of the lake needs; nothing is changed.

    Args:
        settings: Tells where the lake and PostgreSQL are.
        retention_hours: How long to keep old files. Default: a week, or as long as the slowest reader needs.

    Returns:
        The tables that exist, bronze first.

    Raises:
        BadInputError: A reader still needs versions that are older than `retention_hours`.
        ServiceError: PostgreSQL, which knows the readers, cannot be reached.
    """
    moment = now()
    existing = [
        contract
        for contract in (*tables("bronze"), *tables("silver"))
        if changes.open_table(settings, contract.full_name)
    ]
    return [_plan_table(settings, contract, retention_hours, moment) for contract in existing]


def _plan_table(
    settings: Settings, contract: Table, retention_hours: float | None, moment: datetime
) -> Upkeep:
    unread = oldest_unread(settings, contract)
    needed = _needed_hours(unread, moment)
    if retention_hours is not None and unread and retention_hours < needed:
        raise BadInputError(
            f"{retention_hours:g} hours are too short for {contract.full_name}: {unread.reader} has not read version"
            f" {unread.version} yet, which is {unread.age_hours(moment):.1f} hours old.",
            f"Run `cinelake refresh` first, or keep files for {math.ceil(needed)} hours.",
        )
    hours = max(DEFAULT_RETENTION_HOURS if retention_hours is None else retention_hours, needed)
    if contract.layer == "bronze":
        hours = max(hours, WRITERS_NEED_HOURS)
    checkpoint = delta_log.checkpoint_age(settings, contract.full_name)
    small = _small_files(settings, contract.full_name)
    stored = _stored_bytes(settings, contract.full_name)
    return Upkeep(
        contract.full_name,
        small_files_before=small,
        bytes_before=stored,
        checkpoint_age_hours=_hours(moment - checkpoint[1]) if checkpoint else None,
        oldest_unread=unread,
        retention_hours=hours,
        small_files_after=small,
        bytes_after=stored,
    )


def _needed_hours(unread: Unread | None, moment: datetime) -> float:
    return unread.age_hours(moment) + MARGIN_HOURS if unread else 0.0


def _hours(age: timedelta) -> float:
    return age.total_seconds() / 3600


def _live_files(settings: Settings, full_name: str) -> dict[str, int]:
    """Path and size of each data file of the newest version."""
    delta = changes.open_table(settings, full_name)
    if delta is None:
        return {}
    added = delta.get_add_actions(flatten=True)
    return dict(zip(added["path"].to_pylist(), added["size_bytes"].to_pylist(), strict=True))


def _small_files(settings: Settings, full_name: str) -> int:
    return sum(size < SMALL_BYTES for size in _live_files(settings, full_name).values())


def _stored_bytes(settings: Settings, full_name: str) -> int:
    return sum(each.size for each in delta_log.stored_files(settings, full_name))


def preview(spark_session: SparkSource, settings: Settings, planned: Upkeep) -> Upkeep:
    """The plan of a table with how many files `VACUUM` would take away; nothing is changed."""
    if not _has_old_files(settings, planned):
        return planned
    path, hours = table_path(settings, planned.table), planned.retention_hours
    with _own_retention(spark_session()) as spark:
        found = spark.sql(f"vacuum delta.`{path}` retain {hours:.4f} hours dry run")
        return replace(planned, files_removed=found.count())


def maintain(spark_session: SparkSource, settings: Settings, planned: Upkeep) -> Upkeep:
    """Compact and vacuum one table; done again, there is nothing left to do.

    Args:
        spark_session: Makes the session when there is something to do.
        settings: Tells where the lake is.
        planned: From `plan`.

    Returns:
        The same with what was done.
    """
    path = table_path(settings, planned.table)
    # Asked anew: since the plan was made, versions may have come that a reader has still to read.
    needed = _needed_hours(oldest_unread(settings, table(planned.table)), now())
    planned = replace(planned, retention_hours=max(planned.retention_hours, needed))
    if planned.wants_compaction:
        with _own_sizes(spark_session()) as spark:
            DeltaTable.forPath(spark, path).optimize().executeCompaction()
    before = delta_log.stored_files(settings, planned.table)
    if _has_old_files(settings, planned):
        with _own_retention(spark_session()) as spark:
            DeltaTable.forPath(spark, path).vacuum(planned.retention_hours)
    after = delta_log.stored_files(settings, planned.table)
    return replace(
        planned,
        small_files_after=_small_files(settings, planned.table),
        bytes_after=sum(each.size for each in after),
        files_removed=len({each.path for each in before} - {each.path for each in after}),
    )


def _has_old_files(settings: Settings, planned: Upkeep) -> bool:
    """Whether there are files that `VACUUM` may take: written before the retention, and not of the newest version."""
    live = _live_files(settings, planned.table)
    limit = now() - timedelta(hours=planned.retention_hours)
    return any(
        each.path not in live and each.written_at <= limit
        for each in delta_log.stored_files(settings, planned.table)
    )


@contextmanager
def _own_retention(spark: SparkSession) -> Iterator[SparkSession]:
    """Without Delta's own check, which knows of no reader and refuses whatever is below a week."""
    options = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        # Folders are listed with this many tasks; Spark's 10,000 cost a minute on a table of a few files.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
    }
    with _configured(spark, options):
        yield spark


@contextmanager
def _own_sizes(spark: SparkSession) -> Iterator[SparkSession]:
    """Leave files alone that are large enough, so that the cost follows what is new."""
    sizes = {
        "spark.databricks.delta.optimize.minFileSize": str(SMALL_BYTES),
        "spark.databricks.delta.optimize.maxFileSize": str(TARGET_BYTES),
    }
    with _configured(spark, sizes):
        yield spark


@contextmanager
def _configured(spark: SparkSession, options: dict[str, str]) -> Iterator[None]:
    before = {name: spark.conf.get(name, None) for name in options}
    for name, value in options.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)
