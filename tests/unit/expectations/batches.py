"""Batches of a table for the gate: rows that keep every rule, and for each rule a row that breaks it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pandas as pd
import pyarrow as pa

from expectations.frames import frame_from_arrow
from lakehouse.contract import Column, Limit, Table

Row = dict[str, Any]
Verdicts = dict[tuple[str, str], int]
"""How many rows break a rule, by rule and column."""

ARROW_TYPES = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
}
SAMPLES: dict[str, Any] = {
    "string": "text",
    "bigint": 7,
    "int": 7,
    "double": 7.5,
    "date": date(2026, 1, 1),
    "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    "boolean": True,
    "binary": b"bytes",
}
MATCHING = {"^[ua]:([.]|[^.])": "u:ada", "^[A-Z]{2}$": "GB", "^[0-9a-f]{64}$": "0" * 64}
"""A text for each pattern of the contracts that these tests use."""


def arrow_schema(table: Table) -> pa.Schema:
    """The contract's columns, all of which may be null, so that a batch can break the rule."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def good_row(table: Table, number: int) -> Row:
    """A row that keeps every rule; rows of different numbers have different keys."""
    row = {column.name: _good_value(column) for column in table.columns}
    key = next(column for column in table.columns if column.name == table.key[0])
    if key.is_uuid:
        row[key.name] = str(UUID(int=number))
    elif key.pattern:
        row[key.name] = f"{number:064x}"
    else:
        row[key.name] = f"key {number}"
    return row


def good_rows(table: Table, count: int = 3) -> list[Row]:
    return [good_row(table, number) for number in range(count)]


def broken_rows(table: Table) -> tuple[list[Row], Verdicts]:
    """Good rows, a row more for each way to break a rule, and how many rows break which rule."""
    rows = good_rows(table)
    verdicts: Verdicts = {}
    for column in table.columns:
        for rule, value in _bad_values(column):
            rows.append(good_row(table, len(rows)) | {column.name: value})
            verdicts[rule, column.name] = verdicts.get((rule, column.name), 0) + 1
    rows.append(dict(rows[0]))
    verdicts["unique", ", ".join(table.key)] = 2
    return rows, verdicts


def as_frame(table: Table, rows: list[Row]) -> pd.DataFrame:
    return frame_from_arrow(pa.Table.from_pylist(rows, schema=arrow_schema(table)))


def _good_value(column: Column) -> Any:
    if column.is_uuid:
        return str(UUID(int=999))
    if column.valid_values:
        return column.valid_values[0]
    if column.pattern:
        return MATCHING[column.pattern]
    return SAMPLES[column.type]


def _bad_values(column: Column) -> Iterator[tuple[str, Any]]:
    if column.required:
        yield "not_null", None
    if column.is_uuid:
        yield "uuid", "42"
        yield "uuid", "ABCDEF00-0000-0000-0000-000000000001"
    if column.valid_values:
        yield "valid_values", "sneeze"
    if column.minimum is not None:
        yield "range", _beyond(column, column.minimum, -1)
    if column.maximum is not None:
        yield "range", _beyond(column, column.maximum, 1)
    if column.max_length is not None:
        yield "length", _good_value(column) + "\N{CLAPPER BOARD}" * column.max_length
    if column.pattern:
        yield "pattern", "?"


def _beyond(column: Column, limit: Limit, direction: int) -> Any:
    """A value beyond a limit: by one, or by a day."""
    if isinstance(limit, date):
        return limit + direction * timedelta(days=1)
    return type(SAMPLES[column.type])(limit + direction)
