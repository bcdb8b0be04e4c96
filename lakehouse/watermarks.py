"""How far each consumer of the lake has come: the last Delta version it has dealt with, kept in PostgreSQL."""

import psycopg

from cinelake.postgres import connect
from cinelake.settings import Settings


def read(settings: Settings, name: str) -> int:
    """The last version dealt with under that name; -1 at first."""
    with connect(settings, "loader") as connection:
        row = connection.execute(
            "select lake_version from ops.watermarks where table_name = %s", [name]
        ).fetchone()
    return int(row[0]) if row else -1


def read_all(settings: Settings) -> dict[str, int]:
    """The last version dealt with under every name that has one."""
    with connect(settings, "loader") as connection:
        return dict(
            connection.execute("select table_name, lake_version from ops.watermarks").fetchall()
        )


def of_gate(table: str) -> str:
    """The name under which stands up to where a table has passed its gate."""
    return f"gate of {table}"


SILVER_RULES = "rules of silver"
"""The name under which stands by which version of its rules the silver was made that was published last."""


def lock(connection: psycopg.Connection, name: str) -> int:
    """The last version dealt with, -1 at first; another transaction that locks the same name waits for this one."""
    connection.execute(
        "insert into ops.watermarks (table_name, lake_version) values (%s, -1) on conflict do nothing",
        [name],
    )
    row = connection.execute(
        "select lake_version from ops.watermarks where table_name = %s for update", [name]
    ).fetchone()
    assert row is not None
    return int(row[0])


def write(connection: psycopg.Connection, name: str, version: int) -> None:
    """Move a watermark, as part of the connection's transaction."""
    connection.execute(
        "insert into ops.watermarks (table_name, lake_version) values (%s, %s)"
        " on conflict (table_name) do update"
        " set lake_version = excluded.lake_version, loaded_at = now()",
        [name, version],
    )
