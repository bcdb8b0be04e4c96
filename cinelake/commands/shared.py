"""What several commands share."""

from typing import TYPE_CHECKING, Any

from cinelake.console import counts_table, err, out, progress_bar, say_stage
from cinelake.errors import DamagedDataError, ServiceError, SettingError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import SparkSession

    from cinelake.settings import Settings
    from expectations.results import GateResult
    from lakehouse.ledger import Ledger
    from pipeline.refresh import RefreshReport


def start_stack() -> "Settings":
    """Bring the stack up, and return the settings that point to it."""
    from cinelake.stack import local
    from pipeline.stack import bring_up

    with progress_bar("services", len(local.SERVICES)) as done:
        bring_up(get_settings(), done)
    get_settings.cache_clear()
    return get_settings()


def spark_session(settings: "Settings") -> "SparkSession":
    """Start Spark, or return the session that runs already."""
    from spark_streaming.session import build_session

    return build_session(settings)


def refresh_all(
    settings: "Settings",
    full_refresh: bool = False,
    beside_silver: "Mapping[str, Callable[[], None]] | None" = None,
) -> "RefreshReport":
    """Run every stage in order, and beside silver what else is to write there."""
    from pipeline.refresh import refresh

    return refresh(
        lambda: spark_session(settings), settings, say_stage, full_refresh, beside_silver or {}
    )


def ledger_facts(settings: "Settings") -> dict[str, Any] | None:
    """The counts of every hop, or None, with the reason on standard error, while they cannot be counted."""
    from lakehouse import ledger

    try:
        return facts_of(ledger.count(settings))
    except (DamagedDataError, ServiceError, SettingError) as error:
        err.print(f"no ledger: {error.message}", highlight=False)
        return None


def facts_of(ledger: "Ledger") -> dict[str, Any]:
    """The counts of every hop by name, what waits before each, and whether they add up."""
    return {
        **dict(ledger.hops()),
        "waiting": ledger.waiting.by_hop(),
        "balanced": ledger.balanced,
        "differences": ledger.differences(),
    }


def show_ledger(counts: dict[str, Any]) -> None:
    """Show the counts of every hop and whether they add up."""
    rows = [
        (hop, f"{n:,}") for hop, n in counts.items() if isinstance(n, int) and hop != "balanced"
    ]
    out.print(counts_table("Ledger", rows, "rows"))
    if counts["balanced"]:
        out.print("The ledger adds up.", style="green")
    for hop, n in counts["waiting"].items():
        out.print(f"waiting to be in {hop} with the next refresh: {n:,}", highlight=False)
    for difference in counts["differences"]:
        out.print(difference, style="yellow")


def outcome(gate: "GateResult") -> str:
    """How a gate that passed did, in a line."""
    if not gate.rules:
        return "nothing new to check"
    passed = f"{len(gate.rules) - len(gate.warnings)} rules passed"
    return f"{passed}, {len(gate.warnings)} warn: `cinelake gates`" if gate.warnings else passed


def show_report(report: "RefreshReport") -> None:
    """Show what a refresh did: seconds, gates, rows."""
    stages = [(name, f"{seconds:.1f}") for name, seconds in report.stages]
    out.print(counts_table("Stages", [*stages, ("all", f"{report.seconds:.1f}")], "seconds"))
    if report.idle:
        out.print(f"Nothing to do: {', '.join(report.idle)}.", highlight=False)
    gates = [(gate.gate, outcome(gate)) for gate in report.gates]
    out.print(counts_table("Gates", gates, ""))
    gold_rows = [(name, f"{n:,}") for name, n in report.gold_rows.items()]
    out.print(counts_table("Gold", gold_rows, "rows"))
    if report.ledger:
        show_ledger(facts_of(report.ledger))
