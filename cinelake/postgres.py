"""PostgreSQL connections of the stages, each acting as the role its stage has."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, LiteralString

import psycopg
from psycopg import errors, sql

from cinelake.errors import ServiceError
from cinelake.masking import mask
from cinelake.settings import Settings

Role = Literal["loader", "transformer"]

LOCK_SECONDS = 30
"""How long to wait for who makes or changes tables; that takes a second, but for a session that somebody left open."""
QUERY_LETTERS = 200
"""How much of a query an error shows."""

# An advisory lock of one number has its halves in two columns.
_HOLDERS: LiteralString = """
select distinct locktype = 'advisory' as is_lock, pid, usename, left(regexp_replace(query, '\\s+', ' ', 'g'), %(letters)s)
from pg_locks join pg_stat_activity using (pid)
where granted and backend_type = 'client backend' and pid <> pg_backend_pid() and database = (
    select oid from pg_database where datname = current_database()
) and case locktype
    when 'advisory' then objsubid = 1
        and ((classid::bigint << 32) | objid::bigint) = hashtext(%(lock)s)
    when 'relation' then relation in (
        select c.oid from pg_class c join pg_namespace n on n.oid = relnamespace
        where nspname = any(%(schemas)s)
    )
end
order by is_lock desc, pid
"""


@contextmanager
def connect(settings: Settings, role: Role) -> Iterator[psycopg.Connection]:
    """A connection in one transaction that commits at the end and rolls back on an error.

    Args:
        settings: `postgres` is used.
        role: `loader` owns the schemas `silver` and `ops`, `transformer` those that dbt builds.

    Raises:
        ServiceError: PostgreSQL cannot be reached, or went away in the middle.
    """
    try:
        with psycopg.connect(settings.postgres, connect_timeout=10) as connection:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
            yield connection
    except psycopg.OperationalError as error:
        raise ServiceError(
            f"PostgreSQL cannot be reached: {error}", "Run `cinelake up`, or check POSTGRES_URI."
        ) from error


def create_missing(connection: psycopg.Connection, *statements: LiteralString | bytes) -> None:
    """Run `create … if not exists` statements, as part of the connection's transaction.

    Raises:
        ServiceError: Somebody else held what it needs for too long.
    """
    connection.execute("set local client_min_messages = warning")
    with making_tables(connection):
        for statement in statements:
            connection.execute(statement)


@contextmanager
def making_tables(
    connection: psycopg.Connection,
    lock: str = "cinelake tables",
    schemas: Sequence[str] = ("silver", "ops"),
) -> Iterator[None]:
    """Make or change tables in a block; whoever does so too waits until the transaction ends.

    PostgreSQL lets two that make one table at once collide in its catalogue.

    Args:
        connection: It is in a transaction.
        lock: The name of the advisory lock.
        schemas: Where the tables are.

    Raises:
        ServiceError: Somebody else held the lock, or one of the tables, for too long; the message says who.
    """
    seconds = LOCK_SECONDS
    try:
        # A savepoint, as after an error nothing can be asked without one.
        with connection.transaction():
            connection.execute(f"set local lock_timeout = '{seconds}s'".encode())
            connection.execute("select pg_advisory_xact_lock(hashtext(%s))", [lock])
            yield
    except errors.LockNotAvailable as error:
        who, hint = holders(connection, lock, schemas)
        raise ServiceError(
            f"The lock {lock!r}, or a table that it is about, was held for {seconds} s: {who}.",
            hint,
        ) from error
    connection.execute("set local lock_timeout to default")


def holders(connection: psycopg.Connection, lock: str, schemas: Sequence[str]) -> tuple[str, str]:
    """Who else holds an advisory lock, or, when nobody does, a table or view of some schemas; and what to do about it.

    Args:
        connection: It has gone back to where it stood before its own attempt.
        lock: The name of the advisory lock.
        schemas: Where the tables are.

    Returns:
        Process, role and last query of each session, without what people shall not see in logs, and the next step.
    """
    with connection.transaction():
        # The stages' own roles see no query of others.
        connection.execute("set local role none")
        found = connection.execute(
            _HOLDERS, {"lock": lock, "schemas": list(schemas), "letters": QUERY_LETTERS}
        ).fetchall()
    sessions = [each[1:] for each in found if each[0] is found[0][0]]
    if not sessions:
        return "a session that has ended since", "Run the same command again."
    who = "; ".join(
        f"process {pid} of role {role}, `{mask(query)}`" for pid, role, query in sessions
    )
    ends = "; ".join(f"select pg_terminate_backend({pid})" for pid, _, _ in sessions)
    return (
        who,
        f"Wait for it, or end it as the owner of the database: `{ends}`. Then run the same command again.",
    )
