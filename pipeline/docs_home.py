"""The facts of the site's page `Home`, counted where they are."""

from datetime import UTC, datetime

from cinelake.postgres import connect
from cinelake.settings import Settings
from docs_site.home import Freshness, Gate, HomeFacts, Layer, Quarantined, RunLine
from expectations.results import KeptResult, load_results
from lakehouse import changes, ledger
from lakehouse.contract import tables
from lakehouse.freshness import newest_row
from pipeline import gold_versions, runs

RUNS = 30
"""Runs that the page shows."""


def collect_home(settings: Settings) -> HomeFacts:
    """Count the hops, and read the runs, the gates, the quarantine and how old the data is.

    Raises:
        ServiceError: Kafka or PostgreSQL cannot be reached.
    """
    counts = ledger.count(settings)
    gold = gold_versions.current(settings)
    return HomeFacts(
        generated_at=datetime.now(UTC),
        layers=_layers(settings, counts, gold),
        freshness=_freshness(settings),
        ledger=counts.hops(),
        differences=counts.differences(),
        runs=[
            RunLine(run.run_id, run.finished_at, run.is_published, run.outcome, tuple(run.stages))
            for run in runs.history(settings, RUNS)
        ],
        quarantine=_quarantine(settings),
        refusal=gold.refusal.reason if gold and gold.refusal else "",
    )


def _layers(
    settings: Settings, counts: ledger.Ledger, gold: gold_versions.GoldVersion | None
) -> list[Layer]:
    gates = {kept.result.gate: _gate(kept) for kept in load_results(settings)}
    waiting = counts.waiting
    return [
        Layer("bronze", _last_commit(settings, "bronze.user_logs"), counts.bronze,
              waiting.bronze, gates.get("bronze")),
        Layer("silver", _last_commit(settings, "silver.events"), counts.silver,
              waiting.silver, gates.get("silver")),
        Layer("PostgreSQL", _last_load(settings), counts.published,
              waiting.published, gates.get("silver")),
        Layer("gold", gold.swapped_at if gold else None, counts.facts,
              waiting.facts, gates.get("gold")),
    ]  # fmt: skip


def _gate(kept: KeptResult) -> Gate:
    result = kept.result
    return Gate(
        result.gate,
        result.run_id,
        kept.recorded_at,
        len(result.rules),
        tuple(f"{rule.table} {rule.label}" for rule in result.failures),
        tuple(f"{rule.table} {rule.label}" for rule in result.warnings),
    )


def _last_commit(settings: Settings, full_name: str) -> datetime | None:
    delta = changes.open_table(settings, full_name)
    if delta is None:
        return None
    (entry,) = delta.history(limit=1)
    return datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)


def _last_load(settings: Settings) -> datetime | None:
    with connect(settings, "loader") as connection:
        row = connection.execute(
            "select max(loaded_at) from ops.watermarks where table_name like 'silver.%'"
        ).fetchone()
    return row[0] if row else None


def _freshness(settings: Settings) -> list[Freshness]:
    """The tables whose contract says how old their newest row may be, and that are there."""
    return [
        Freshness(each.full_name, newest, each.freshness_hours)
        for each in tables("silver")
        if each.freshness_hours is not None and (newest := newest_row(settings, each.full_name))
    ]


def _quarantine(settings: Settings) -> list[Quarantined]:
    found = changes.query(
        settings,
        "silver.quarantine",
        "select kafka_topic as topic, rule, count(*) as rows, min(first_seen_at) as first_at,"
        " max(last_seen_at) as last_at from t group by kafka_topic, rule order by rows desc, rule",
    )
    return [Quarantined(**row) for row in found.to_pylist()]
