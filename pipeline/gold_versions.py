"""The publications of gold in `ops.gold_version`: which one analysts see, and whether the one before can come back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cinelake.errors import CinelakeError
from cinelake.postgres import connect, create_missing
from cinelake.settings import Settings
from pipeline import runs

GOLD_VERSION_DDL = """
create table if not exists ops.gold_version (
    swapped_at timestamptz primary key,
    run_id text not null,
    lake_versions jsonb not null
);
alter table ops.gold_version add column if not exists is_rollback boolean not null default false;
comment on table ops.gold_version is
    'Each publication of gold: when, by which run, and the lake version that every table had reached.';
"""
GOLD_NEXT_DDL = """
create table if not exists ops.gold_next (
    is_previous boolean not null,
    since timestamptz not null default now()
);
alter table ops.gold_next add column if not exists run_id text not null default '';
alter table ops.gold_next add column if not exists is_gated boolean not null default false;
alter table ops.gold_next add column if not exists sources jsonb;
comment on table ops.gold_next is
    'One row: whether gold_next holds the gold of before (from a swap to the next build), else who builds it, and whether it passed its gate.';
"""


class NoRollbackError(CinelakeError):
    """There is no earlier version of gold that could come back."""


class NotGatedError(CinelakeError):
    """`gold_next` is not what this run has built and gated."""


@dataclass(frozen=True)
class Refusal:
    """A run that was to bring a newer gold, and did not.

    Args:
        run_id: The run.
        finished_at: When it ended, UTC.
        reason: The message with which it ended.
    """

    run_id: str
    finished_at: datetime
    reason: str


@dataclass(frozen=True)
class GoldVersion:
    """What analysts see.

    Args:
        swapped_at: Since when, UTC.
        run_id: The run that published it, or took the one after it back.
        is_rollback: It was there before, and came back.
        lake_versions: The highest lake version in each of its tables.
        refusal: Why there is no newer one, when the last run failed.
    """

    swapped_at: datetime
    run_id: str
    is_rollback: bool
    lake_versions: dict[str, int]
    refusal: Refusal | None


def ensure(connection: psycopg.Connection) -> None:
    """Make the two tables where they are missing; the connection acts as `loader`."""
    create_missing(connection, GOLD_VERSION_DDL, GOLD_NEXT_DDL)


def note_build(settings: Settings, run_id: str, sources: Mapping[str, Any] | None = None) -> None:
    """Note that a run begins to build, after which `gold_next` is no version that analysts have seen.

    Args:
        settings: Tells where PostgreSQL is.
        run_id: The run.
        sources: What its build sees, for `sources_of` in another process.
    """
    with connect(settings, "loader") as connection:
        ensure(connection)
        _note(connection, run_id, is_previous=False, sources=sources)


def sources_of(settings: Settings, run_id: str) -> dict[str, Any] | None:
    """What the build of a run in `gold_next` saw when it began; None where that was not noted."""
    with connect(settings, "loader") as connection:
        ensure(connection)
        row = connection.execute(
            "select sources from ops.gold_next where run_id = %s and not is_previous", [run_id]
        ).fetchone()
    return row[0] if row else None


def note_gate(settings: Settings, run_id: str) -> None:
    """Note that what a run has built in `gold_next` passed its gate.

    Raises:
        NotGatedError: Another run has begun to build there, so that what was looked at is not this run's.
    """
    with connect(settings, "loader") as connection:
        ensure(connection)
        noted = connection.execute(
            "update ops.gold_next set is_gated = true where run_id = %s and not is_previous",
            [run_id],
        ).rowcount
    if not noted:
        raise NotGatedError(
            f"gold_next is not what run {run_id} builds: another run has begun there, or it was swapped in already.",
            "Run the refresh again from its first stage of gold, `cinelake gold prepare`.",
        )


def is_swapped(settings: Settings, run_id: str) -> bool:
    """Whether a run has published what it built, and no build has begun since."""
    with connect(settings, "loader") as connection:
        ensure(connection)
        row = connection.execute(
            "select from ops.gold_version join ops.gold_next on gold_version.swapped_at >= gold_next.since"
            " where gold_version.run_id = %s and not gold_version.is_rollback",
            [run_id],
        ).fetchone()
    return row is not None


def require_gated(settings: Settings, run_id: str) -> None:
    """Make sure that `gold_next` holds what a run has built, and that it passed its gate.

    Raises:
        NotGatedError: It does not.
    """
    with connect(settings, "loader") as connection:
        ensure(connection)
        row = connection.execute(
            "select is_gated and not is_previous from ops.gold_next where run_id = %s", [run_id]
        ).fetchone()
    if row is None or not row[0]:
        raise NotGatedError(
            f"gold_next holds nothing of run {run_id} that passed its gate, so it is not published.",
            "Run `cinelake gates check gold` in that run, or `cinelake gold`, which does all of it.",
        )


def note_swap(
    connection: psycopg.Connection, run_id: str, lake_versions: dict[str, int], *, is_rollback: bool
) -> datetime:
    """Note a swap as part of its transaction, which acts as `loader`; returns its time, UTC."""
    first = connection.execute("select from ops.gold_version limit 1").fetchone() is None
    _note(connection, run_id, is_previous=not first)
    row = connection.execute(
        "insert into ops.gold_version (swapped_at, run_id, lake_versions, is_rollback)"
        " values (clock_timestamp(), %s, %s, %s) returning swapped_at",
        [run_id, Jsonb(lake_versions), is_rollback],
    ).fetchone()
    assert row is not None, "an insert that returns has a row"
    swapped_at: datetime = row[0]
    return swapped_at.astimezone(UTC)


def require_previous(connection: psycopg.Connection) -> None:
    """Make sure that `gold_next` holds the gold of before.

    Raises:
        NoRollbackError: It does not.
    """
    row = connection.execute("select is_previous from ops.gold_next").fetchone()
    if row is None or not row[0]:
        raise NoRollbackError(
            "gold_next does not hold the version before: there was none, or a build has begun since the swap.",
            "Mend the cause and run `cinelake refresh`; `cinelake as-of` shows the lake as it was.",
        )


def current(settings: Settings) -> GoldVersion | None:
    """The version that analysts see, or None before the first.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    with connect(settings, "loader") as connection:
        ensure(connection)
        row = connection.execute(
            "select swapped_at, run_id, is_rollback, lake_versions from ops.gold_version"
            " order by swapped_at desc limit 1"
        ).fetchone()
    if row is None:
        return None
    swapped_at, run_id, is_rollback, lake_versions = row
    last = runs.latest(settings)
    refusal = None
    # A run that fails after its swap has published all the same.
    if last and last.finished_at > swapped_at and last.run_id != run_id and not last.is_published:
        refusal = Refusal(last.run_id, last.finished_at.astimezone(UTC), last.outcome)
    return GoldVersion(swapped_at.astimezone(UTC), run_id, is_rollback, lake_versions, refusal)


def swaps(settings: Settings) -> dict[str, int]:
    """How often gold was `published`, and how often a swap was taken back (`rollback`)."""
    with connect(settings, "loader") as connection:
        ensure(connection)
        rows = connection.execute(
            "select case when is_rollback then 'rollback' else 'published' end, count(*)"
            " from ops.gold_version group by 1"
        ).fetchall()
    return dict(rows)


def _note(
    connection: psycopg.Connection,
    run_id: str,
    *,
    is_previous: bool,
    sources: Mapping[str, Any] | None = None,
) -> None:
    connection.execute("delete from ops.gold_next")
    connection.execute(
        "insert into ops.gold_next (is_previous, run_id, sources) values (%s, %s, %s)",
        [is_previous, run_id, Jsonb(sources) if sources else None],
    )
