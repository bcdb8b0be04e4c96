"""Looks after the roles of analysts, whom nothing keeps from changing their own passwords and settings."""

import psycopg

from cinelake.errors import ServiceError
from cinelake.log import current_run_id
from cinelake.settings import Settings
from cinelake.stack import analyst
from cinelake.stack.postgres import bootstrap
from pipeline.alerts import raise_problem


def look_after(settings: Settings) -> None:
    """End what outlasts its time; make a role that is missing, put back what was changed, and tell people of that.

    Raises:
        SettingError: `ANALYST_PASSWORD` is not set, and something was changed or is missing.
        ServiceError: PostgreSQL cannot be reached, or refused.
    """
    try:
        with psycopg.connect(settings.postgres, connect_timeout=10, autocommit=True) as connection:
            analyst.end_overdue(connection)
            is_whole = analyst.are_there(connection) and not analyst.changed(connection)
    except psycopg.Error as error:
        raise ServiceError(
            f"PostgreSQL cannot be reached: {error}", "Run `cinelake up`, or check POSTGRES_URI."
        ) from error
    if not is_whole:
        tell_changes(settings, bootstrap(settings))


def subject_of(role: analyst.Analyst) -> str:
    """Who has the problems of a role that are told."""
    return f"Role {role}"


def tell_changes(settings: Settings, changes: list[analyst.Change]) -> None:
    """Tell people what somebody changed of the roles, once until somebody settles it.

    Args:
        settings: The channels, and `home`.
        changes: As `cinelake.stack.analyst.changed` tells them.
    """
    for role, change in changes:
        raise_problem(
            settings,
            subject_of(role),
            f"The role {role} of PostgreSQL {change} than `cinelake up` wrote. That is put back.",
            f"Somebody who knows its password did so: if nobody should, set another {role.upper()}_PASSWORD in .env and"
            f" run `cinelake up`. Then `cinelake alerts settle '{subject_of(role)}'`.",
            current_run_id(),
            change,
        )
