"""What each version of gold was built from, so that a build leaves alone what no changed table feeds, and none is begun for nothing.

The note names the versions of silver's tables in PostgreSQL that a build saw. It belongs to the tables it is about, by the
object id of their fact, which a swap keeps and a build from scratch does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.types.json import Jsonb

from cinelake.postgres import connect, create_missing
from cinelake.settings import PROJECT_ROOT, Settings
from pipeline.dbt import DBT_PROJECT, INCREMENT, project_digest

GOLD_SOURCES_DDL = """
create table if not exists ops.gold_sources (
    fact_oid bigint primary key,
    project text not null,
    relations text[] not null,
    lake_versions jsonb not null
);
comment on table ops.gold_sources is
    'What gold and gold_next were built from: the dbt project and the lake version of each table of silver.';
"""
PROJECT = ("dbt_project.yml", "macros/**/*", "models/**/*", "tests/**/*")
"""What says how gold is built, below the folder of the dbt project."""
RULES = ("expectations/*.py", "lakehouse/contracts/**/*.yaml")
"""What says which rules its gate asks it to keep."""
STAGING = DBT_PROJECT / "models" / "staging"
SELECTED = ("path:models/intermediate", "path:models/marts", "resource_type:test")
"""Of what a changed table feeds: the models but the views of staging, and all tests."""

_BUILT = """
    select
        coalesce(max(oid::bigint) filter (where relname = 'fact_user_event'), 0),
        coalesce(array_agg(relname::text order by relname), '{}')
    from pg_class
    where relnamespace = %s::regnamespace and relkind in ('r', 'p', 'v')
"""


@dataclass(frozen=True)
class Sources:
    """What a build saw.

    Args:
        project: A digest of the dbt project, and of the rules of the gate.
        versions: The highest lake version in each table of silver that a model reads.
    """

    project: str
    versions: dict[str, int]


def see(settings: Settings) -> Sources:
    """What a build that begins now would see.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    query = " union all ".join(
        f"select '{name}', coalesce(max(_lake_version), -1) from silver.{name}"
        for name in _tables()
    )
    with connect(settings, "loader") as connection:
        versions = dict(connection.execute(query.encode()).fetchall())
    rules = project_digest(*RULES, root=PROJECT_ROOT)
    blocks = ", ".join(sorted(settings.gate_blocks))
    return Sources(f"{project_digest(*PROJECT)} {rules} {blocks}".strip(), versions)


def selection(settings: Settings, now: Sources) -> Sequence[str] | None:
    """Dbt's options for a build of no more than what changed tables feed.

    Args:
        settings: Tells where PostgreSQL is.
        now: What the build sees.

    Returns:
        The options; those of everything when the project has changed or nothing is known of `gold_next`. None when
        no table has changed, so that nothing has to be built.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    noted = _noted(settings, "gold_next", now.project)
    if noted is None:
        return INCREMENT
    changed = [name for name, version in now.versions.items() if noted.get(name) != version]
    wanted = [f"source:silver.{name}+,{kind}" for name in changed for kind in SELECTED]
    return ("--select", *wanted) if wanted else None


def are_published(settings: Settings, now: Sources) -> bool:
    """Whether the gold that analysts see was built from nothing else than a build would see.

    Args:
        settings: Tells where PostgreSQL is.
        now: What the build would see.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    return _noted(settings, "gold", now.project) == now.versions


def note(settings: Settings, seen: Sources) -> None:
    """Note what `gold_next` has just been built from.

    Args:
        settings: Tells where PostgreSQL is.
        seen: What the build saw when it began.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    with connect(settings, "loader") as connection:
        create_missing(connection, GOLD_SOURCES_DDL)
        fact, relations = _built(connection, "gold_next")
        connection.execute(
            "insert into ops.gold_sources (fact_oid, project, relations, lake_versions)"
            " values (%s, %s, %s, %s) on conflict (fact_oid) do update set project = excluded.project,"
            " relations = excluded.relations, lake_versions = excluded.lake_versions",
            [fact, seen.project, relations, Jsonb(seen.versions)],
        )
        # Of tables that a build from scratch has replaced.
        connection.execute(
            "delete from ops.gold_sources where fact_oid not in (select oid::bigint from pg_class)"
        )


def _noted(settings: Settings, schema: str, project: str) -> dict[str, int] | None:
    """What the tables of a schema were built from by this project; None when that was not noted of these tables."""
    with connect(settings, "loader") as connection:
        create_missing(connection, GOLD_SOURCES_DDL)
        fact, relations = _built(connection, schema)
        row = connection.execute(
            "select lake_versions from ops.gold_sources"
            " where fact_oid = %s and project = %s and relations = %s",
            [fact, project, relations],
        ).fetchone()
    return row[0] if row else None


def _built(connection: psycopg.Connection, schema: str) -> tuple[int, list[str]]:
    row = connection.execute(_BUILT.encode(), [schema]).fetchone()
    assert row is not None, "an aggregate has one row"
    return row[0], row[1]


def _tables() -> list[str]:
    """The tables of silver that a model reads: each has its view in staging."""
    return sorted(path.stem.removeprefix("stg_") for path in STAGING.glob("stg_*.sql"))
