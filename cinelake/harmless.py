"""Texts of others as they may be shown and logged: nothing in them steers a terminal or breaks a page."""

import re

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""https://www.w3.org/TR/xml/#charsets"""


def in_xml(text: str) -> str:
    """A text with U+FFFD in place of each character that XML 1.0 cannot hold, not even escaped."""
    return _NOT_XML.sub("\ufffd", text)


def harmless(text: str, kept: str = "\n\t") -> str:
    r"""A text with the code of each character that cannot be seen in its place, as `\u001b`.

    Args:
        text: Of anybody.
        kept: Characters that stay all the same.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in kept else f"\\u{ord(char):04x}" for char in text
    )
