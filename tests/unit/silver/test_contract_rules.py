"""Every rule of every silver contract has a row that breaks it, and that rule with its column is what is named.

The rows are derived from the contracts: a row that keeps every rule, and for each rule the same row with one value that
breaks it. All are judged in one Spark job.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple

import pytest
from pyspark.sql import DataFrame, SparkSession, types
from pyspark.sql import functions as F

from lakehouse.contract import NUMBERS, Column, Limit, PhysicalType, Table, tables
from lakehouse.frames import frame_of
from lakehouse.quarantine import contract_rules, first_broken, masked, shape_of

GOOD: dict[PhysicalType, Any] = {
    "string": "text",
    "bigint": 1,
    "int": 1,
    "double": 1.0,
    "date": date(2026, 1, 1),
    "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    "boolean": True,
    "binary": b"bytes",
}
UUID = "01234567-89ab-cdef-0123-456789abcdef"
TEXTS = ("text", "u:ada", "0" * 64, "tt0109830", "GB", "en", "en-GB", "1,2", "2026")
"""Texts of which one keeps any pattern of the contracts; a new pattern may need one more."""


class Case(NamedTuple):
    """A row and the rule it breaks.

    Args:
        table: The contract.
        column: The column with the value that breaks it; empty for the row that breaks none.
        rule: The rule's name.
        value: The value.
    """

    table: Table
    column: str
    rule: str
    value: Any

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column} {self.rule} {str(self.value)[:40]}"


def good_value(column: Column) -> Any:
    """A value that keeps every rule of a column."""
    if column.is_uuid:
        return UUID
    if column.valid_values:
        return column.valid_values[0]
    if column.pattern:
        return next(text for text in TEXTS if re.search(column.pattern, text))
    limits = [limit for limit in (column.minimum, column.maximum) if limit is not None]
    return as_value(column, limits[0]) if limits else GOOD[column.type]


def as_value(column: Column, limit: Limit) -> Any:
    """A limit as a value of the column."""
    return type(GOOD[column.type])(limit) if column.type in NUMBERS else limit


def step(column: Column) -> Any:
    """What is added to a limit to be beyond it."""
    return 1 if column.type in NUMBERS else timedelta(days=1)


def breaking_values(column: Column) -> Iterator[tuple[str, Any]]:
    """For each rule of a column the name under which it is set aside, and a value that breaks it."""
    if column.required:
        yield "missing_field", None
    if column.is_uuid:
        yield "not_a_uuid", UUID.upper()
    if column.valid_values:
        yield "value_not_allowed", f"not {column.valid_values[0]}"
    if column.minimum is not None:
        yield "out_of_range", as_value(column, column.minimum) - step(column)
    if column.maximum is not None:
        yield "out_of_range", as_value(column, column.maximum) + step(column)
    if column.max_length is not None:
        longer = good_value(column) + "\N{CLAPPER BOARD}" * column.max_length
        yield "out_of_range", longer
    if column.pattern:
        yield "bad_format", f"\N{SNOWMAN}{good_value(column)}"


def cases_of(table: Table) -> list[Case]:
    broken = [
        Case(table, column.name, rule, value)
        for column in table.columns
        for rule, value in breaking_values(column)
    ]
    return [Case(table, "", "", None), *broken]


def ended_by_a_line_break(table: Table) -> list[Case]:
    """Texts that Java's `$` lets end with a line break."""
    ended = [each for each in table.columns if each.is_uuid or (each.pattern or "").endswith("$")]
    return [
        Case(
            table,
            each.name,
            "not_a_uuid" if each.is_uuid else "bad_format",
            good_value(each) + "\n",
        )
        for each in ended
    ]


CASES = [
    case for table in tables("silver") for case in (*cases_of(table), *ended_by_a_line_break(table))
]


def judged(spark: SparkSession, table: Table) -> DataFrame:
    """The name of each case of a table and what is said of its row."""
    cases = [*cases_of(table), *ended_by_a_line_break(table)]
    good = {column.name: good_value(column) for column in table.columns}
    rows = [
        (case.name, *({**good, case.column: case.value}[name] for name in good)) for case in cases
    ]
    fields = [types.StructField(field.name, field.dataType) for field in table.spark_schema()]
    schema = types.StructType([types.StructField("_case", types.StringType()), *fields])
    broken = first_broken(contract_rules(table))
    return frame_of(spark, rows, schema).select("_case", broken.alias("broken"))


@pytest.fixture(scope="module")
def verdicts(spark: SparkSession) -> dict[str, tuple[str, str] | None]:
    """Rule and reason by case, or None where no rule was broken."""
    frames = [
        judged(spark, table).select("_case", F.struct("broken.*").alias("broken"))
        for table in tables("silver")
    ]
    rows = reduce(DataFrame.union, frames).coalesce(2).collect()
    return {
        row["_case"]: (row.broken.rule, row.broken.reason) if row.broken.rule else None
        for row in rows
    }


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_row_is_set_aside_by_exactly_the_rule_it_breaks(
    verdicts: dict[str, tuple[str, str] | None], case: Case
) -> None:
    verdict = verdicts[case.name]
    if not case.rule:
        assert verdict is None
        return
    assert verdict is not None
    rule, reason = verdict
    assert rule == case.rule
    assert reason.split()[0] == case.column


@pytest.mark.parametrize("table", tables("silver"), ids=lambda table: str(table.name))
def test_no_rule_is_without_a_row_that_breaks_it(spark: SparkSession, table: Table) -> None:
    rules = [(rule.reason.split()[0], rule.name) for rule in contract_rules(table)]
    assert [(case.column, case.rule) for case in cases_of(table)[1:]] == rules


def test_a_reason_shows_the_shape_of_a_value_and_none_of_its_letters(spark: SparkSession) -> None:
    text = "\u00c9a \u00df1 \u0663!\u01c5\u96ea"
    shown = masked(F.lit(text), F.lit("text")).alias("shown")
    (row,) = spark.range(1).select(shown).collect()
    assert row.shown == 'a text of 10 characters like "Aa a9 9!aa"'
    assert shape_of(text) == "Aa a9 9!aa"
