"""Silver in PostgreSQL with generated events, and gold built from it."""

from pathlib import Path
from typing import Any

import psycopg

from cinelake.postgres import connect
from cinelake.settings import Settings
from lakehouse.publish import ensure_tables
from pipeline.dbt import DbtResult, Target, run_dbt

HERE = Path(__file__).parent


def fill(settings: Settings, events: int) -> None:
    """Make the tables of silver, and fill them with a catalogue and as many events."""
    ensure_tables(settings)
    run_script(settings, HERE / "catalogue.sql")
    put_events(settings, 0, events, version=1)


def put_events(settings: Settings, first: int, end: int, version: int) -> None:
    """Add the events with the numbers `first` up to but without `end`, as of a version of the lake."""
    numbers = {"first": first, "last": end - 1, "version": version}
    run_script(settings, HERE / "behaviour.sql", numbers)


def run_script(settings: Settings, script: Path, parameters: dict[str, Any] | None = None) -> None:
    """Run statements that fill tables of silver, and have PostgreSQL count the rows.

    Args:
        settings: `postgres` is used.
        script: The statements.
        parameters: Values that they name.
    """
    with connect(settings, "loader") as connection:
        # The client puts the values in, as the server takes none in a script of several statements.
        psycopg.ClientCursor(connection).execute(script.read_bytes(), parameters)
    # As autovacuum does by itself, only later.
    with connect(settings, "loader") as connection:
        for (name,) in connection.execute(
            "select tablename from pg_tables where schemaname = 'silver'"
        ).fetchall():
            connection.execute(f"analyze silver.{name}".encode())


def build_gold(settings: Settings, *options: str, target: Target = "dev") -> DbtResult:
    """Have dbt build gold, without its tests."""
    result = run_dbt(settings, ["run", "--no-write-json", *options], target)
    assert result.success, result.failed
    return result
