"""The stages of a refresh one at a time, each in a process of its own: what an orchestrator calls.

The processes of one run share its id (`CINELAKE_RUN_ID`), under which each adds its seconds to the history of runs. Every
step can be repeated: it takes what is still to be taken, and finds nothing to do when that was done.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from pyspark.sql import SparkSession

from cinelake.errors import BadInputError, LedgerMismatchError, message_of
from cinelake.log import current_run_id
from cinelake.settings import Settings
from expectations.results import GateResult, load_results
from lakehouse import contract, inspection, ledger, publish
from lakehouse.ledger import Ledger
from lakehouse.publish import EVERYTHING_NEW, Published, Scope
from pipeline import alerts, gates, gold, gold_sources, gold_versions, runs
from pipeline.analyst import look_after
from pipeline.locks import only_one
from pipeline.refresh import recording_failed
from pipeline.swap import SwapResult, swap_gold

GATES = ("bronze", "silver", "gold")
"""The layers that have a gate."""


@contextmanager
def step(settings: Settings, name: str, outcome: str = runs.RUNNING) -> Iterator[None]:
    """Keep how long a stage took and how it ended, if it is a part of a run that somebody named.

    Args:
        settings: `run_id` tells whether it is.
        name: The stage.
        outcome: How the run stands after it.
    """
    started = time.monotonic()
    try:
        with inspection.named(settings):
            yield
    except Exception as error:
        with recording_failed():
            _keep(settings, name, started, message_of(error))
        raise
    _keep(settings, name, started, outcome)


def check_layer(
    spark_session: Callable[[], SparkSession], settings: Settings, layer: str
) -> GateResult:
    """Let a layer's gate look at what the next stage would take.

    Args:
        spark_session: Makes the session, should there be too many rows for pandas.
        settings: All of them.
        layer: One of `GATES`.

    Raises:
        BadInputError: There is no such gate.
        GateFailedError: It refused the data.
        NotGatedError: `gold_next` is not what this run builds.
    """
    if layer not in GATES:
        raise BadInputError(f"There is no gate of {layer!r}.", f"There are: {', '.join(GATES)}.")
    run_id = current_run_id()
    if layer != "gold":
        gate = gates.gate_bronze if layer == "bronze" else gates.gate_silver
        result = gate(spark_session, settings, run_id)
        gates.require(result)
        return result
    result = gates.gate_gold(settings, run_id)
    gates.require(result)
    gold_versions.note_gate(settings, run_id)
    return result


def publish_silver(
    spark_session: Callable[[], SparkSession],
    settings: Settings,
    progress: Callable[[int], None],
    scope: Scope = EVERYTHING_NEW,
) -> list[Published]:
    """Publish what the gate of silver has passed; it looks first where it has not yet.

    Args:
        spark_session: Makes the session, should the increment be large enough to need it.
        settings: All of them.
        progress: Called with 1 after each table.
        scope: Which rows to take.

    Raises:
        BadInputError: `scope` names a table that silver does not have.
        GateFailedError: The silver gate refused the rows; PostgreSQL stays as it was.
    """
    known = {table.full_name for table in contract.tables("silver")}
    if unknown := sorted(set(scope.tables) - known):
        raise BadInputError(
            f"Silver has no table {', '.join(unknown)}.", f"It has {', '.join(sorted(known))}."
        )
    if scope != EVERYTHING_NEW or not gates.has_passed(settings, "silver"):
        gates.require(gates.gate_silver(spark_session, settings, current_run_id(), scope))
    return publish.publish(settings, progress, scope, gates.passed_versions(settings, "silver"))


@dataclass(frozen=True)
class Prepared:
    """What a run has to do for gold.

    Args:
        run_id: The run.
        is_due: There is something to build; else analysts see all that silver holds, and the run is over.
    """

    run_id: str
    is_due: bool


def prepare_next(settings: Settings, full_refresh: bool = False) -> Prepared:
    """Note that this run builds `gold_next`, which somebody else's dbt then does; the views that it reads are seen to.

    Where a build would change nothing, nothing is noted, so that the version before can still come back.

    Args:
        settings: Tells where PostgreSQL is.
        full_refresh: It builds in any case.

    Returns:
        The run, and whether there is something to build. What another run has begun to build there can then be swapped in
        no more.

    Raises:
        ContractRefusedError: A contract asks more of a table of silver than to add optional columns.
        GateFailedError: dbt could not make a view of `staging`.
        ServiceError: PostgreSQL is down, or a refresh of this home builds there now.
    """
    run_id, started = current_run_id(), time.monotonic()
    look_after(settings)
    with only_one(settings, "gold"):
        publish.ensure_tables(settings)
        found = gold.standing(settings)
        is_due = full_refresh or not found.is_published
        if is_due:
            gold_versions.note_build(settings, run_id, asdict(found.sources))
            gold.ensure_staging(settings, found)
    if not is_due:
        _tell(settings, run_id)
        _keep(settings, "gold prepare", started, runs.PUBLISHED)
    return Prepared(run_id, is_due)


def swap_next(settings: Settings) -> SwapResult | None:
    """Let analysts see the `gold_next` that this run has built and gated, and tell people of what its gates warned.

    Returns:
        What was done; None when this run had done it before.

    Raises:
        NotGatedError: It is another run's, or did not pass its gate.
        ServiceError: PostgreSQL is down, or readers held `gold` for too long.
    """
    run_id = current_run_id()
    with only_one(settings, "gold"):
        if gold_versions.is_swapped(settings, run_id):
            return None
        gold_versions.require_gated(settings, run_id)
        if seen := gold_versions.sources_of(settings, run_id):
            gold_sources.note(settings, gold_sources.Sources(**seen))
        result = swap_gold(settings.postgres, run_id)
    _tell(settings, run_id)
    return result


def reconcile(settings: Settings) -> Ledger:
    """Count the events at every hop, and insist that they add up and that each file is there; as a stage of a run it keeps the counts.

    What was accepted since the last refresh only waits, which is no difference.

    Raises:
        DamagedDataError: A file of the lake is missing or damaged.
        LedgerMismatchError: They do not.
        ServiceError: Kafka or PostgreSQL cannot be reached.
    """
    inspection.require_whole(settings)
    counted = ledger.count(settings)
    run_id = current_run_id()
    # A look by hand, or a nightly one, is no run, and its counts would stand among those of refreshes.
    if runs.is_known(settings, run_id):
        ledger.record(settings, counted, run_id)
    if differences := counted.differences():
        raise LedgerMismatchError(
            "The counts do not add up: " + "; ".join(differences),
            "If a refresh or a streaming daemon runs, or the last refresh failed, let `cinelake refresh` go through and"
            " reconcile again; a difference that stays is a loss or a double count: `cinelake trace` shows where an event is.",
        )
    return counted


def _tell(settings: Settings, run_id: str) -> None:
    """Tell people of what the gates of a run warned of, and of what is over now that it went through."""
    found = [kept.result for kept in load_results(settings, run_id)]
    alerts.after_run(settings, run_id, None, found)


def _keep(settings: Settings, name: str, started: float, outcome: str) -> None:
    if settings.run_id:
        runs.add_stage(settings, settings.run_id, name, time.monotonic() - started, outcome)
