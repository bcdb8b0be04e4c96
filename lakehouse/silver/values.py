"""How numbers, dates and times are read from the texts of messages: one grammar for all of silver.

A text that says something else than such a value is null here, and rules of the table say so.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

NUMBER = r"^\s*-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*$"
"""A decimal number as JSON writes it, in blanks or not; no NaN, no infinity, no thousands separators, no hexadecimal."""
NOT_FINITE = r'^\s*"?[+-]?(?i:nan|inf|infinity)"?\s*$'
"""What some writers of JSON put where there is no number; Spark puts such a word in quotes."""
DATE = r"^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)? ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
"""A date with a year of four digits, alone or followed by a time of day."""
_PLAIN = r"^-?[0-9]{1,15}(\.0+)?$"
"""A whole number as nearly all are written, which is read without the detour over a double."""

LARGEST = {"bigint": 2**62, "int": 2**31 - 1}
"""What stands for every larger number: above all limits of contracts, where a rule finds it."""


def number(text: Column) -> Column:
    """The number that a text says, as a double; one that is too large for a double is infinite."""
    return F.when(text.rlike(NUMBER), text.try_cast("double"))


def whole(text: Column, kind: str = "bigint") -> Column:
    """The whole number that a text says, also as `862.0` or `1e2`; null for one with a fraction.

    Args:
        text: What was sent.
        kind: `bigint` or `int`. A number that it cannot hold becomes the largest or least of `LARGEST`.
    """
    plain = F.when(text.rlike(_PLAIN), F.substring_index(text, ".", 1).try_cast(kind))
    value = number(text)
    return F.coalesce(plain, F.when(value == F.rint(value), as_whole(value, kind)))


def as_whole(value: Column, kind: str = "bigint") -> Column:
    """A double without its fraction, as `kind`; beyond `LARGEST` it is that.

    Args:
        value: A double, not NaN; null stays null.
        kind: `bigint` or `int`.
    """
    largest = F.lit(float(LARGEST[kind]))
    # Both pass over nulls.
    return F.when(value.isNotNull(), F.greatest(F.least(value, largest), -largest).cast(kind))


def calendar_date(text: Column) -> Column:
    """The date as it is written, whatever time and offset follow it; null where there is none, or none such exists."""
    return F.regexp_extract(text, DATE, 1).try_cast("date")


def utc_time(text: Column, pattern: str = r"^\d{4}-\d\d-\d\d") -> Column:
    """A time from 1970 to 9999; null for any other text.

    Spark itself also reads `T12:00` (today's noon), and years whose differences overflow.

    Args:
        text: What was sent.
        pattern: What it must match besides; by default its date is written out.
    """
    time = F.try_to_timestamp(F.upper(text))
    return F.when(text.rlike(pattern) & F.year(time).between(1970, 9999), time)
