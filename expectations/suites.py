"""Expectation suites of the lake's tables, read off their contracts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from expectations.results import Severity
from lakehouse.contract import (
    UUID_PATTERN,
    Column,
    Limit,
    PhysicalType,
    Table,
    limit_in_words,
)

ENGINE_TYPES: dict[PhysicalType, list[str]] = {
    "bigint": ["LongType", "int64", "float64"],
    "int": ["IntegerType", "int64", "int32", "float64"],
    "double": ["DoubleType", "float64"],
    "boolean": ["BooleanType", "BooleanDtype", "bool"],
}
"""What a column's type is called in Spark and in the frames of `frame_from_arrow`.

Integers with nulls are float64 there. Texts, dates and bytes have no rule: in pandas they would be checked value by
value, and Delta enforces the contract's types when it writes.
"""

UNIQUE = "unique"
"""The name of the rules that look at the keys of all rows together."""

NOT_NULL = "not_null"
"""The name of the rules that every row has a value."""

UNKNOWN_KEY = -1
"""The key of the member that facts point to while their dimension is not there yet."""

EXPECTED_ROWS = "expected_rows"
"""The parameter that a run gives to the rule `row_count`."""


def suite_for(table: Table) -> gx.ExpectationSuite:
    """The suite of a bronze or silver table: one expectation a rule of its contract.

    Args:
        table: The contract.

    Returns:
        A suite named `<layer>.<table>`; each expectation's `meta` names contract, rule, severity and, in words,
        what is expected.
    """
    return gx.ExpectationSuite(name=table.full_name, expectations=list(_expectations(table)))


def rule_meta(
    contract: str, rule: str, expected: str, severity: Severity = "block"
) -> dict[str, Any]:
    """The `meta` by which a result is traced back to its rule.

    Args:
        contract: For example `silver.events 1.0.0`.
        rule: For example `not_null`.
        expected: What a person should read, for example `no nulls`.
        severity: What happens when it fails.
    """
    return {"contract": contract, "rule": rule, "severity": severity, "expected": expected}


def row_count_expectation(contract: str) -> Expectation:
    """The table holds exactly as many rows as the run's parameter `expected_rows` says."""
    return gxe.ExpectTableRowCountToEqual(
        value={"$PARAMETER": EXPECTED_ROWS},
        meta=rule_meta(contract, "row_count", "as many rows as the layer before"),
    )


def columns_expectation(contract: str, names: list[str]) -> Expectation:
    """The table has all these columns; others (of the change feed, of a later contract) do not matter."""
    return gxe.ExpectTableColumnsToMatchSet(
        column_set=names,
        exact_match=False,
        meta=rule_meta(contract, "columns_exist", f"{len(names)} columns"),
    )


def key_expectation(contract: str, key: list[str]) -> Expectation:
    """No two rows share a key of one or several columns."""
    meta = rule_meta(contract, UNIQUE, "no duplicates")
    if len(key) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=key[0], meta=meta)
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=key, meta=meta)


def not_null_expectation(contract: str, column: str) -> Expectation:
    """Every row has a value."""
    return gxe.ExpectColumnValuesToNotBeNull(
        column=column, meta=rule_meta(contract, NOT_NULL, "no nulls")
    )


def values_expectation(contract: str, column: str, values: list[str]) -> Expectation:
    """Every value is one of a list; null is the concern of `not_null`."""
    return gxe.ExpectColumnValuesToBeInSet(
        column=column,
        value_set=values,
        meta=rule_meta(contract, "valid_values", f"one of {', '.join(values)}"),
    )


def range_expectation(
    contract: str, column: str, minimum: Limit | None, maximum: Limit | None
) -> Expectation:
    """Every value lies between the limits, which are allowed themselves; None is no limit."""
    limits = [
        f"{word} {limit_in_words(limit)}"
        for word, limit in (("at least", minimum), ("at most", maximum))
        if limit is not None
    ]
    return gxe.ExpectColumnValuesToBeBetween(
        column=column,
        min_value=_comparable(minimum),
        max_value=_comparable(maximum),
        meta=rule_meta(contract, "range", ", ".join(limits)),
    )


def _comparable(limit: Limit | None) -> float | datetime | None:
    """A limit as the frames of `frame_from_arrow` have its values, in which dates are times."""
    if isinstance(limit, date) and not isinstance(limit, datetime):
        return datetime.combine(limit, time.min, UTC)
    return limit


def _expectations(table: Table) -> Iterator[Expectation]:
    contract = f"{table.full_name} {table.version}"
    yield columns_expectation(contract, table.column_names)
    for column in table.columns:
        yield from _column_expectations(contract, column)
    if table.key:
        yield key_expectation(contract, table.key)


def _column_expectations(contract: str, column: Column) -> Iterator[Expectation]:
    if column.required:
        yield not_null_expectation(contract, column.name)
    if column.type in ENGINE_TYPES:
        yield gxe.ExpectColumnValuesToBeInTypeList(
            column=column.name,
            type_list=ENGINE_TYPES[column.type],
            meta=rule_meta(contract, "type", column.type),
        )
    if column.unique:
        yield key_expectation(contract, [column.name])
    if column.valid_values:
        yield values_expectation(contract, column.name, list(column.valid_values))
    if column.minimum is not None or column.maximum is not None:
        yield range_expectation(contract, column.name, column.minimum, column.maximum)
    if column.max_length is not None:
        yield gxe.ExpectColumnValueLengthsToBeBetween(
            column=column.name,
            max_value=column.max_length,
            meta=rule_meta(contract, "length", f"at most {column.max_length} characters"),
        )
    if column.pattern:
        yield _pattern_expectation(contract, "pattern", column.name, column.pattern)
    if column.is_uuid:
        yield _pattern_expectation(contract, "uuid", column.name, UUID_PATTERN)


def _pattern_expectation(contract: str, rule: str, column: str, pattern: str) -> Expectation:
    expected = "a lower-case UUID" if rule == "uuid" else f"matches {pattern}"
    return gxe.ExpectColumnValuesToMatchRegex(
        column=column, regex=pattern, meta=rule_meta(contract, rule, expected)
    )
