"""The last step of write, audit, publish: the tables of `gold_next` become `gold` in one transaction.

The tables change schemas; the schemas stay. Renaming the schemas looks simpler, but PostgreSQL looks up a
schema's name and its privileges one after the other, so a reader that connects while a rename commits may end up
in the old one, or in none. The schemas also keep their privileges that way: analysts may use `gold`,
and never `gold_next`.

PostgreSQL resolves each table of a query by itself, so a query that names two tables while the change commits
could read one old and one new. Therefore every table of the old gold is locked first: a query that has begun to
resolve names holds a lock that the swap waits for, and one that begins now waits for the swap, then
resolves its names anew.
"""

import time
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import errors, sql
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from cinelake.errors import ServiceError
from cinelake.log import get_logger
from cinelake.postgres import holders
from cinelake.stack import analyst
from pipeline import gold_versions

log = get_logger("swap")

LOCK = "cinelake swap"
"""The advisory lock of a swap: two at once would undo each other."""
LOCK_MILLISECONDS = (20, 100)
"""How long the first attempt waits for a table, and the longest one. Queries that come meanwhile wait behind it, so it is
short; but an attempt that ends before the queries underway do was in vain, so each waits longer than the one before."""
LOCK_STEP_MILLISECONDS = 5
PATIENCE_SECONDS = 90.0
"""How long to go on trying: longer than an analyst's longest query, which ends at 60 s by `statement_timeout` or by the swap."""
PAUSE_SECONDS = (0.05, 0.3)
"""Shortest and longest pause between two attempts, in which waiting queries get through."""

KINDS = {"r": "table", "p": "table", "v": "view"}
"""What gold may consist of: PostgreSQL's `relkind`, and the word for it in `alter`."""


@dataclass(frozen=True)
class SwapResult:
    """One publication of gold.

    Args:
        swapped_at: When it was done (UTC), as in `ops.gold_version`.
        run_id: The run that did it.
        lake_versions: The highest lake version in each table of the new gold.
        attempts: How often the locks were asked for.
        seconds: How long it took, waiting for readers included.
    """

    swapped_at: datetime
    run_id: str
    lake_versions: dict[str, int]
    attempts: int
    seconds: float


def swap_gold(
    postgres_uri: str,
    run_id: str = "",
    patience_seconds: float = PATIENCE_SECONDS,
    *,
    is_rollback: bool = False,
) -> SwapResult:
    """Make `gold_next` the schema analysts read, and the old `gold` the one to be built next.

    As a swap only exchanges the two, a second one takes the first back, until the next build has begun.

    Readers neither fail nor see tables of both; a query in flight delays the swap, not the other way round, unless it is an
    analyst's and has outlasted its time: that is ended.

    Args:
        postgres_uri: A connection that may take on the roles `transformer` and `loader`.
        run_id: The run that publishes, for `ops.gold_version`.
        patience_seconds: How long to wait for readers before giving up.
        is_rollback: `gold_next` has to be the gold of before.

    Raises:
        NoRollbackError: It should be, and is not.
        ServiceError: PostgreSQL is down, `gold_next` is empty, or readers held `gold` for too long. Then `gold` is as
            it was.
    """
    started = time.monotonic()
    retrying = Retrying(
        retry=retry_if_exception_type((errors.LockNotAvailable, errors.DeadlockDetected)),
        wait=wait_random(*PAUSE_SECONDS),
        stop=stop_after_delay(patience_seconds),
        reraise=True,
    )
    try:
        with psycopg.connect(postgres_uri, connect_timeout=10, autocommit=True) as connection:
            versions = _prepare(connection)
            try:
                for attempt in retrying:
                    with attempt:
                        tried = attempt.retry_state.attempt_number
                        analyst.end_overdue(connection)
                        swapped_at = _swap(connection, run_id, versions, is_rollback, tried)
            except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                who, hint = holders(connection, LOCK, ("gold", "gold_next"))
                raise ServiceError(
                    f"gold was in use for {patience_seconds:g} s, so gold_next could not be swapped in: {who}.",
                    hint,
                ) from error
    except psycopg.Error as error:
        raise ServiceError(
            f"PostgreSQL could not swap gold: {str(error).strip()}",
            "Run `cinelake up`, or check POSTGRES_URI.",
        ) from error
    result = SwapResult(swapped_at, run_id, versions, tried, time.monotonic() - started)
    log.info("swapped", run_id=run_id, attempts=tried, seconds=round(result.seconds, 3))
    return result


def _prepare(connection: psycopg.Connection) -> dict[str, int]:
    """Do what needs no lock: make the tables that tell of publications, and read the lake version of each new table."""
    with connection.transaction():
        connection.execute("set local role loader")
        gold_versions.ensure(connection)
    with connection.transaction():
        connection.execute("set local role transformer")
        relations = _relations(connection, "gold_next")
        if not relations:
            raise ServiceError(
                "gold_next holds no tables, so there is nothing to publish.",
                "Run `cinelake gold`, which builds it first.",
            )
        return {
            name: _lake_version(connection, name)
            for name in relations
            if _has_lake_version(connection, name)
        }


def _swap(
    connection: psycopg.Connection,
    run_id: str,
    lake_versions: dict[str, int],
    is_rollback: bool,
    attempt: int,
) -> datetime:
    first, longest = LOCK_MILLISECONDS
    patience = min(first + LOCK_STEP_MILLISECONDS * (attempt - 1), longest)
    with connection.transaction():
        connection.execute("set local role transformer")
        connection.execute(f"set local lock_timeout = {patience}".encode())
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", [LOCK])
        if is_rollback:
            gold_versions.require_previous(connection)
        old, new = _relations(connection, "gold"), _relations(connection, "gold_next")
        statements = [
            *_locks(old),
            sql.SQL("create schema gold_swap"),
            *_moves(old, "gold", "gold_swap"),
            *_moves(new, "gold_next", "gold"),
            *_moves(old, "gold_swap", "gold_next"),
            sql.SQL("drop schema gold_swap"),
        ]
        # In one message, as readers wait while it is underway.
        connection.execute(sql.SQL("; ").join(statements))
        connection.execute("set local role loader")
        return gold_versions.note_swap(connection, run_id, lake_versions, is_rollback=is_rollback)


def _locks(relations: dict[str, str]) -> list[sql.Composed]:
    # Not the views: to lock one locks what it reads, which is not gold's. They lock as they move; should a reader
    # who waits for a table hold one, the swap gives up first and tries again.
    tables = [sql.Identifier("gold", name) for name, kind in relations.items() if kind != "v"]
    if not tables:
        return []
    return [sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(", ").join(tables))]


def _moves(relations: dict[str, str], origin: str, destination: str) -> list[sql.Composed]:
    return [
        sql.SQL("alter {} {} set schema {}").format(
            sql.SQL(KINDS[kind]), sql.Identifier(origin, name), sql.Identifier(destination)
        )
        for name, kind in relations.items()
    ]


def _relations(connection: psycopg.Connection, schema: str) -> dict[str, str]:
    """Kind of each table and view of a schema by name; sorted, so that every swap locks in the same order."""
    rows = connection.execute(
        "select relname, relkind::text from pg_class where relnamespace = %s::regnamespace"
        " and relkind::text = any(%s) order by relname",
        [schema, list(KINDS)],
    ).fetchall()
    return dict(rows)


def _has_lake_version(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute(
        "select 1 from information_schema.columns where table_schema = 'gold_next'"
        " and table_name = %s and column_name = 'lake_version'",
        [table],
    ).fetchone()
    return row is not None


def _lake_version(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(
        sql.SQL("select coalesce(max(lake_version), -1) from {}").format(
            sql.Identifier("gold_next", table)
        )
    ).fetchone()
    assert row is not None, "an aggregate has one row"
    return int(row[0])
