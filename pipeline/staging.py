"""The views of `staging`, which dbt makes anew only when they or the project have changed.

A view follows its table by itself, but to make one costs dbt about as much as a small increment of a fact.
"""

import hashlib

import psycopg
from psycopg import sql

from cinelake.postgres import connect
from cinelake.settings import Settings
from pipeline.dbt import project_digest

SOURCES = ("dbt_project.yml", "macros/*", "models/staging/*")
"""What the views follow from, below the folder of the project."""

_VIEWS = """
    select
        (
            select coalesce(string_agg(viewname || definition, '' order by viewname), '')
            from pg_views
            where schemaname = 'staging'
        ),
        obj_description('staging'::regnamespace, 'pg_namespace')
"""


def is_current(settings: Settings) -> bool:
    """Whether the views are those that `note` saw, and the project is what they were made of.

    Args:
        settings: Tells where PostgreSQL is.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    with connect(settings, "transformer") as connection:
        views, noted = _found(connection)
    return noted == _fingerprint(views)


def note(settings: Settings) -> None:
    """Note that the project has just made the views; the comment on their schema keeps it.

    Args:
        settings: Tells where PostgreSQL is.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    with connect(settings, "transformer") as connection:
        views, _ = _found(connection)
        comment = sql.SQL("comment on schema staging is {}")
        connection.execute(comment.format(sql.Literal(_fingerprint(views))))


def _found(connection: psycopg.Connection) -> tuple[str, str | None]:
    """The views as PostgreSQL has them, and what was noted of them."""
    row = connection.execute(_VIEWS).fetchone()
    assert row is not None, "a query without tables has a row"
    return row[0], row[1]


def _fingerprint(views: str) -> str:
    digest = hashlib.sha256(f"{views}{project_digest(*SOURCES)}".encode())
    return f"views and project: {digest.hexdigest()}"
