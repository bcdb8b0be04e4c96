"""What a value means, by the words of the contract alone: written a second time, to compare with."""

import hashlib
import hmac
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from lakehouse.contract import UUID_PATTERN, Column, table

INVALID = object()
"""The contract does not allow it: the record is for quarantine."""
OPEN = object()
"""The contract does not say: a value of a form that no answer has."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NO_IDS = [
    *("", "undefined", "null", "nan", "none", "[object object]", "0", "-1"),
    "00000000-0000-0000-0000-000000000000",
]
_NOBODY = {form.format(text) for text in _NO_IDS for form in ("{}", '"{}"', "'{}'")}


ADDRESSES = {
    "ada@example.org": "ada@example.org",
    "Ada@Example.ORG": "ada@example.org",
    "ada%40example.org": "ada@example.org",
    "o'hara+films@m\u00fcller.example": "o'hara+films@m\u00fcller.example",
    "203.0.113.77": "203.0.113.77",
    "2001:DB8:0:0:0:0:0:1": "2001:db8::1",
    "2001%3Adb8%3A%3A1": "2001:db8::1",
}
"""The addresses that drawn and recorded texts hold, in each spelling, and the one by which all of them are known."""


# --- Values of movies ---------------------------------------------------------------------------------------


def text(value: Any) -> Any:
    """A text in one form: NFC, without blanks around; blank is none."""
    if value is None:
        return None
    if not isinstance(value, str):
        return OPEN
    if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        return INVALID
    return unicodedata.normalize("NFC", value).strip() or None


def number(value: Any) -> Any:
    """A finite decimal number, also one written as text."""
    if value is None:
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        if not _NUMBER.fullmatch(value.strip()):
            return INVALID
        found = float(value)
        # As JSON writes it, a whole number keeps all of its digits.
        return INVALID if not math.isfinite(found) else _exact(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return OPEN
    return value if math.isfinite(value) else INVALID


def _exact(written: str) -> int | float:
    exact = Decimal(written)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def whole(value: Any) -> Any:
    """A whole number."""
    found = number(value)
    if isinstance(found, float):
        return int(found) if found.is_integer() else OPEN
    return found


def known(value: Any) -> Any:
    """A number of which 0 says that it is unknown."""
    return None if value == 0 and value is not False else value


def minutes(value: Any) -> Any:
    """Minutes, rounded; the half up."""
    found = number(value)
    if isinstance(found, int | float):
        found = (
            int(Decimal(str(found)).quantize(Decimal(1), ROUND_HALF_UP))
            if abs(found) < 1e15
            else found
        )
    return known(found)


def day(value: Any) -> Any:
    """The date as it is written."""
    written = text(value)
    if not isinstance(written, str):
        return written
    if not _DATE.match(written):
        return OPEN if re.match(r"\d{4}(-\d\d?)?(-\d\d?)?([T ]|$)", written) else INVALID
    try:
        found = date.fromisoformat(written[:10])
    except ValueError:
        return INVALID
    # What stands behind the date must be a time of day.
    return found if len(written) == 10 or re.match(r"[T ]\d\d:", written[10:]) else OPEN


def flag(value: Any) -> Any:
    """True or false."""
    return value if value is None or isinstance(value, bool) else OPEN


def language(value: Any) -> Any:
    """A code in lower case."""
    found = text(value)
    return found.lower() if isinstance(found, str) else found


MOVIE = {
    "title": ("title", text),
    "original_title": ("original_title", text),
    "original_language": ("original_language", language),
    "overview": ("overview", text),
    "tagline": ("tagline", text),
    "status": ("status", text),
    "release_date": ("release_date", day),
    "runtime_minutes": ("runtime", minutes),
    "budget_usd": ("budget", lambda value: known(whole(value))),
    "revenue_usd": ("revenue", lambda value: known(whole(value))),
    "popularity": ("popularity", number),
    "vote_average": ("vote_average", number),
    "vote_count": ("vote_count", whole),
    "homepage": ("homepage", text),
    "imdb_id": ("imdb_id", text),
    "adult": ("adult", flag),
}
"""Columns of `silver.movies`, the field of an answer that each comes from, and what becomes of it."""


def movie(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the columns of a movie are to be; of each that the contract refuses `INVALID`."""
    columns = {column.name: column for column in table("silver.movies").columns}
    said = {name: becomes(answer.get(field)) for name, (field, becomes) in MOVIE.items()}
    return {
        name: value if value in (INVALID, OPEN) or not broken(columns[name], value) else INVALID
        for name, value in said.items()
    }


def broken(column: Column, value: Any) -> set[str]:
    """Which rules of a contract's column a value breaks, named as the gate names them, by the contract's own words."""
    if value is None:
        return {"not_null"} if column.required else set()
    least, most = column.minimum, column.maximum
    holds = {
        "uuid": not column.is_uuid or bool(re.fullmatch(UUID_PATTERN.strip("^$"), value)),
        "valid_values": not column.valid_values or value in column.valid_values,
        "pattern": not column.pattern or _matches(column.pattern, value),
        "length": column.max_length is None or len(value) <= column.max_length,
        "range": (least is None or value >= least) and (most is None or value <= most),
        "type": _fits(column, value),
    }
    return {rule for rule, is_kept in holds.items() if not is_kept}


def _matches(pattern: str, value: str) -> bool:
    """Whether a text matches as ECMA-262 has it, which the contracts' standard names: `$` is the end of the text."""
    return bool(re.search(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern, value))


def _fits(column: Column, value: Any) -> bool:
    """Whether the column's type can hold a number."""
    bits = {"int": 31, "bigint": 63}.get(column.type)
    return bits is None or -(2**bits) <= value < 2**bits


# --- Values of events ---------------------------------------------------------------------------------------


def event(sent: Mapping[str, Any], is_client: bool, key: str) -> dict[str, Any]:
    """What columns of `silver.events` are to be.

    Args:
        sent: What the API or a producer took.
        is_client: It came through the API, which takes times as clients write them, and adds the User-Agent.
        key: Of the pseudonyms.
    """
    user_id, anonymous_id, session_id = (
        hidden(somebody(sent.get(name)), key) for name in ("user_id", "anonymous_id", "session_id")
    )
    context = hidden(sent.get("context") or {}, key)
    of_context = ["locale", "referrer", "app_version", "screen"]
    if not is_client:
        of_context.append("user_agent")
    rating = (sent.get("properties") or {}).get("rating")
    return {
        "event_type": sent["event_type"],
        "occurred_at": moment(sent["occurred_at"]),
        "user_id": user_id,
        "anonymous_id": anonymous_id,
        "visitor_id": f"u:{user_id}" if user_id is not None else f"a:{anonymous_id}",
        "client_session_id": session_id,
        "movie_id": sent.get("movie_id"),
        "rating": rating if sent["event_type"] == "rating" else None,
        **{name: context.get(name) for name in of_context},
    }


def hidden(value: Any, key: str) -> Any:
    """A value with a pseudonym for each of `ADDRESSES` in its texts and names."""
    if isinstance(value, str):
        for spelled, known in ADDRESSES.items():
            value = value.replace(spelled, pseudonym(known, key))
        return value
    if isinstance(value, list):
        return [hidden(each, key) for each in value]
    if isinstance(value, dict):
        return {hidden(name, key): hidden(each, key) for name, each in value.items()}
    return value


def pseudonym(known: str, key: str) -> str:
    """The HMAC-SHA256 of an address, hexadecimal."""
    return hmac.new(key.encode(), known.encode(), hashlib.sha256).hexdigest()


def somebody(sent: str | None) -> str | None:
    """An id, or none where a program wrote that it has none."""
    return None if sent is None or sent.strip().lower() in _NOBODY else sent


def moment(written: str) -> datetime:
    """A time with its offset, to the microsecond; what is finer is cut."""
    match = re.fullmatch(r"(.{10}).(\d\d:\d\d:\d\d)(?:\.(\d+))?(.+)", written)
    assert match, written
    on, at, fraction, offset = match.groups()
    whole_second = datetime.fromisoformat(f"{on}T{at}{offset.upper()}")
    return (
        whole_second + timedelta(microseconds=int((fraction or "0").ljust(6, "0")[:6]))
    ).astimezone(UTC)


def properties(sent: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """Properties with pseudonyms for what says who someone is, and without ids that are none."""
    given = sent.get("properties")
    if given is None:
        return None
    words = {name: each for name, each in given.items() if name not in ("email", "email_hash")}
    email = given.get("email")
    own = {"email_hash": pseudonym(email.strip().lower(), key)} if isinstance(email, str) else {}
    return _with_ids(hidden(words, key) | own)


def stored_properties(kept: str | None) -> dict[str, Any] | None:
    """The same of what was stored."""
    return None if kept is None else _with_ids(json.loads(kept))


def _with_ids(given: dict[str, Any]) -> dict[str, Any]:
    """Properties without ids that are none."""
    is_missing = {
        name: given[name] is None or somebody(given[name]) is None
        for name in ("play_id", "comment_id", "parent_comment_id")
        if isinstance(given.get(name, ""), str | None) and name in given
    }
    return {name: value for name, value in given.items() if not is_missing.get(name, False)}


def position(sent: Mapping[str, Any]) -> float | None:
    """The position in a movie that an event reports."""
    reported: float | None = (sent.get("properties") or {}).get("position_seconds")
    return reported
