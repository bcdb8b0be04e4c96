"""What TMDB's id of a movie may be, wherever one comes in."""

from typing import Any

MAX_ID = 2**53
"""Ids are smaller: every store and JSON reader holds them, as it would not hold any whole number."""


def is_movie_id(value: Any) -> bool:
    """Whether a parsed JSON value may be an id: a positive integer below `MAX_ID`."""
    return type(value) is int and 0 < value < MAX_ID


def movie_id_of(text: str) -> int | None:
    """The id that a text of ASCII digits is; None when it is none."""
    # int() refuses very long numbers.
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))
    return int(text) if is_number and is_movie_id(int(text)) else None
