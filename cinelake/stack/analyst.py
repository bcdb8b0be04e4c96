"""The roles `analyst` and `analyst_pii`: what they were given, whether that is still so, and an end to what outlasts its time.

PostgreSQL lets each role change its own password and the settings it logs in with. So what was written is noted where the role
cannot change it, in a comment on it, as digests.
"""

import hashlib
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql

from cinelake.log import get_logger

Analyst = Literal["analyst", "analyst_pii"]
ANALYSTS: tuple[Analyst, ...] = ("analyst", "analyst_pii")
"""Who reads gold; the second one also what says who somebody is."""

STATEMENT_SECONDS = 60
"""What a statement may take, and how long a transaction may lie idle; as the settings of both in `bootstrap.sql` say."""
TRANSACTION_SECONDS = 600
"""What a transaction of many statements may take: it keeps the next gold out."""

VERIFIER = "has another password"
SETTINGS = "has other settings"

NOTE = "Cinelake wrote "
"""How the comment on a role begins; digests of the password's hash and of the settings follow."""

Change = tuple[Analyst, str]
"""A role, and what of it is no longer as it was written: `VERIFIER` or `SETTINGS`."""

# A superuser's query sees the password's hash, anybody else's asterisks. All of it is one query, as it changes together.
_ROLE: LiteralString = """
select rolpassword, shobj_description(oid, 'pg_authid'), (
    select array_agg(setdatabase || ' ' || setconfig::text order by setdatabase)::text
    from pg_db_role_setting where setrole = role.oid
)
from {} as role where rolname = %s
"""

log = get_logger("analyst")


def write(connection: psycopg.Connection, role: Analyst, password: bytes | None) -> None:
    """Give a role its password, and note that and the settings it has now.

    Args:
        connection: The owner's, in the transaction that has set the settings.
        role: The role.
        password: In clear; it leaves this process as a hash, so that it reaches no log of the server. With None nobody logs
            in as the role.
    """
    verifier = None
    if password is not None:
        hashed = connection.pgconn.encrypt_password(password, role.encode(), b"scram-sha-256")
        verifier = hashed.decode()
    row = _role(connection, role)
    assert row is not None, "the transaction has made it"
    note = f"{NOTE}{_digest(verifier)} {_digest(row[2])}"
    login, name = sql.SQL("login" if verifier else "nologin"), sql.Identifier(role)
    connection.execute(sql.SQL("alter role {} {} password {}").format(name, login, verifier))
    connection.execute(sql.SQL("comment on role {} is {}").format(name, note))


def are_there(connection: psycopg.Connection) -> bool:
    """Whether the server has both roles; one that an older version of Cinelake has set up lacks `analyst_pii`."""
    return all(_role(connection, role) for role in ANALYSTS)


def changed(connection: psycopg.Connection) -> list[Change]:
    """What of which role is no longer as it was written.

    Args:
        connection: The owner's. One that is no superuser sees no passwords.

    Returns:
        Nothing also where nothing was ever written, or by a version that did not note it.
    """
    return [(role, change) for role in ANALYSTS for change in _changed(connection, role)]


def _changed(connection: psycopg.Connection, role: Analyst) -> list[str]:
    row = _role(connection, role)
    if row is None or not (row[1] or "").startswith(NOTE):
        return []
    verifier, note, settings = row
    its_verifier, its_settings = note.removeprefix(NOTE).split()
    found = {
        VERIFIER: _is_superuser(connection) and _digest(verifier) != its_verifier,
        SETTINGS: _digest(settings) != its_settings,
    }
    return [change for change, is_so in found.items() if is_so]


def end_overdue(connection: psycopg.Connection) -> None:
    """End the sessions of analysts that have outlasted the limits, whatever they have set them to.

    Args:
        connection: The owner's.
    """
    # Found before the first is ended: in one condition PostgreSQL may well end sessions before it asks whose they are.
    ended = connection.execute(
        "with overdue as materialized (select pid from pg_stat_activity where usename = any(%(analysts)s) and ("
        "   state = 'active' and query_start < now() - make_interval(secs => %(statement)s)"
        "   or state like 'idle in transaction%%'"
        "       and state_change < now() - make_interval(secs => %(statement)s)"
        "   or xact_start < now() - make_interval(secs => %(transaction)s)"
        ")) select pid, pg_terminate_backend(pid) from overdue",
        {
            "analysts": list(ANALYSTS),
            "statement": STATEMENT_SECONDS,
            "transaction": TRANSACTION_SECONDS,
        },
    ).fetchall()
    for pid, _ in ended:
        log.warning("ended a session that outlasted its time", pid=pid)


def _is_superuser(connection: psycopg.Connection) -> bool:
    return connection.info.parameter_status("is_superuser") == "on"


def _role(connection: psycopg.Connection, role: Analyst) -> tuple[Any, ...] | None:
    table = sql.Identifier("pg_authid" if _is_superuser(connection) else "pg_roles")
    return connection.execute(sql.SQL(_ROLE).format(table), [role]).fetchone()


def _digest(text: str | None) -> str:
    return hashlib.sha256((text or "").encode()).hexdigest()
