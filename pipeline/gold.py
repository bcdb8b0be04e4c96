"""Gold by write, audit, publish: build `gold_next`, have it tested, and only then let analysts see it."""

from cinelake.errors import GateFailedError
from cinelake.postgres import connect
from cinelake.settings import Settings
from pipeline import gold_versions, staging
from pipeline.dbt import BUILD, INCREMENT, run_dbt


def build_next(settings: Settings, full_refresh: bool = False) -> None:
    """Build and test every model in `gold_next` with dbt; what analysts see is not touched.

    Args:
        settings: Tells where PostgreSQL is.
        full_refresh: Rebuild incremental models, and the views of staging, from scratch.

    Raises:
        GateFailedError: A model or a test failed; `gold` is untouched.
        ServiceError: dbt could not do its work at all: PostgreSQL is down, or the project cannot be parsed.
    """
    gold_versions.note_build(settings)
    with_staging = full_refresh or not staging.is_current(settings)
    options = [*(["--full-refresh"] if full_refresh else []), *([] if with_staging else INCREMENT)]
    result = run_dbt(settings, [*BUILD, *options])
    if result.success:
        if with_staging:
            staging.note(settings)
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
