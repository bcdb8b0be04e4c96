"""PostgreSQL connections of the stages, each acting as the role its stage has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

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
        ServiceError: PostgreSQL cannot be reached.
    """
    try:
        connection = psycopg.connect(settings.postgres, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise ServiceError(
            f"PostgreSQL cannot be reached: {error}", "Run `cinelake up`, or check POSTGRES_URI."
        ) from error
    with connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        yield connection
