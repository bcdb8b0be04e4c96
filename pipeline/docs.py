"""The docs stage: gather the facts, build Data Docs and dbt docs, and write the site."""

from datetime import UTC, datetime
from pathlib import Path

from psycopg import errors

from cinelake.postgres import connect
from cinelake.settings import Settings
from docs_site.build import SiteFacts, build_site
from expectations.gate import build_data_docs
from lakehouse import changes, ledger
from pipeline import gold, runs
from pipeline.dbt import generate_docs


def build(settings: Settings) -> Path:
    """Build the docs site from what stands in the lake and in PostgreSQL now.

    Returns:
        The site's `index.html`.

    Raises:
        ServiceError: Kafka or PostgreSQL cannot be reached.
    """
    return build_site(
        settings, collect_facts(settings), build_data_docs(settings), generate_docs(settings)
    )


def collect_facts(settings: Settings) -> SiteFacts:
    """Count the hops, and read the last run, its gates, gold's tables and the quarantine."""
    counts = ledger.count(settings)
    run = runs.latest(settings)
    return SiteFacts(
        generated_at=datetime.now(UTC),
        ledger=counts.hops(),
        balanced=counts.balanced,
        differences=counts.differences(),
        stages=run.stages if run else [],
        gates=_gates(settings, run.run_id) if run else [],
        gold_rows=list(gold.count_rows(settings).items()),
        quarantine=_quarantine(settings),
    )


def _gates(settings: Settings, run_id: str) -> list[tuple[str, str, int, int]]:
    """Gate, table, rules checked and rules failed in one run."""
    try:
        with connect(settings, "loader") as connection:
            return connection.execute(
                "select gate, table_name, count(*), count(*) filter (where not success and severity <> 'warn')"
                " from ops.gate_results where run_id = %s"
                " group by gate, table_name order by min(recorded_at), table_name",
                [run_id],
            ).fetchall()
    except errors.UndefinedTable:
        return []


def _quarantine(settings: Settings) -> list[tuple[str, int]]:
    counted = changes.query(
        settings,
        "silver.quarantine",
        "select rule, count(*) as n from t group by rule order by n desc, rule",
    )
    return [(row["rule"], row["n"]) for row in counted.to_pylist()]
