"""What the values of a column tell of people: the one vocabulary, which rights, samples and pages follow.

A text, a UUID and bytes need a class, as anything could stand in them. Where nothing is said, a number, a date, a time and a
truth value are public.
"""

from collections.abc import Mapping
from types import MappingProxyType

PUBLIC = "public"
"""The one class whose values the docs site shows."""
PSEUDONYMOUS = "pseudonymous"
PERSONAL = "personal"

CLASSES: Mapping[str, str] = MappingProxyType(
    {
        PUBLIC: "of no visitor: the movies and who made them, codes, and how the lakehouse works",
        PSEUDONYMOUS: "an id or a keyed hash that stands for a visitor, or for what is one visitor's, such as a session",
        "user_content": "people's words, and what else their clients send freely or is cut out of that; it may hold anything",
        PERSONAL: "says who somebody is",
    }
)
"""Each class with its meaning."""

PLAIN_TYPES = frozenset({
    "bigint", "int", "integer", "double", "double precision", "date", "timestamp", "timestamptz", "boolean",
})  # fmt: skip
"""The types, of contracts and of PostgreSQL, in which a class may be left out."""


def classified(given: str | None, kind: str) -> str:
    """The class of a column; empty for one that needs a class and has none.

    Args:
        given: What its contract or its model says; None for nothing.
        kind: Its type, as a contract or PostgreSQL names it.
    """
    return given or (PUBLIC if kind in PLAIN_TYPES else "")
