"""The ops marts show what runs have left behind, at once and without another build."""

import psycopg

from cinelake.settings import Settings
from expectations.results import GateResult, RuleResult, save_results
from lakehouse import ledger, watermarks
from pipeline.dbt import run_dbt
from tests.integration.silver_writer import Silver


def test_runs_show_without_another_build(settings: Settings, silver: Silver) -> None:
    built = run_dbt(settings, ["run", "--select", "marts.ops"])
    assert built.success, built.failed

    ledger.record(settings, ledger.Ledger(5, 1, 5, 0, 0, 5, 5, 5), "run 1")
    rule = RuleResult(
        "gold.ratings", "not_null", "user_id", False, "1 null", "none", 9, data_docs="page"
    )
    save_results(settings, GateResult("gold", "run 1", 0.5, (rule,)))
    silver.event(1, "ada", "ada 1", 1)
    with psycopg.connect(settings.postgres) as connection:
        watermarks.write(connection, "silver.events", 3)
        watermarks.write(connection, "silver.genres", 2)
        watermarks.write(connection, "silver.ratings", 3)
        watermarks.write(connection, "silver.duplicates", 2)
        watermarks.write(connection, "gate of silver.events", 3)

    def rows(query: str) -> list[tuple[object, ...]]:
        return silver.connection.execute(query.encode()).fetchall()

    assert rows("select run_id, row_count from gold_next.ledger where hop = 'rejected'") == [
        ("run 1", 1)
    ]
    assert rows(
        "select table_name, rule, is_passed, row_count, data_docs from gold_next.gate_results"
    ) == [("gold.ratings", "not_null(user_id)", False, 9, "page")]
    assert rows(
        "select table_name, lake_version, newest_row_at = '2024-03-01 12:00+00', allowed_age_hours,"
        " is_fresh, measured_by from gold_next.freshness order by 1"
    ) == [
        ("silver.duplicates", 2, None, None, None, None),
        ("silver.events", 3, True, 24, False, "silver.events"),
        ("silver.genres", 2, None, 720, None, "silver.movies"),
        ("silver.ratings", 3, True, 24, False, "silver.events"),
    ]
