"""Request bodies: from bytes to parsed events, and from a batch back to the bytes of each event."""

import codecs
import json
import re
from typing import Any, NamedTuple, NoReturn

import orjson

from cinelake.errors import BadInputError
from ingestion.json_limits import holds_long_number, holds_nul

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
"""What matters to find the borders of values: strings (to skip them), brackets and commas."""


class Parsed(NamedTuple):
    """A parsed body.

    Args:
        value: The value.
        is_clean: No text and no number in it needs a closer look.
    """

    value: Any
    is_clean: bool


def parse_json(body: bytes) -> Parsed:
    """Parse a body.

    Text with half of a surrogate pair and numbers beyond a double are syntactically JSON, but not what orjson
    takes (or takes as they are). They are parsed all the same, so that one such event in a batch does not cost the others.

    Args:
        body: The bytes as they came.

    Returns:
        The parsed value, and whether it is clean. Of a key that stands twice in an object the last value counts.

    Raises:
        BadInputError: It is not JSON.
    """
    reason = ""
    # RFC 8259, section 8.1: a parser may pass over it.
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        value = orjson.loads(body)
        if not holds_long_number(body):
            return Parsed(value, is_clean=not holds_nul(body))
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        # orjson would make an integer beyond 64 bits a double, and so another number.
        value = json.loads(body.decode(), parse_constant=_refuse_constant, parse_int=_integer)
    except (ValueError, RecursionError):
        if reason:
            raise BadInputError(f"The body is not JSON: {reason}") from None
    return Parsed(value, is_clean=False)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # int() refuses more than 4,300 digits; those of 30 are beyond 64 bits just as well.
    return int(digits[:30])


def split_elements(body: bytes, depth: int) -> list[bytes]:
    """The bytes of each element of the array in a body that is valid JSON.

    Args:
        body: The bytes as they came.
        depth: 1 when the body is the array, 2 when it is an object with the array as its only member.
            Where the member stands twice, the last counts, as it does for the parser.

    Returns:
        The elements' bytes, without the white space around them.
    """
    elements: list[bytes] = []
    level = start = 0
    for token in _TOKEN.finditer(body):
        match token.group()[:1]:
            case b"[" | b"{":
                level += 1
                if level == depth:
                    elements, start = [], token.end()
            case b"," if level == depth:
                elements.append(body[start : token.start()].strip())
                start = token.end()
            case b"]" | b"}":
                if level == depth:
                    elements.append(body[start : token.start()].strip())
                level -= 1
    return [element for element in elements if element]
