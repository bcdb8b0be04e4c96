"""A rule that is a query of its own: it hands over the rows that the query found, by which people see what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.expectations.core import UnexpectedRowsExpectation

BROKEN_ROWS = "broken_rows"
"""The column of a query that sums up: of each row it found, how many rows of the table break the rule."""
SHOWN = 3
"""Rows of a summary that are told in words."""


class QueryRule(UnexpectedRowsExpectation):  # type: ignore[misc]
    """As Great Expectations' own, which reads the rows and keeps nothing but their number."""

    def _validate(self, metrics: dict[str, Any], *others: Any, **options: Any) -> Any:
        validated = super()._validate(metrics, *others, **options)
        rows = metrics["unexpected_rows_query.table"]
        validated["result"] |= {"details": {"unexpected_rows": rows}}
        return validated


def found_rows(result: ExpectationValidationResult) -> list[Mapping[str, Any]] | None:
    """The rows that the query of a rule has found; None of any other rule."""
    config = result.expectation_config
    if config is None or config.type != "query_rule":
        return None
    rows: list[Mapping[str, Any]] = result.result.get("details", {}).get("unexpected_rows", [])
    return rows


def count_broken(result: ExpectationValidationResult, rows: Sequence[Mapping[str, Any]]) -> int:
    """How many rows of the table break a rule, by the rows that its query has found."""
    if rows and BROKEN_ROWS in rows[0]:
        return sum(int(row[BROKEN_ROWS]) for row in rows)
    return int(result.result.get("observed_value") or 0)


def in_words(result: ExpectationValidationResult, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the query of a rule has found: how many rows break it, and what a query that sums up says of them."""
    config = result.expectation_config
    meta = config.meta if config is not None else {}
    if rows and "broken" in meta:
        return str(meta["broken"])
    told = f"{count_broken(result, rows):,} rows break it"
    if not rows or BROKEN_ROWS not in rows[0]:
        return told
    said = [
        ", ".join(f"{name} {value}" for name, value in row.items() if name != BROKEN_ROWS)
        for row in rows[:SHOWN]
    ]
    more = [f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return f"{told}: {'; '.join([*said, *more])}"
