"""JSON as it was written: no integer becomes another number, and half of a surrogate pair is told of where it stands."""

import json
from typing import Any, NamedTuple, NoReturn

import orjson

from cinelake.pseudonyms import LONGEST_ID
from ingestion.json_limits import holds_long_number, holds_nul


class Parsed(NamedTuple):
    """A parsed text.

    Args:
        value: The value.
        is_clean: No text and no number in it needs a closer look.
    """

    value: Any
    is_clean: bool


def parse(text: bytes) -> Parsed:
    """Parse JSON.

    Text with half of a surrogate pair and numbers beyond a double are syntactically JSON, but not what orjson
    takes (or takes as they are). They are parsed all the same, so that one such event among many does not cost the others.

    Args:
        text: UTF-8, without a byte-order mark.

    Returns:
        The value, and whether it is clean. Of a key that stands twice in an object the last value counts.

    Raises:
        ValueError: It is not JSON; the message says why.
    """
    reason = None
    try:
        value = orjson.loads(text)
        if not holds_long_number(text):
            return Parsed(value, is_clean=not holds_nul(text))
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        # orjson would make an integer beyond 64 bits a double, and so another number.
        value = json.loads(text.decode(), parse_constant=_refuse_constant, parse_int=_integer)
    except (ValueError, RecursionError):
        if reason:
            raise ValueError(reason) from None
    return Parsed(value, is_clean=False)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # int() refuses more than 4,300 digits; so many are beyond 64 bits and longer than any id just as well.
    return int(digits[: 2 * LONGEST_ID])
