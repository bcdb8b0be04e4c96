"""Random rows that keep every rule of their contract, and Delta tables that take them and worse ones."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from cinelake.settings import Settings
from lakehouse.contract import Column, PhysicalType, Table
from lakehouse.tables import table_path
from tests.unit.expectations.batches import arrow_schema

Row = dict[str, Any]

NULLS = 0.2
"""Share of the values that may be null and are."""
TEXTS = ("Amélie", "映画", 'it\'s; a "text"', "one\ntwo", " ", "<b>null</b>", "\\N", "🎬")


def _text(rng: random.Random) -> str:
    return f"{rng.choice(TEXTS)} {rng.getrandbits(64):x}"


MATCHING: dict[str, Callable[[random.Random], str]] = {
    "^[ua]:([.]|[^.])": lambda rng: f"{rng.choice('ua')}:{_text(rng)}",
    "^[0-9a-f]{64}$": lambda rng: f"{rng.getrandbits(256):064x}",
    "^[A-Z]{2}$": lambda rng: rng.choice("ABGZ") + rng.choice("ABGZ"),
    "^tt[0-9]+$": lambda rng: f"tt{rng.randint(0, 10**7):07}",
    "^[0-9]+(,[0-9]+)*$": lambda rng: ",".join(
        str(rng.randint(1, 99)) for _ in range(rng.randint(1, 4))
    ),
}
"""Texts for each pattern of the contracts; a contract with a new one needs a line more here."""
ANY: dict[PhysicalType, Callable[[random.Random], Any]] = {
    "string": _text,
    "date": lambda rng: date(1900, 1, 1) + timedelta(days=rng.randrange(50_000)),
    "timestamp": lambda rng: (
        datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randrange(10**15))
    ),
    "boolean": lambda rng: rng.random() < 0.5,
    "binary": lambda rng: rng.randbytes(rng.randint(0, 40)),
}


def valid_rows(table: Table, rng: random.Random, count: int) -> list[Row]:
    """Rows that keep types, values, ranges, patterns and the key of a contract, and are random in all else.

    Args:
        table: The contract.
        rng: Where the values come from; one seed gives the same rows every time.
        count: How many rows, each with a key of its own.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    while len(rows) < count:
        row = {column.name: _value(column, rng) for column in table.columns}
        rows[tuple(row[name] for name in table.key)] = row
    return list(rows.values())


def make_table(settings: Settings, table: Table, schema: pa.Schema | None = None) -> None:
    """Make the Delta table with its change data feed.

    Unlike the refresh's own tables it takes nulls everywhere, which Delta itself would else refuse before a gate sees them.

    Args:
        settings: Tells where the lake is.
        table: The contract.
        schema: Another one than the contract's.
    """
    DeltaTable.create(
        table_path(settings, table.full_name),
        schema=arrow_schema(table) if schema is None else schema,
        configuration={"delta.enableChangeDataFeed": "true"},
    )


def append(settings: Settings, table: Table, rows: list[Row]) -> None:
    """Append rows in a commit of their own."""
    path = table_path(settings, table.full_name)
    batch = pa.Table.from_pylist(rows, schema=pa.schema(DeltaTable(path).schema().to_arrow()))
    write_deltalake(path, batch, mode="append")


def _value(column: Column, rng: random.Random) -> Any:
    if not column.required and rng.random() < NULLS:
        return None
    if column.is_uuid:
        return str(UUID(int=rng.getrandbits(128)))
    if column.valid_values:
        return rng.choice(column.valid_values)
    if column.pattern:
        return MATCHING[column.pattern](rng)
    if column.type in ("int", "bigint", "double"):
        return _number(column, rng)
    value = ANY[column.type](rng)
    return value[-(column.max_length or 0) :] if column.type == "string" else value


def _number(column: Column, rng: random.Random) -> float:
    """A number within the limits, which themselves come up one time in ten."""
    # Integers with nulls become floats in the gate, which are exact up to 2**53.
    widest = 2**31 - 1 if column.type == "int" else 2**53
    lowest = -widest if column.minimum is None else cast(float, column.minimum)
    highest = widest if column.maximum is None else cast(float, column.maximum)
    if rng.random() < 0.1 and not column.key_position:
        return _type_of(column)(rng.choice((lowest, highest)))
    if column.type == "double":
        return rng.uniform(lowest, highest)
    return rng.randint(int(lowest), int(highest))


def _type_of(column: Column) -> type[int] | type[float]:
    """The Python type of a column of numbers."""
    return float if column.type == "double" else int
