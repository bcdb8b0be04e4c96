"""The stages of a refresh in their order: the one table that `cinelake refresh`, the commands and Airflow's DAG walk.

A stage takes what is still to be taken, so that it may be repeated. Whether there is anything for it to do it finds out
without Spark, dbt and Great Expectations; where there is nothing, it does nothing and says so.
"""

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

from cinelake.errors import BadInputError, LedgerMismatchError
from cinelake.settings import Settings
from expectations.results import GateResult
from lakehouse import contract, inspection, ledger
from lakehouse import publish as publication
from lakehouse.ledger import Ledger
from lakehouse.publish import EVERYTHING_NEW, Published, Scope
from lakehouse.tables import SparkSource
from pipeline import gates, gold, gold_sources, gold_versions, runs
from pipeline.analyst import look_after
from pipeline.locks import only_one
from pipeline.streams import BY_DAEMON, chosen, rebuild_silver, run_bronze, run_silver, to_rebuild
from pipeline.swap import SwapResult, swap_gold


@dataclass
class Work:
    """What the stages of a run are given, and what they leave to those after them and to whoever tells of the run.

    Args:
        settings: All of them.
        spark_session: Makes the session, or returns the one that there is; called when a stage needs it.
        run_id: The run.
        scope: Which rows the publication takes.
        full_refresh: Build gold from scratch.
        sources: The tables of bronze that silver is to take; empty for all.
        is_alone: Each stage is a process of its own, and somebody else's dbt builds the models of gold; else all run here, one
            after the other.
        accepted: Events that had been accepted when the run began, for all of which its end accounts unless `is_alone`.
        published_one: Called with 1 after each table that was published.
        within: What is held, and announced, around a part of a stage that a person should hear of.
        read: Messages that each query of bronze and silver read, by its name.
        gates: What each gate found.
        published: What was published of each table.
        gold_before: How gold stood before it was built.
        swapped: The swap of gold.
        analysts_see_all: Gold holds all that this run had to bring, so that it has not to be built any more.
        ledger: The counts at its end.
    """

    settings: Settings
    spark_session: SparkSource
    run_id: str
    scope: Scope = EVERYTHING_NEW
    full_refresh: bool = False
    sources: Collection[str] = ()
    is_alone: bool = False
    accepted: int = 0
    published_one: Callable[[int], None] = lambda done: None
    within: Callable[[str], AbstractContextManager[None]] = lambda name: nullcontext()
    read: Counter[str] = field(default_factory=Counter)
    gates: list[GateResult] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    gold_before: gold.Standing | None = None
    swapped: SwapResult | None = None
    analysts_see_all: bool = False
    ledger: Ledger | None = None

    def alone_in_gold(self) -> AbstractContextManager[None]:
        """The lock of gold, which a run whose stages are all here holds from its beginning to its end."""
        return only_one(self.settings, "gold") if self.is_alone else nullcontext()


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        name: As the report, the history of runs and the orchestrator have it.
        does: What it does, a sentence.
        repeatable: Why it may be repeated, a clause.
        run: Does it; False where there was nothing to do.
        command: The command that does the same by itself, without `cinelake`; empty for dbt's own work.
        needs: The stages that come before it.
        takes_cores: It computes, so that no other such stage should run beside it.
        decides: Where it finds nothing to do, the stages after it have nothing to do either, but for those of which `is_last`.
        is_last: It looks at how things stand when all else is over, whatever there was to do.
    """

    name: str
    does: str
    repeatable: str
    run: Callable[[Work], bool]
    command: str
    needs: tuple[str, ...] = ()
    takes_cores: bool = False
    decides: bool = False
    is_last: bool = False


def _land(work: Work) -> bool:
    read = run_bronze(work.spark_session, work.settings)
    work.read.update(read)
    return any(read.values())


def _gate_bronze(work: Work) -> bool:
    return _required(work, gates.gate_bronze(work.spark_session, work.settings, work.run_id))


def _take(source: str, work: Work) -> bool:
    # A daemon takes both, and was waited for.
    if BY_DAEMON["silver"] in work.read:
        return False
    if outdated := [each for each in to_rebuild(work.settings) if each in chosen(work.sources)]:
        with work.within("rebuild silver"):
            rebuild_silver(work.spark_session, work.settings, outdated)
    read = run_silver(work.spark_session, work.settings, sources=[source])
    work.read.update(read)
    return bool(outdated) or any(read.values())


def _gate_silver(work: Work) -> bool:
    found = gates.gate_silver(work.spark_session, work.settings, work.run_id, work.scope)
    return _required(work, found)


def _publish(work: Work) -> bool:
    known = {table.full_name for table in contract.tables("silver")}
    if unknown := sorted(set(work.scope.tables) - known):
        raise BadInputError(
            f"Silver has no table {', '.join(unknown)}.", f"It has {', '.join(sorted(known))}."
        )
    # Alone it may be asked for rows that no gate has seen; else the stage before it is that gate.
    if work.is_alone and (
        work.scope != EVERYTHING_NEW or not gates.has_passed(work.settings, "silver")
    ):
        _gate_silver(work)
    passed = gates.passed_versions(work.settings, "silver")
    work.published = publication.publish(work.settings, work.published_one, work.scope, passed)
    return any(table.merged for table in work.published)


def _prepare_gold(work: Work) -> bool:
    look_after(work.settings)
    with work.alone_in_gold():
        # The publication sees to them, where it is among the stages that run here.
        if not work.published:
            publication.ensure_tables(work.settings)
        found = work.gold_before = gold.standing(work.settings)
        work.analysts_see_all = found.is_published and not work.full_refresh
        if work.analysts_see_all:
            return False
        gold_versions.note_build(work.settings, work.run_id, asdict(found.sources))
        if work.is_alone:
            gold.ensure_staging(work.settings, found)
    return True


def _build_gold(work: Work) -> bool:
    gold.build_next(work.settings, work.full_refresh, work.gold_before)
    return True


def _gate_gold(work: Work) -> bool:
    looked_at = _required(work, gates.gate_gold(work.settings, work.run_id))
    gold_versions.note_gate(work.settings, work.run_id)
    return looked_at


def _swap(work: Work) -> bool:
    with work.alone_in_gold():
        if not gold_versions.is_swapped(work.settings, work.run_id):
            gold_versions.require_gated(work.settings, work.run_id)
            if seen := gold_versions.sources_of(work.settings, work.run_id):
                gold_sources.note(work.settings, gold_sources.Sources(**seen))
            work.swapped = swap_gold(work.settings.postgres, work.run_id)
    work.analysts_see_all = True
    return work.swapped is not None


def _reconcile(work: Work) -> bool:
    if work.is_alone:
        inspection.require_whole(work.settings)
    counted = work.ledger = ledger.count(work.settings)
    # A look by hand, or a nightly one, is no run, and its counts would stand among those of refreshes.
    if not work.is_alone or runs.is_known(work.settings, work.run_id):
        ledger.record(work.settings, counted, work.run_id)
    # Alone it leaves out what only waits for the next refresh.
    differences = counted.differences() if work.is_alone else counted.unaccounted(work.accepted)
    if differences:
        raise LedgerMismatchError(
            "The ledger does not add up: " + "; ".join(differences),
            "Nothing was deleted. If a refresh or a streaming daemon runs, or the last refresh failed, let `cinelake refresh`"
            " go through and `cinelake reconcile` look again; a difference that stays is a loss or a double count:"
            " `cinelake trace` shows where an event is.",
        )
    return True


def _required(work: Work, found: GateResult) -> bool:
    """Keep what a gate found and insist that it passed; whether it had anything to look at."""
    work.gates.append(found)
    gates.require(found)
    return bool(found.rules)


def _of_silver(name: str, does: str, source: str, after: str) -> Stage:
    """The stage that takes a table of bronze to silver, and the stage that it comes after."""
    return Stage(
        name,
        does,
        "each table is merged by its key, so that a repetition changes nothing",
        partial(_take, source),
        f"silver --source {source}",
        needs=(after,),
        takes_cores=True,
    )


OF_SILVER = {
    "bronze.movie": _of_silver(
        "silver movies",
        "Brings movies, genres, people, companies and keywords up to date; before events, so that these find their movie.",
        "bronze.movie",
        after="bronze gate",
    ),
    "bronze.user_logs": _of_silver(
        "silver events",
        "Brings events, sessions, ratings, comments and everything else that people did up to date.",
        "bronze.user_logs",
        after="silver movies",
    ),
}
"""By the table of bronze that they take to silver."""
STAGES = (
    Stage(
        "bronze",
        "Lands what Kafka holds in bronze.",
        "Spark's checkpoint and Delta's transactions land each message exactly once, however often this is tried",
        _land,
        "bronze",
        takes_cores=True,
    ),
    Stage(
        "bronze gate",
        "Great Expectations looks at what bronze took since the gate last passed.",
        "it only reads",
        _gate_bronze,
        "gates check bronze",
        needs=("bronze",),
        takes_cores=True,
    ),
    *OF_SILVER.values(),
    Stage(
        "silver gate",
        "Great Expectations looks at the rows that the publication would take.",
        "it only reads",
        _gate_silver,
        "gates check silver",
        needs=("silver events",),
        takes_cores=True,
    ),
    Stage(
        "publish",
        "Merges what changed in silver, and passed its gate, into PostgreSQL.",
        "each table moves in one transaction with its watermark",
        _publish,
        "publish",
        needs=("silver gate",),
        takes_cores=True,
    ),
    Stage(
        "gold prepare",
        "Notes that this run builds `gold_next`, so that no other run can swap in what they would build together, and makes the"
        " views of staging anew where the project has changed; where gold holds all of silver already, what follows, up to"
        " the swap, has nothing to do.",
        "the same note again",
        _prepare_gold,
        "gold prepare",
        needs=("publish",),
        decides=True,
    ),
    Stage(
        "dbt build",
        "dbt builds what changed tables feed in `gold_next`, and tests it.",
        "a table is made anew, an incremental one takes what changed since its own lake version",
        _build_gold,
        "",
        needs=("gold prepare",),
        takes_cores=True,
    ),
    Stage(
        "gold gate",
        "Great Expectations looks at `gold_next`.",
        "it only reads",
        _gate_gold,
        "gates check gold",
        needs=("dbt build",),
        takes_cores=True,
    ),
    Stage(
        "swap",
        "Makes `gold_next` the gold that analysts read, in one transaction.",
        "a second time it finds this run published already",
        _swap,
        "gold swap",
        needs=("gold gate",),
    ),
    Stage(
        "reconcile",
        "Counts the events at every hop; fails when they do not add up.",
        "it only counts",
        _reconcile,
        "reconcile",
        needs=("swap",),
        is_last=True,
    ),
)
"""In their order; each needs some of those before it."""
BY_NAME = {stage.name: stage for stage in STAGES}
OF_GOLD = tuple(BY_NAME[name] for name in ("gold prepare", "dbt build", "gold gate", "swap"))
"""Those that bring silver from PostgreSQL to analysts."""


def silver_of(sources: Collection[str]) -> list[str]:
    """The names of the stages that take tables of bronze to silver.

    Args:
        sources: The tables of bronze; empty for all that silver reads.

    Raises:
        BadInputError: Silver reads no such table.
    """
    return [OF_SILVER[source].name for source in chosen(sources)]


def as_facts() -> list[dict[str, Any]]:
    """The table for whoever walks it in another environment, such as Airflow: each stage's words and what it needs, by field."""
    names = [each.name for each in fields(Stage) if each.name != "run"]
    return [{name: getattr(stage, name) for name in names} for stage in STAGES]
