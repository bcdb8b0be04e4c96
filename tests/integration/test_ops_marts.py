"""The ops marts show what runs have left behind, at once and without another build."""

import psycopg

from cinelake.postgres import connect, create_missing
from cinelake.settings import Settings
from expectations.results import GateResult, RuleResult, save_results
from lakehouse import ledger, watermarks
from lakehouse.classification import PLAIN_TYPES
from pipeline.dbt import run_dbt
from pipeline.gold_sources import GOLD_SOURCES_DDL
from pipeline.gold_versions import GOLD_NEXT_DDL, GOLD_VERSION_DDL
from pipeline.runs import RUNS_DDL
from pipeline.stream_progress import STREAM_PROGRESS_DDL
from tests.integration.silver_writer import Silver
from tests.unit.pipeline.test_gold_classes import COLUMNS


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
    assert texts_that_analysts_read(settings) <= {
        (name, column["name"]) for _, name, column in COLUMNS
    }


def texts_that_analysts_read(settings: Settings) -> set[tuple[str, str]]:
    """Table and column of what anything could stand in, in the schema `ops`."""
    made = (RUNS_DDL, GOLD_VERSION_DDL, GOLD_NEXT_DDL, GOLD_SOURCES_DDL, STREAM_PROGRESS_DDL)
    with connect(settings, "loader") as connection:
        create_missing(connection, *(ddl.encode() for ddl in made))
    with psycopg.connect(settings.postgres) as connection:
        # PostgreSQL shows of columns those that the role may read.
        connection.execute("set role analyst")
        found = connection.execute(
            "select table_name::text, column_name::text from information_schema.columns"
            " where table_schema = 'ops' and data_type <> all(%s)",
            [["timestamp with time zone", *PLAIN_TYPES]],
        ).fetchall()
    assert {"runs", "ledger", "gold_version", "stream_progress"} <= {name for name, _ in found}
    return set(found)
