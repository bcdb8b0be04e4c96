"""Upkeep of the lake as a stage that gives way to the others."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from ingestion import backup
from lakehouse import ledger
from lakehouse.maintenance import Upkeep, maintain, plan, preview
from lakehouse.tables import SparkSource
from pipeline.locks import only_one

OnTable = Callable[[int], None]

BUSY = "another process is in silver; stop its daemon, or run this again later"


def run_maintain(
    spark_session: SparkSource,
    settings: Settings,
    retention_hours: float | None,
    is_dry: bool,
    progress: Callable[[list[Upkeep]], OnTable],
) -> list[Upkeep]:
    """Compact and vacuum every table of the lake.

    Bronze is only appended to, which no compaction disturbs. In silver a merge could fail when files are replaced
    beneath it: each table is taken with the stage's lock held, and passed over while a daemon holds that.

    Args:
        spark_session: Makes the session when there is something to do.
        settings: All of them.
        retention_hours: How long to keep old files. Default: a week, or as long as the slowest reader needs.
        is_dry: Only tell what would be done.
        progress: Given the plan, returns the function to call with 1 after each table.

    Raises:
        BadInputError: A reader still needs versions that are older than `retention_hours`.
        ServiceError: PostgreSQL, which knows the readers, cannot be reached.
    """
    planned = plan(settings, retention_hours)
    done = progress(planned)
    reports: list[Upkeep] = []
    is_busy = False
    for each in planned:
        if is_dry:
            report = preview(spark_session, settings, each)
        elif each.table.startswith("bronze."):
            report = maintain(spark_session, settings, each)
        elif is_busy:
            report = replace(each, skipped=BUSY)
        else:
            report = _maintain_alone(spark_session, settings, each)
            is_busy = bool(report.skipped)
        reports.append(report)
        done(1)
    return reports


def run_prune(settings: Settings, before: datetime) -> int:
    """Take messages before a moment out of the raw backup, but none that bronze does not have; returns how many.

    Raises:
        ServiceError: MongoDB is away.
    """
    return backup.prune(settings, before, ledger.landed_offsets(settings))


def _maintain_alone(spark_session: SparkSource, settings: Settings, planned: Upkeep) -> Upkeep:
    with ExitStack() as held:
        try:
            held.enter_context(only_one(settings, "silver"))
        except ServiceError:
            return replace(planned, skipped=BUSY)
        return maintain(spark_session, settings, planned)
