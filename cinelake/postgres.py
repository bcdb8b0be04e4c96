"""PostgreSQL connections of the stages, each acting as the role its stage has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, LiteralString

import psycopg
from psycopg import sql

from cinelake.errors import ServiceError
from cinelake.settings import Settings

Role = Literal["loader", "transformer"]


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
    """Run `create … if not exists` statements, as part of the connection's transaction."""
    connection.execute("set local client_min_messages = warning")
    one_at_a_time(connection)
    for statement in statements:
        connection.execute(statement)


def one_at_a_time(connection: psycopg.Connection) -> None:
    """Wait for whoever makes or changes tables, and have others wait until this transaction ends.

    PostgreSQL lets two that make one table at once collide in its catalogue.
    """
    connection.execute("select pg_advisory_xact_lock(hashtext('cinelake tables'))")
