"""Contract, silver's rule, PostgreSQL's constraint and gate give one verdict on each of thousands of drawn values.

The contract's own verdict is computed here in plain Python (`meaning.broken`), the others by the code that reads the same
contract for its own engine.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import strategies as st
from psycopg import sql
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cinelake.settings import Settings
from expectations.batches import Batch
from expectations.frames import frame_from_arrow
from expectations.gate import run_lake_gate
from lakehouse.contract import Column, Table, tables
from lakehouse.frames import frame_of
from lakehouse.publish import ensure_tables
from lakehouse.quarantine import column_rules, first_broken
from tests.drawing import drawn
from tests.integration.whole_way.drawn import values_of
from tests.integration.whole_way.meaning import broken
from tests.unit.expectations.batches import arrow_schema

A_COLUMN = 20
"""Values that are drawn for each column."""
OF_THE_TABLE = {"unique", "columns_exist", "type"}
"""Rules of a gate that are not about one value."""
NOT_IN_POSTGRES = {"valid_values", "pattern", "uuid"}
"""Rules that silver and gate alone hold: PostgreSQL's own are about types, nulls and limits."""
MAY_BE_IN_POSTGRES = {"uuid"}
"""Its UUIDs may also be written in capitals, in braces and without their signs."""

Drawn = dict[str, list[Any]]


@pytest.fixture(scope="module")
def values() -> dict[str, Drawn]:
    """Of each table of silver so many values of each column, at the edges of its rules."""
    found = {}
    for number, table in enumerate(tables("silver")):
        row = {each.name: values_of(each) for each in table.columns if each.type != "binary"}
        rows = drawn(st.fixed_dictionaries(row), number, A_COLUMN)
        found[table.full_name] = {name: [each[name] for each in rows] for name in row}
    return found


def _columns(values: dict[str, Drawn]) -> Iterator[tuple[Table, Column, list[Any]]]:
    for table in tables("silver"):
        for column in table.columns:
            if column.name in values[table.full_name]:
                yield table, column, values[table.full_name][column.name]


def _name(table: Table, column: Column) -> str:
    return f"{table.name}__{column.name}"


def test_silver_sets_aside_what_the_contract_refuses_and_nothing_else(
    spark: SparkSession, values: dict[str, Drawn]
) -> None:
    of_type = {
        _name(table, column): (table.spark_schema()[column.name].dataType.simpleString(), found)
        for table, column, found in _columns(values)
    }
    rows = list(zip(*(found for _, found in of_type.values()), strict=True))
    frame = frame_of(
        spark, rows, ", ".join(f"{name} {kind}" for name, (kind, _) in of_type.items())
    )
    ruled = {
        _name(table, column): column_rules(column, F.col(_name(table, column)))
        for table, column, _ in _columns(values)
    }
    verdicts = [
        first_broken(rules).isNotNull().alias(name) for name, rules in ruled.items() if rules
    ]
    judged = [row.asDict() for row in frame.select(*verdicts).collect()]
    wrong = [
        (f"{table.full_name}.{column.name}", value, sorted(broken(column, value)))
        for table, column, found in _columns(values)
        for row, value in zip(judged, found, strict=True)
        if row.get(_name(table, column), False) != bool(broken(column, value))
    ]
    assert not wrong, "\n".join(map(repr, wrong))


def test_postgres_refuses_what_the_contract_s_types_nulls_and_limits_refuse_and_nothing_else(
    settings: Settings, values: dict[str, Drawn]
) -> None:
    ensure_tables(settings)
    wrong = []
    with psycopg.connect(settings.postgres) as connection:
        for table in tables("silver"):
            good = {
                column.name: _good(column, values[table.full_name])
                for column in table.published_columns
            }
            for column in table.published_columns:
                for value in values[table.full_name][column.name]:
                    is_taken = _takes(connection, table, good | {column.name: value})
                    rules = broken(column, value)
                    is_meant = not (rules - NOT_IN_POSTGRES)
                    if is_taken != is_meant and not rules & MAY_BE_IN_POSTGRES:
                        wrong.append((f"{table.full_name}.{column.name}", value, is_taken))
        connection.rollback()
    assert not wrong, "\n".join(map(repr, wrong))


def _good(column: Column, values: Drawn) -> Any:
    return next(
        value for value in values[column.name] if value is not None and not broken(column, value)
    )


def _takes(connection: psycopg.Connection, table: Table, row: dict[str, Any]) -> bool:
    """Whether a table takes a row, which is taken out again."""
    insert = sql.SQL("insert into {} ({}, _lake_version) values ({}, 0)").format(
        sql.Identifier(table.layer, table.name),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(insert, list(row.values()))
    except (psycopg.DataError, psycopg.IntegrityError):
        return False
    return True


def test_the_gate_counts_of_each_rule_what_the_contract_refuses_by_it(
    settings: Settings, values: dict[str, Drawn], tmp_path: Path
) -> None:
    batches, expected = [], {}
    for table in tables("silver"):
        found = values[table.full_name]
        rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
        frame = frame_from_arrow(pa.Table.from_pylist(rows, schema=arrow_schema(table)))
        batches.append(Batch(table, frame))
        counted = Counter(
            (table.full_name, column.name, rule)
            for column in table.columns
            for value in found.get(column.name, [])
            for rule in broken(column, value)
        )
        expected |= counted
    home = settings.model_copy(update={"home": tmp_path})
    result = run_lake_gate(home, "silver", batches, "verdicts")
    counted_by_gate = {
        (rule.table, rule.column, rule.rule): rule.unexpected_count
        for rule in result.failures
        if rule.rule not in OF_THE_TABLE
    }
    wrong = [
        (*rule, counted_by_gate.get(rule, 0), expected.get(rule, 0))
        for rule in sorted(counted_by_gate.keys() | expected.keys())
        if counted_by_gate.get(rule, 0) != expected.get(rule, 0)
    ]
    assert not wrong, "\n".join(map(repr, wrong))
