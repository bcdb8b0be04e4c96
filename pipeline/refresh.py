"""The stages of a refresh, each a function that can run by itself and again."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from types import MappingProxyType

import psycopg
from pyspark.sql import SparkSession

from cinelake.errors import CinelakeError, LedgerMismatchError, message_of
from cinelake.log import current_run_id, get_logger
from cinelake.settings import Settings
from expectations.results import GateResult
from lakehouse import inspection, ledger, publish
from lakehouse.ledger import Ledger
from pipeline import alerts, gates, gold, runs
from pipeline.analyst import look_after
from pipeline.locks import only_one
from pipeline.streams import rebuild_silver, run_bronze, run_silver, to_rebuild
from pipeline.swap import SwapResult, swap_gold

GOLD_STAGES = ("dbt build", "gold gate", "swap")
"""The stages that bring silver from PostgreSQL to analysts."""

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
        GateFailedError: dbt or the gate refused `gold_next`; `gold` stays as it was.
    """
    report = RefreshReport(run_id=current_run_id())
    with recorded(settings, report), only_one(settings, "gold"):
        _publish_gold(report, settings, on_stage, full_refresh)
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
    """Bring everything up to date: bronze, gate, silver, gate, publish, gold_next, gate, swap, ledger.

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
        ServiceError: A service is down.
    """
    report = RefreshReport(run_id=current_run_id())
    with (
        recorded(settings, report),
        only_one(settings, "refresh"),
        only_one(settings, "gold"),
        inspection.named(settings),
    ):
        _run_stages(report, spark_session, settings, on_stage, full_refresh, beside_silver)
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


def _publish_gold(
    report: RefreshReport,
    settings: Settings,
    on_stage: Callable[[str], None],
    full_refresh: bool,
) -> None:
    look_after(settings)
    found = gold.standing(settings)
    if found.is_published and not full_refresh:
        report.idle += GOLD_STAGES
        return
    built, gated, swapped = GOLD_STAGES
    with _stage(report, on_stage, built):
        gold.build_next(settings, report.run_id, full_refresh, found)
    with _stage(report, on_stage, gated):
        report.gates.append(gates.gate_gold(settings, report.run_id))
        gates.require(report.gates[-1])
    with _stage(report, on_stage, swapped):
        swap_gold(settings.postgres, report.run_id)


def _run_stages(
    report: RefreshReport,
    spark_session: Callable[[], SparkSession],
    settings: Settings,
    on_stage: Callable[[str], None],
    full_refresh: bool,
    beside_silver: Mapping[str, Callable[[], None]],
) -> None:
    accepted = ledger.count_accepted(settings)

    stage = partial(_stage, report, on_stage)

    @cache
    def spark() -> SparkSession:
        with stage("start Spark"):
            return spark_session()

    def found(name: str, something: bool) -> None:
        report.idle += [] if something else [name]

    def gate(result: GateResult) -> None:
        report.gates.append(result)
        gates.require(result)
        found(f"{result.gate} gate", bool(result.rules))

    with stage("bronze"):
        found("bronze", any(run_bronze(spark, settings).values()))
    with stage("bronze gate"):
        gate(gates.gate_bronze(spark, settings, report.run_id))
    if outdated := to_rebuild(settings):
        with stage("rebuild silver"):
            rebuild_silver(spark, settings, outdated)
    with stage("silver"):
        found("silver", any(run_silver(spark, settings).values()))
    for name, run in beside_silver.items():
        with stage(name):
            run()
    with stage("silver gate"):
        gate(gates.gate_silver(spark, settings, report.run_id))
    with stage("publish"):
        published = publish.publish(settings, upto=gates.passed_versions(settings, "silver"))
        found("publish", any(table.merged for table in published))
    _publish_gold(report, settings, on_stage, full_refresh)
    with stage("ledger"):
        report.ledger = ledger.count(settings)
        ledger.record(settings, report.ledger, report.run_id)
        report.gold_rows = gold.count_rows(settings)
    if unaccounted := report.ledger.unaccounted(accepted):
        raise LedgerMismatchError(
            "The ledger does not add up: " + "; ".join(unaccounted),
            "Nothing was deleted. If a streaming daemon runs beside this refresh, run it again;"
            " else compare the hops with `cinelake status`.",
        )
