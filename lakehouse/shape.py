"""The shape of a table, its columns with their types and whether they may be null: as its contract has it, and as it is.

Delta tables are read with delta-rs and PostgreSQL's from its catalogue, so that no comparison needs Spark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import psycopg

from lakehouse import damage
from lakehouse.contract import PhysicalType, Table

DELTA_TYPES: dict[PhysicalType, str] = {
    "string": "string",
    "bigint": "long",
    "int": "integer",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
    "binary": "binary",
}
"""What Delta's own schema calls the types of a contract."""

_POSTGRES_COLUMNS = """
    select
        relation.relname,
        attribute.attname,
        replace(format_type(attribute.atttypid, attribute.atttypmod), 'timestamp with time zone', 'timestamptz'),
        attribute.attnotnull
    from pg_attribute as attribute
    inner join pg_class as relation on attribute.attrelid = relation.oid
    where relation.relnamespace = to_regnamespace('silver')
    and relation.relkind in ('r', 'p')
    and attribute.attnum > 0
    and not attribute.attisdropped
    order by relation.relname, attribute.attnum
"""
_POSTGRES_KEYS = """
    select relation.relname, array_agg(attribute.attname::text order by place.position)
    from pg_constraint as primary_key
    inner join pg_class as relation on primary_key.conrelid = relation.oid
    cross join lateral unnest(primary_key.conkey) with ordinality as place (attnum, position)
    inner join pg_attribute as attribute
        on relation.oid = attribute.attrelid and place.attnum = attribute.attnum
    where relation.relnamespace = to_regnamespace('silver')
    and primary_key.contype = 'p'
    group by relation.relname
"""


class ColumnShape(NamedTuple):
    """One column.

    Args:
        type: Its type, in the words of where the table is.
        required: Whether it refuses nulls.
    """

    type: str
    required: bool


Shape = Mapping[str, ColumnShape]
"""The columns of a table by name."""


class PostgresShape(NamedTuple):
    """A table of PostgreSQL.

    Args:
        columns: Its columns.
        key: The columns of its primary key, in order.
    """

    columns: Shape
    key: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """One way in which a table is not as its contract says.

    Args:
        column: The column's name.
        kind: `missing` and `extra` are seen from the contract; `stricter` is a table that refuses nulls where its
            contract allows them, `laxer` the other way round. A `key` names all its columns.
        problem: The same in words.
        is_additive: The table can be changed to fit, and keeps every row.
    """

    column: str
    kind: Literal["missing", "extra", "type", "stricter", "laxer", "key"]
    problem: str
    is_additive: bool = False


def compare(expected: Shape, found: Shape) -> list[Difference]:
    """What has to be changed in a table to make it what its contract says; the order of columns does not matter.

    Args:
        expected: The shape by the contract.
        found: The shape of the table.

    Returns:
        At most one difference a column, in the order of the contract; columns that it does not know come last.
    """
    differences = [_difference(name, column, found.get(name)) for name, column in expected.items()]
    extra = [
        Difference(name, "extra", f"is there as {column.type}, but not in the contract")
        for name, column in found.items()
        if name not in expected
    ]
    return [*(difference for difference in differences if difference), *extra]


def _difference(name: str, expected: ColumnShape, found: ColumnShape | None) -> Difference | None:
    if found is None:
        wanted = "required" if expected.required else "optional"
        problem = f"is missing ({wanted} {expected.type} by the contract)"
        return Difference(name, "missing", problem, is_additive=not expected.required)
    if found.type != expected.type:
        return Difference(name, "type", f"is {found.type}, by the contract {expected.type}")
    if expected.required and not found.required:
        return Difference(name, "laxer", "may be null, by the contract it is required")
    if found.required and not expected.required:
        return Difference(name, "stricter", "is required, by the contract it may be null", True)
    return None


def compare_delta(table: Table, found: Shape) -> list[Difference]:
    """What has to be changed in a Delta table to make it what its contract says; Delta knows no keys."""
    return compare(of_delta(table), found)


def compare_postgres(table: Table, found: PostgresShape) -> list[Difference]:
    """What has to be changed in a table of PostgreSQL to make it what its contract says."""
    differences = compare(of_postgres(table), found.columns)
    if list(found.key) != table.key:
        problem = f"is the key by the contract, the table's key is {', '.join(found.key) or 'none'}"
        differences.append(Difference(", ".join(table.key), "key", problem))
    return differences


def of_delta(table: Table) -> Shape:
    """The shape that a contract gives its Delta table."""
    return {
        column.name: ColumnShape(DELTA_TYPES[column.type], column.required)
        for column in table.columns
    }


def of_postgres(table: Table) -> Shape:
    """The shape that a contract gives its table in PostgreSQL, with the two columns of the publication."""
    return {
        **{
            column.name: ColumnShape(column.postgres_type or "", column.required)
            for column in table.published_columns
        },
        "_lake_version": ColumnShape("bigint", True),
        "_deleted": ColumnShape("boolean", True),
    }


def found_in_lake(path: str) -> Shape | None:
    """The shape of a Delta table, or None when there is none.

    Args:
        path: Its folder or URI.

    Raises:
        DamagedDataError: A file of its log is missing or damaged.
    """
    delta = damage.opened(path)
    if delta is None:
        return None
    return {
        field.name: ColumnShape(getattr(field.type, "type", str(field.type)), not field.nullable)
        for field in delta.schema().fields
    }


def found_in_postgres(connection: psycopg.Connection) -> dict[str, PostgresShape]:
    """The shape of each table of PostgreSQL's schema `silver`, by the table's name."""
    columns: dict[str, dict[str, ColumnShape]] = {}
    for table, column, kind, required in connection.execute(_POSTGRES_COLUMNS.encode()):
        columns.setdefault(table, {})[column] = ColumnShape(kind, required)
    keys: dict[str, list[str]] = dict(connection.execute(_POSTGRES_KEYS.encode()).fetchall())
    return {
        table: PostgresShape(found, tuple(keys.get(table, ()))) for table, found in columns.items()
    }
