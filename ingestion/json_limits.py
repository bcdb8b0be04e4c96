"""What a JSON value from outside must keep to, so that every store behind can hold it.

PostgreSQL text holds no NUL, UTF-8 holds no lone surrogate, JSON holds no NaN and no infinity, and 64 bits
hold no larger integer. Each is refused at the door, with the place where it stands.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_DEPTH = 8
"""How deep `properties` may nest: an object of plain values has depth 1."""
MAX_FIELD_LENGTH = 200
"""Names of fields are cut to this length in answers: they may be the client's own."""

_LONGEST_INTEGER = 2**63
# A regular expression would say the same, at fifteen times the cost of this.
_DIGITS_AS_ZEROS = bytes(ord("0" if 0x30 <= byte <= 0x39 else " ") for byte in range(256))
_LONG_NUMBER = b"0" * 19


class Problem(NamedTuple):
    """One reason why an event is refused.

    Args:
        field: The place, for example `properties.rating`; empty when it is the event as a whole.
        reason: What is wrong there, in a sentence.
    """

    field: str
    reason: str


def holds_nul(body: bytes) -> bool:
    """Whether a text in a JSON body may hold a NUL: it can stand there as an escape only."""
    return b"\\u0000" in body


def holds_long_number(body: bytes) -> bool:
    """Whether a JSON body may hold an integer beyond 64 bits: such a one has 19 digits or more."""
    return _LONG_NUMBER in body.translate(_DIGITS_AS_ZEROS)


def find_problems(value: Any, field: str = "", depth: int = 0) -> Iterator[Problem]:
    """Each string, key, number and nesting in a parsed JSON value that no store could hold.

    Args:
        value: What `json.loads` or `orjson.loads` gave.
        field: The place of the value within the event.
        depth: How many objects and arrays are around it; `MAX_DEPTH` are allowed below the event itself.
    """
    kind = type(value)
    if kind is str:
        reason = _bad_text(value)
        if reason:
            yield Problem(field, reason)
    elif kind is dict or kind is list:
        if depth > MAX_DEPTH:
            yield Problem(field, f"nests deeper than {MAX_DEPTH} levels")
        elif kind is dict:
            yield from _find_in_object(value, field, depth)
        else:
            for number, item in enumerate(value):
                yield from find_problems(item, f"{field}.{number}", depth + 1)
    elif kind is int:
        if not -_LONGEST_INTEGER <= value < _LONGEST_INTEGER:
            yield Problem(field, "is an integer beyond 64 bits")
    elif kind is float:
        if value - value != 0.0:  # NaN and the infinities alone
            yield Problem(field, "is not a finite number")
    elif value is not None and kind is not bool:
        yield Problem(field, f"is not JSON: {kind.__name__}")


def _find_in_object(value: dict[Any, Any], field: str, depth: int) -> Iterator[Problem]:
    for key, item in value.items():
        if type(key) is not str:
            yield Problem(field, "has a key that is not a string")
            continue
        place = f"{field}.{key}" if field else key
        reason = _bad_text(key)
        if reason:
            yield Problem(printable(place), f"has a name that {reason}")
        else:
            for problem in find_problems(item, place, depth + 1):
                yield Problem(printable(problem.field), problem.reason)


def _bad_text(text: str) -> str | None:
    if text.isascii():
        return "contains a NUL character" if "\0" in text else None
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return "contains half of a surrogate pair, which is not Unicode text"
    return "contains a NUL character" if b"\0" in encoded else None


def printable(field: str) -> str:
    """A field's name as an answer can carry it: without NUL, surrogates and excessive length."""
    cut = field if len(field) <= MAX_FIELD_LENGTH else f"{field[:MAX_FIELD_LENGTH]}…"
    return cut.replace("\0", "\\u0000").encode(errors="backslashreplace").decode()
