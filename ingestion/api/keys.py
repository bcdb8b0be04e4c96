"""API keys in PostgreSQL: made, listed, revoked. What is stored of a key is a salted scrypt digest, never the key.

A key reads `cl_<id>_<secret>`. The id finds the row and may be shown; the secret has 256 random bits.
"""

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from cinelake.errors import BadInputError
from cinelake.postgres import connect, create_missing
from cinelake.settings import API_KEY_PATTERN, LEAST_RATE, Settings, new_api_key
from ingestion.api.scopes import Scope

DDL = """
create table if not exists ops.api_keys (
    key_id text primary key,
    name text not null,
    scopes text[] not null,
    salt bytea not null,
    digest bytea not null,
    requests_per_second double precision,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
create unique index if not exists api_keys_active_name on ops.api_keys (name) where revoked_at is null;
-- The keys of before there were scopes could do all that there was to do.
alter table ops.api_keys
add column if not exists scopes text[] not null default '{events:write,recommendations:read}';
alter table ops.api_keys alter column scopes drop default, drop column if exists scope;
-- Analysts see the operational figures of this schema, and no digest.
revoke all on ops.api_keys from analyst;
"""

LONGEST_NAME = 100
"""Characters; the name stands in an index."""
SCRYPT = {"n": 2**14, "r": 8, "p": 1}
"""The work factor: about 50 ms and 16 MiB a check (RFC 7914); paid once a process and key, see `KeyRing`."""

_PARTS = re.compile(API_KEY_PATTERN)


@dataclass(frozen=True)
class ApiKey:
    """One key as it is stored.

    Args:
        key_id: The part of the key that may be shown.
        name: Who uses it; unique among those that are not revoked.
        scopes: What it allows.
        salt: Random bytes of this key alone.
        digest: scrypt of salt and secret.
        requests_per_second: Its own limit; None for that of the settings.
        created_at: UTC.
        expires_at: UTC; None for never.
        revoked_at: UTC; None while it is good.
    """

    key_id: str
    name: str
    scopes: list[str]
    salt: bytes
    digest: bytes
    requests_per_second: float | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= datetime.now(UTC):
            return "expired"
        return "active"

    @property
    def is_wide(self) -> bool:
        """Whether it is good and allows everything: who has one from a web page reads what anybody is recommended."""
        return self.state == "active" and set(Scope) <= set(self.scopes)

    def opens_with(self, secret: str) -> bool:
        """Whether the secret is this key's; takes as long for a wrong one as for the right one."""
        return hmac.compare_digest(self.digest, _digest(secret, self.salt))


def split_key(key: str) -> tuple[str, str] | None:
    """Id and secret of a key, or None for what is no key at all."""
    parts = _PARTS.fullmatch(key)
    return (parts[1], parts[2]) if parts else None


def create_key(
    settings: Settings,
    name: str,
    expires_at: datetime | None = None,
    requests_per_second: float | None = None,
    scopes: Collection[Scope] = (Scope.WRITE,),
) -> str:
    """Make a key.

    Args:
        settings: `postgres` is used.
        name: Who will use it.
        expires_at: When it ends to be good, UTC; None for never.
        requests_per_second: Its own limit, at least `LEAST_RATE`; None for that of the settings.
        scopes: What it allows.

    Returns:
        The key, which can be seen this once.

    Raises:
        BadInputError: A key of that name is in use; the name is blank, longer than `LONGEST_NAME`, or cannot be shown as it
            is; the limit is none.
        ServiceError: PostgreSQL cannot be reached.
    """
    if not name.strip():
        raise BadInputError("A key needs a name.", "Name it after who uses it.")
    if len(name) > LONGEST_NAME:
        raise BadInputError(
            f"A key's name has at most {LONGEST_NAME} characters, not {len(name)}.", "Shorten it."
        )
    if not name.isprintable() or name != name.strip():
        raise BadInputError(
            f"A key's name has only characters that can be seen, not {name!r}.",
            "Leave out line breaks, control characters and blanks at its ends.",
        )
    if requests_per_second is not None and not LEAST_RATE <= requests_per_second < math.inf:
        raise BadInputError(
            f"A key makes at least {LEAST_RATE} requests a second, not {requests_per_second}.",
            "Give a number such as 50.",
        )
    key = new_api_key()
    try:
        with _keys_table(settings) as connection:
            _insert(connection, key, name, scopes, expires_at, requests_per_second)
    except errors.UniqueViolation:
        raise BadInputError(
            f"A key named {name!r} is in use.",
            "Revoke it with `cinelake keys revoke`, or choose another name.",
        ) from None
    return key


def ensure_key(settings: Settings, key: str, name: str) -> None:
    """Store a key that somebody made up already, unless it is there; one that was revoked stays revoked.

    Args:
        settings: `postgres` is used.
        key: The key.
        name: Who uses it; an earlier key of that name is revoked.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    parts = split_key(key)
    assert parts is not None, "the settings take no other"
    with _keys_table(settings) as connection:
        known = connection.execute(
            "select 1 from ops.api_keys where key_id = %s", [parts[0]]
        ).fetchone()
        if known is None:
            connection.execute(
                "update ops.api_keys set revoked_at = now() where name = %s and revoked_at is null",
                [name],
            )
            _insert(connection, key, name, (Scope.WRITE,), None, None)


def list_keys(settings: Settings) -> list[ApiKey]:
    """All keys, the oldest first; revoked ones too.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    columns = ", ".join(field.name for field in fields(ApiKey))
    with _keys_table(settings) as connection, connection.cursor(row_factory=class_row(ApiKey)) as c:
        return c.execute(
            f"select {columns} from ops.api_keys order by created_at".encode()
        ).fetchall()


def set_scopes(settings: Settings, name_or_id: str, scopes: Collection[Scope]) -> list[str]:
    """Let the key of that name or id do this and nothing else; workers follow within seconds.

    Returns:
        The ids of the keys that were changed; one that was revoked stays as it is.

    Raises:
        BadInputError: There is no key of that name or id.
        ServiceError: PostgreSQL cannot be reached.
    """
    return _change(settings, name_or_id, "scopes = %s", _sorted(scopes))


def revoke_key(settings: Settings, name_or_id: str) -> list[str]:
    """Revoke the key of that name or id; workers refuse it within seconds.

    Returns:
        The ids of the keys that were good until now.

    Raises:
        BadInputError: There is no key of that name or id.
        ServiceError: PostgreSQL cannot be reached.
    """
    return _change(settings, name_or_id, "revoked_at = now()")


def _change(
    settings: Settings, name_or_id: str, assignment: LiteralString, *values: object
) -> list[str]:
    """Change the keys of that name or id that were not revoked; their ids."""
    with _keys_table(settings) as connection:
        found = connection.execute(
            "select key_id, revoked_at is null from ops.api_keys where %s in (key_id, name)",
            [name_or_id],
        ).fetchall()
        if not found:
            raise BadInputError(
                f"There is no key {name_or_id!r}.", "`cinelake keys list` shows those there are."
            )
        ids = [key_id for key_id, is_good in found if is_good]
        connection.execute(
            f"update ops.api_keys set {assignment} where key_id = any(%s)", [*values, ids]
        )
    return ids


def _sorted(scopes: Collection[Scope]) -> list[str]:
    """Each scope once, as PostgreSQL takes them."""
    return sorted(map(str, set(scopes)))


def _insert(
    connection: psycopg.Connection,
    key: str,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None,
    requests_per_second: float | None,
) -> None:
    parts = split_key(key)
    assert parts is not None, "made here, or checked by the settings"
    salt = secrets.token_bytes(16)
    connection.execute(
        "insert into ops.api_keys (key_id, name, scopes, salt, digest, expires_at, requests_per_second)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        [
            *(parts[0], name, _sorted(scopes), salt, _digest(parts[1], salt)),
            *(expires_at, requests_per_second),
        ],
    )


def _digest(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, **SCRYPT)


@contextmanager
def _keys_table(settings: Settings) -> Iterator[psycopg.Connection]:
    with connect(settings, "loader") as connection:
        # Every worker reads the keys every few seconds: none of them may wait for a lock on the catalogue.
        is_there = connection.execute(
            "select exists (select from pg_attribute where attrelid = to_regclass('ops.api_keys')"
            " and attname = 'scopes')"
        ).fetchone()
        if is_there != (True,):
            create_missing(connection, DDL)
        yield connection
