"""Gold by write, audit, publish: build `gold_next`, have it tested, and only then let analysts see it."""

from cinelake.errors import GateFailedError
from cinelake.postgres import connect
from cinelake.settings import Settings
from pipeline import gold_versions
from pipeline.dbt import build_gold_next


def build_next(settings: Settings, full_refresh: bool = False) -> None:
    """Build and test `gold_next` with dbt.

    Args:
        settings: Tells where PostgreSQL is.
        full_refresh: Rebuild incremental models from scratch.

    Raises:
        GateFailedError: A model or a test failed; `gold` is untouched.
    """
    gold_versions.note_build(settings)
    result = build_gold_next(settings, full_refresh=full_refresh)
    if result.success:
        return
    described = "\n".join(f"  {node.name}: {node.message}" for node in result.failed)
    raise GateFailedError(
        f"dbt refused gold_next: {len(result.failed)} of {len(result.nodes)} nodes failed.\n{described}",
        "Analysts still see the last good version of gold. Mend the cause, then run `cinelake refresh` again.",
    )


def count_rows(settings: Settings, schema: str = "gold") -> dict[str, int]:
    """Rows of each table of a schema, by name."""
    with connect(settings, "transformer") as connection:
        names = connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema = %s and table_type = 'BASE TABLE' order by 1",
            [schema],
        ).fetchall()
        return {
            name: _count(connection.execute(f"select count(*) from {schema}.{name}".encode()))
            for (name,) in names
        }


def _count(cursor: object) -> int:
    return int(cursor.fetchone()[0])  # type: ignore[attr-defined]
