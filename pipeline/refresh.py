"""A whole refresh: every stage in one process, kept in the history of runs."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from types import MappingProxyType
from typing import NoReturn

import psycopg
from pyspark.sql import SparkSession

from cinelake.errors import CinelakeError, message_of
from cinelake.log import current_run_id, get_logger
from cinelake.settings import Settings
from expectations.results import GateResult
from lakehouse import inspection, ledger
from lakehouse.ledger import Ledger
from pipeline import alerts, gold, runs
from pipeline.locks import only_one
from pipeline.stages import OF_GOLD, STAGES, Stage, Work
from pipeline.swap import SwapResult, swap_gold

log = get_logger("refresh")


@dataclass
class RefreshReport:
    """What one refresh did.

    Args:
        run_id: Ties log lines, gate results and ledger rows together.
        stages: Name and wall time in seconds of each stage that ended, in order; less that of a stage inside it.
        idle: The names of those that found nothing to do, or were not begun because there was nothing.
        gates: The result of each gate that ran.
        ledger: Counts at the end; None when the refresh did not get that far.
        gold_rows: Rows of each gold table by name.
    """

    run_id: str
    stages: list[tuple[str, float]] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    gates: list[GateResult] = field(default_factory=list)
    ledger: Ledger | None = None
    gold_rows: dict[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(seconds for _, seconds in self.stages)


def run_gold(
    settings: Settings, on_stage: Callable[[str], None], full_refresh: bool = False
) -> dict[str, int]:
    """Build, test, gate and swap gold, unless it holds all of silver; returns the rows of each table of it.

    Raises:
        ContractRefusedError: A contract asks more of a table of silver than to add optional columns.
        GateFailedError: dbt or the gate refused `gold_next`; `gold` stays as it was.
        NotGatedError: Another home builds in the same `gold_next`.
    """
    report = RefreshReport(run_id=current_run_id())
    work = Work(settings, _no_spark, report.run_id, full_refresh=full_refresh, gates=report.gates)
    with recorded(settings, report), only_one(settings, "gold"):
        _walk(report, work, OF_GOLD, on_stage)
    return gold.count_rows(settings)


def roll_back_gold(settings: Settings) -> SwapResult:
    """Let analysts see the gold of before the last swap again.

    Raises:
        NoRollbackError: `gold_next` does not hold it any more.
        ServiceError: PostgreSQL is down, or readers held `gold` for too long.
    """
    with only_one(settings, "gold"):
        return swap_gold(settings.postgres, current_run_id(), is_rollback=True)


def refresh(
    spark_session: Callable[[], SparkSession],
    settings: Settings,
    on_stage: Callable[[str], None] = lambda stage: None,
    full_refresh: bool = False,
    beside_silver: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> RefreshReport:
    """Bring everything up to date: walk all stages, from Kafka to swapped gold and the ledger.

    After an update that reads messages by other rules, silver is rebuilt first. A stage does nothing where there is
    nothing new: then no Spark is started, no rule asked, nothing built and nothing swapped.

    Args:
        spark_session: Makes the session, or returns the one that there is; called when a stage needs it, which counts as a
            stage of its own.
        settings: All of them.
        on_stage: Called with a stage's name when it starts.
        full_refresh: Build gold from scratch instead of by increments.
        beside_silver: What else writes to silver, by the name of the stage: it runs when silver is up to date and before
            its gate, so that what it wrote reaches gold too.

    Returns:
        The report of a refresh that went through.

    Raises:
        DamagedDataError: A file of the lake is missing or damaged.
        GateFailedError: A gate refused the data; gold stays as it was. Later stages did not run.
        LedgerMismatchError: The data is there and passed its gates, but counts do not add up.
        NotGatedError: Another home builds in the same `gold_next`.
        ServiceError: A service is down.
    """
    report = RefreshReport(run_id=current_run_id())

    @cache
    def spark() -> SparkSession:
        with work.within("start Spark"):
            return spark_session()

    work = Work(settings, spark, report.run_id, full_refresh=full_refresh, gates=report.gates)
    with (
        recorded(settings, report),
        only_one(settings, "refresh"),
        only_one(settings, "gold"),
        inspection.named(settings),
    ):
        work.accepted = ledger.count_accepted(settings)
        _walk(report, work, _with_those_beside_silver(beside_silver), on_stage)
        report.ledger = work.ledger
        report.gold_rows = gold.count_rows(settings)
    return report


@contextmanager
def recorded(settings: Settings, report: RefreshReport) -> Iterator[RefreshReport]:
    """Keep how a run ends in the history of runs, and tell people of what failed, of what is unusual and of their end.

    Args:
        settings: All of them.
        report: What the block fills.

    Raises:
        ServiceError: The run went through and cannot be recorded.
    """
    try:
        yield report
    except Exception as error:
        # First, as PostgreSQL may be what failed.
        alerts.after_run(settings, report.run_id, error, report.gates)
        with recording_failed():
            runs.record(settings, report.run_id, message_of(error), report.stages)
        raise
    except BaseException:
        with recording_failed():
            runs.record(settings, report.run_id, runs.INTERRUPTED, report.stages)
        raise
    alerts.after_run(settings, report.run_id, None, report.gates)
    runs.record(settings, report.run_id, runs.PUBLISHED, report.stages)


@contextmanager
def recording_failed() -> Iterator[None]:
    """Keep in the block how a run failed, if that can be kept: a person has to see what ended it, not a later error."""
    try:
        yield
    except (CinelakeError, psycopg.Error) as error:
        log.warning("run not recorded", reason=message_of(error))


@contextmanager
def _stage(report: RefreshReport, on_stage: Callable[[str], None], name: str) -> Iterator[None]:
    """Tell of a stage when it begins, and keep its seconds when it has ended."""
    on_stage(name)
    started, counted = time.monotonic(), report.seconds
    yield
    report.stages.append((name, time.monotonic() - started - (report.seconds - counted)))
    log.info("stage", name=name, seconds=round(report.stages[-1][1], 2))


def _walk(
    report: RefreshReport, work: Work, stages: Iterable[Stage], on_stage: Callable[[str], None]
) -> None:
    """Run stages in their order; the report names those that found nothing to do, or were not begun as there was nothing."""
    work.within = partial(_stage, report, on_stage)
    has_work = True
    for stage in stages:
        found = False
        if has_work or stage.is_last:
            with work.within(stage.name):
                found = stage.run(work)
        if stage.decides:
            has_work = found
        if not found:
            report.idle.append(stage.name)


def _with_those_beside_silver(beside_silver: Mapping[str, Callable[[], None]]) -> Iterator[Stage]:
    """The stages, and before the gate of silver what else writes there."""
    for stage in STAGES:
        if stage.name == "silver gate":
            for name, write in beside_silver.items():
                yield Stage(name, "", "", partial(_done, write), "")
        yield stage


def _done(write: Callable[[], None], work: Work) -> bool:
    write()
    return True


def _no_spark() -> NoReturn:
    raise AssertionError("no stage of gold needs Spark")
