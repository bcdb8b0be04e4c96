"""Request bodies: from bytes to parsed events, and from a batch back to the bytes of each event."""

import codecs
import re

from cinelake.errors import BadInputError
from ingestion.exact_json import Parsed, parse

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
"""What matters to find the borders of values: strings (to skip them), brackets and commas."""


def parse_json(body: bytes) -> Parsed:
    """Parse a body, as `ingestion.exact_json.parse`.

    Args:
        body: The bytes as they came.

    Raises:
        BadInputError: It is not JSON.
    """
    try:
        # RFC 8259, section 8.1: a parser may pass over it.
        return parse(body.removeprefix(codecs.BOM_UTF8))
    except ValueError as error:
        raise BadInputError(f"The body is not JSON: {error}") from None


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
