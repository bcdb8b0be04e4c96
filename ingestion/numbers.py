"""Numbers as files write them: liberal in form, strict in meaning.

`862`, ` 862 `, `862.0` (as pandas writes whole numbers beside empty cells) and `8.62e2` (as spreadsheets do) are one
number. NaN, Infinity, hexadecimal digits, signs of thousands and other scripts' digits are none.
"""

import re
from decimal import Decimal

DECIMAL = re.compile(r"\s*-?\d+(\.\d+)?([eE][+-]?\d{1,9})?\s*", re.ASCII)
"""A decimal number with or without a fraction and an exponent, blanks around it."""
_MOST_CHARACTERS = 400
WHOLE_DIGITS = 18
"""Digits that a whole number may have: so many fit 64 bits."""


def decimal_number(text: str) -> float:
    """The number that a text is.

    Raises:
        ValueError: It is none, or not one that a double can hold.
    """
    number = float(_checked(text))
    if number - number != 0.0:
        raise ValueError("is not a finite number")
    return number


def whole_number(text: str) -> int:
    """The whole number that a text is, whatever its form; it has at most `WHOLE_DIGITS`.

    Raises:
        ValueError: It is none.
    """
    number = Decimal(_checked(text).strip())
    if number.adjusted() >= WHOLE_DIGITS or number != number.to_integral_value():
        raise ValueError(f"is not a whole number of at most {WHOLE_DIGITS} digits")
    return int(number)


def number(text: str) -> int | float:
    """The whole number that a text is, or else the decimal one.

    Raises:
        ValueError: It is neither, or has more than `WHOLE_DIGITS` before its point: a double would be another number.
    """
    try:
        return whole_number(text)
    except ValueError:
        read = decimal_number(text)
    if abs(read) >= 10**WHOLE_DIGITS:
        raise ValueError(f"is not a number of at most {WHOLE_DIGITS} digits")
    return read


def _checked(text: str) -> str:
    if len(text) > _MOST_CHARACTERS or not DECIMAL.fullmatch(text):
        raise ValueError("is not a decimal number")
    return text
