"""The format `events`: columns are the fields of the event envelope, with dotted names for the nested ones.

So `context.locale` and `properties.rating` are columns, and `properties` or `context` may also be a column of its own
that holds a JSON object; where both name one property, the dotted column wins.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from cinelake.errors import BadInputError
from ingestion.batch_files.importing import Event, Outcome
from ingestion.batch_files.rows import Row
from ingestion.events import Context, Envelope, iso_utc
from ingestion.exact_json import parse
from ingestion.json_limits import MAX_DEPTH
from ingestion.numbers import decimal_number, whole_number

NESTED = ("context", "properties")
NUMBERS: dict[str, type[int] | type[float]] = {
    "schema_version": int,
    "movie_id": int,
    "properties.rating": float,
    "properties.position_seconds": float,
    "properties.birth_year": int,
}
"""Fields that the contract has as numbers; CSV writes every field as text."""
IDS = (
    *("user_id", "anonymous_id", "session_id"),
    *("properties.play_id", "properties.comment_id", "properties.parent_comment_id"),
)
"""Fields that the contract has as texts, and tables often as numbers."""
_EXACT = 2**53
"""A whole double below it is the number that was written; from there on it may stand for others as well."""
_WITH_FRACTION = re.compile(r"\s*-?\d+\.0+\s*", re.ASCII)
"""A whole number as pandas writes it to CSV when its column has empty cells."""
_OFFSET = re.compile(r"(?<=:\d\d)((?:\.\d+)?[+-]\d\d)(\d\d)?\Z", re.ASCII)
"""The end of a time whose offset from UTC is written as `+0000` or `+00`, as PostgreSQL and polars do."""


def check_columns(path: Path, columns: Sequence[str]) -> None:
    """Refuse a file with columns that no event has.

    Raises:
        BadInputError: It has one; the message names it.
    """
    known = {*Envelope.model_fields, *(f"context.{name}" for name in Context.model_fields)}
    unknown = [name for name in columns if name not in known and not name.startswith("properties.")]
    if unknown:
        raise BadInputError(
            f"{path} has columns that no event has: {', '.join(unknown)}.",
            f"Known are {', '.join(sorted(known))} and properties.<name>; the API sets the time of receipt,"
            " the address and the user agent itself.",
        )


def events_from_rows(rows: Sequence[Row], *, empty_is_absent: bool = False) -> list[Outcome]:
    """Map rows of fields to events, a row an event.

    Args:
        rows: Their values may be text, as in CSV.
        empty_is_absent: Whether an empty text is a field that is not there, as in CSV.

    Returns:
        In the same order, an event or the reason why the row is none.
    """
    if not empty_is_absent:
        return [_event(row.fields) for row in rows]
    return [_event(dict(_of_csv(row.fields))) for row in rows]


def _of_csv(fields: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """The fields of a row of CSV that are there, those of the envelope without blanks around; a property is as typed."""
    for name, text in fields.items():
        if name in IDS and _WITH_FRACTION.fullmatch(text):
            yield name, float(text)
        elif kept := text if "." in name and name not in NUMBERS else text.strip():
            yield name, kept


def _event(fields: dict[str, Any]) -> Outcome:
    event: Event = {}
    for name in NESTED:
        value = fields.get(name)
        if isinstance(value, str):
            try:
                value = parse(value.encode()).value if value.strip() else None
            except ValueError as error:
                return f"{name}: is not JSON: {error}"
        if isinstance(value, dict):
            event[name] = {below: _typed(f"{name}.{below}", each) for below, each in value.items()}
        elif value is not None:
            event[name] = _plain(value)
    for name, value in fields.items():
        # A table has every column in each row, and null where a row has nothing.
        if name not in NESTED and value is not None:
            top, _, below = name.partition(".")
            plain = _typed(name, value)
            if not below:
                event[top] = plain
            elif isinstance(inner := event.setdefault(top, {}), dict):
                inner[below] = plain
            else:
                return f"{top}: should be a JSON object"
    return event


def _typed(name: str, value: Any) -> Any:
    """The number, id or time that a field should be, or else its value; what is none is left for the contract to refuse."""
    wanted = NUMBERS.get(name)
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    if is_whole and (wanted is int or name in IDS):
        # As pandas writes a whole number in a column that has empty cells.
        value = int(value)
    if name in IDS:
        plain = _plain(value)
        return str(plain) if type(plain) is int else plain
    if name == "occurred_at" and isinstance(value, str):
        return _OFFSET.sub(lambda found: f"{found[1]}:{found[2] or '00'}", value)
    if wanted is None or not isinstance(value, str):
        return _plain(value)
    try:
        return whole_number(value) if wanted is int else decimal_number(value)
    except ValueError:
        return value


def _plain(value: Any, levels: int = MAX_DEPTH) -> Any:
    """A value of Parquet as JSON has it; what has no such form, or nests too deeply, is left for the contract to refuse.

    Args:
        value: The value.
        levels: Objects and arrays that it may be nested in, beside itself.
    """
    if isinstance(value, dict) and levels:
        return {name: _plain(item, levels - 1) for name, item in value.items()}
    if isinstance(value, list) and levels:
        return [_plain(item, levels - 1) for item in value]
    if isinstance(value, datetime) and value.tzinfo is not None:
        # Of nanoseconds Arrow makes a time of pandas', which only looks like one.
        return iso_utc(datetime.combine(value.date(), value.timetz()))
    if isinstance(value, date | UUID):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value
