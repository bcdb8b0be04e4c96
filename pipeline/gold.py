"""Gold by write, audit, publish: build `gold_next`, have it tested, and only then let analysts see it."""

from collections.abc import Sequence
from dataclasses import dataclass

from cinelake.errors import GateFailedError
from cinelake.log import get_logger
from cinelake.postgres import connect
from cinelake.settings import Settings
from pipeline import gold_sources, gold_versions, staging
from pipeline.dbt import BUILD, DbtResult, run_dbt

log = get_logger("gold")


@dataclass(frozen=True)
class Standing:
    """How gold and `gold_next` stand to silver and to the dbt project.

    Args:
        sources: What a build that begins now would see.
        is_staging_current: The views of `staging` are there as the project makes them.
        is_published: Analysts see all that silver holds in PostgreSQL, as the project makes it: a build would change
            nothing. What somebody has rolled back to is not: the next refresh builds and publishes anew.
    """

    sources: gold_sources.Sources
    is_staging_current: bool
    is_published: bool


def standing(settings: Settings) -> Standing:
    """How gold stands now.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    version = gold_versions.current(settings)
    sources = gold_sources.see(settings)
    is_staging_current = staging.is_current(settings)
    is_published = (
        version is not None
        and not version.is_rollback
        and is_staging_current
        and gold_sources.are_published(settings, sources)
    )
    return Standing(sources, is_staging_current, is_published)


def build_next(
    settings: Settings,
    full_refresh: bool = False,
    found: Standing | None = None,
) -> None:
    """Build and test every model in `gold_next` with dbt; what analysts see is not touched.

    Args:
        settings: Tells where PostgreSQL is.
        full_refresh: Rebuild incremental models, and the views of staging, from scratch.
        found: How gold stands, where somebody has just looked.

    Raises:
        GateFailedError: A model or a test failed; `gold` is untouched.
        ServiceError: dbt could not do its work at all: PostgreSQL is down, or the project cannot be parsed.
    """
    found = found or standing(settings)
    with_staging = full_refresh or not found.is_staging_current
    options = _options(settings, found.sources, with_staging, full_refresh)
    if options is None:
        log.info("gold_next holds all of silver already")
        return
    result = run_dbt(settings, [*BUILD, *options])
    if result.success:
        if with_staging:
            staging.note(settings)
        gold_sources.note(settings, found.sources)
        return
    raise _refused(result)


def ensure_staging(settings: Settings, found: Standing) -> None:
    """Make the views of `staging` anew where they or the project have changed; `build_next` does so by itself.

    Args:
        settings: Tells where PostgreSQL is.
        found: How gold stands.

    Raises:
        GateFailedError: dbt could not make a view.
        ServiceError: As for `build_next`.
    """
    if found.is_staging_current:
        return
    result = run_dbt(settings, ["run", "--select", "path:models/staging", "--no-write-json"])
    if not result.success:
        raise _refused(result)
    staging.note(settings)


def _refused(result: DbtResult) -> GateFailedError:
    described = "\n".join(f"  {node.name}: {node.message}" for node in result.failed)
    return GateFailedError(
        f"dbt refused gold_next: {len(result.failed)} of {len(result.nodes)} nodes failed.\n{described}",
        "Analysts still see the last good version of gold. Mend the cause, then run `cinelake refresh` again.",
    )


def _options(
    settings: Settings, seen: gold_sources.Sources, with_staging: bool, full_refresh: bool
) -> Sequence[str] | None:
    """What dbt is to build: everything, all but the views of staging, what changed tables feed, or (None) nothing."""
    if full_refresh:
        return ("--full-refresh",)
    if with_staging:
        return ()
    return gold_sources.selection(settings, seen)


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
