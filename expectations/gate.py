"""Runs Great Expectations: on an increment of the lake, or on `gold_next` inside PostgreSQL."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.data_context.file_data_context import FileDataContext
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.validator.v1_validator import Validator
from great_expectations.validator.validator import calc_validation_statistics

from cinelake.log import get_logger
from cinelake.masking import mask
from cinelake.settings import Settings
from expectations.batches import Batch, Pieces
from expectations.constraints import NOTHING_HELD, Held, held_in
from expectations.data_docs import data_docs_page, result_key
from expectations.frames import patterns_in_arrow
from expectations.gold import GOLD_TABLES, SCHEMA, gold_suites
from expectations.pieces import joined
from expectations.project import open_project
from expectations.query_rule import count_broken, found_rows, in_words
from expectations.results import GateResult, RuleResult
from expectations.sources import forget_rows, gold_batch, lake_batch
from expectations.suites import EXPECTED_ROWS, NOT_NULL, UNIQUE, suite_for
from lakehouse import ledger
from lakehouse.contract import Table

SAMPLE_ROWS = 20
"""Rows that broke a rule and are kept as examples."""
COUNTED = {"result_format": "BASIC", "partial_unexpected_count": SAMPLE_ROWS}
"""The keys of broken rows cost two more passes a rule, on Spark a job, even when none is broken."""

KEPT = "kept by a constraint"
"""What is observed of a rule that no row can break."""

log = get_logger("gate")


def run_lake_gate(
    settings: Settings, layer: Literal["bronze", "silver"], batches: Iterable[Batch], run_id: str
) -> GateResult:
    """Check batches of a layer against their contracts.

    Args:
        settings: `home` is used.
        layer: The layer, which names the gate.
        batches: At most one a table, each made when its turn comes; none at all passes.
        run_id: The refresh this belongs to.

    Returns:
        Every rule of every batch. A rule that could not be evaluated counts as failed.
    """
    started = time.monotonic()
    context = open_project(settings)
    rules: list[RuleResult] = []
    for batch in batches:
        result = _validate_batch(context, batch, run_id)
        page = data_docs_page(context, result)
        rows = _rows(result)
        rules += _rule_results(result, batch.table.full_name, batch.table.key, rows, page)
    return _gate_result(layer, run_id, started, rules)


def run_gold_gate(settings: Settings, run_id: str, expected_rows: Mapping[str, int]) -> GateResult:
    """Check `gold_next` where it is, in SQL.

    Args:
        settings: `home`, `postgres` and `gate_blocks` are used.
        run_id: The refresh this belongs to.
        expected_rows: Rows that each table with a rule `row_count` must have, by its name.

    Returns:
        Every rule of every table.

    Raises:
        GateFailedError: A table is not there.
        SettingError: `gate_blocks` names a rule that does not exist.
        KeyError: `expected_rows` lacks a table that has the rule.
    """
    started = time.monotonic()
    context = open_project(settings)
    suites = gold_suites(blocking=settings.gate_blocks)
    held = held_in(settings, SCHEMA)
    rules: list[RuleResult] = []
    for gold in GOLD_TABLES:
        asked, kept = _by_who_keeps_them(suites[gold.full_name], held.get(gold.name, NOTHING_HELD))
        definition = _definition(context, gold_batch(context, gold), asked)
        result = definition.run(
            run_id=_run(run_id),
            expectation_parameters=(
                {EXPECTED_ROWS: expected_rows[gold.name]} if gold.is_counted else {}
            ),
            result_format=_with_keys(gold.key),
        )
        page = data_docs_page(context, result)
        # Rules that are queries, or are kept by constraints, do not count.
        rows = _rows(result) or ledger.count_postgres(settings, SCHEMA, gold.name)
        rules += _rule_results(result, gold.full_name, gold.key, rows, page)
        rules += [_kept(rule, gold.full_name, rows, page) for rule in kept]
    return _gate_result("gold", run_id, started, rules)


def _by_who_keeps_them(
    suite: gx.ExpectationSuite, held: Held
) -> tuple[gx.ExpectationSuite, list[Expectation]]:
    """The rules that rows are asked for, and those that a constraint keeps."""
    split: tuple[list[Expectation], list[Expectation]] = ([], [])
    for rule in suite.expectations:
        columns = _columns(rule.configuration)
        is_kept = {
            NOT_NULL: set(columns) <= held.not_null,
            UNIQUE: frozenset(columns) in held.unique,
        }.get(rule.meta["rule"], False)
        split[is_kept].append(rule)
    return gx.ExpectationSuite(suite.name, expectations=split[False]), split[True]


def _kept(rule: Expectation, table: str, rows: int, page: str) -> RuleResult:
    """The result of a rule that a constraint keeps."""
    return RuleResult(
        table=table,
        rule=rule.meta["rule"],
        column=", ".join(_columns(rule.configuration)),
        success=True,
        observed=KEPT,
        expected=rule.meta["expected"],
        rows_checked=rows,
        severity=rule.meta["severity"],
        data_docs=page,
    )


def _validate_batch(
    context: FileDataContext, batch: Batch, run_id: str
) -> ExpectationSuiteValidationResult:
    suite = suite_for(batch.table)
    data = lake_batch(context, batch.table, batch.frame)
    definition = _definition(context, data, suite)
    run = _run(run_id)
    try:
        if isinstance(batch.frame, Pieces):
            result = _validate_pieces(data, batch.table, batch.frame)
            result.meta |= {"run_id": run, "validation_time": run.run_time}
            context.validation_results_store.set(result_key(result), result)
            return result
        # Of the same run, so that the second result, with keys, takes the place of the first.
        validate = partial(definition.run, run_id=run, batch_parameters={"dataframe": batch.frame})
        if isinstance(batch.frame, pd.DataFrame):
            return _validate_frame(batch.table, batch.frame, validate)
        return validate(result_format=COUNTED)
    finally:
        forget_rows(data)


def _validate_frame(
    table: Table, frame: pd.DataFrame, validate: Callable[..., ExpectationSuiteValidationResult]
) -> ExpectationSuiteValidationResult:
    """Check rows that are in memory; only where a rule is broken by which of them."""
    patterns = [
        (rule.column, rule.regex)
        for rule in suite_for(table).expectations
        if isinstance(rule, gxe.ExpectColumnValuesToMatchRegex)
    ]
    with patterns_in_arrow(frame, patterns):
        result = validate(result_format=COUNTED)
        return result if result.success else validate(result_format=_with_keys(_names(table)))


def _validate_pieces(
    data: BatchDefinition, table: Table, pieces: Pieces
) -> ExpectationSuiteValidationResult:
    """Check rows a piece at a time, but for their keys."""

    def validated(
        rules: gx.ExpectationSuite, frame: pd.DataFrame
    ) -> ExpectationSuiteValidationResult:
        def validate(result_format: dict[str, Any]) -> ExpectationSuiteValidationResult:
            with_rows = Validator(data, result_format, {"dataframe": frame})
            return with_rows.validate_expectation_suite(rules)

        try:
            return _validate_frame(table, frame, validate)
        finally:
            forget_rows(data)

    of_rows, of_all = _by_what_they_need(table)
    total: list[ExpectationValidationResult] = []
    # A loop over the pieces would hold on to each until it has the next.
    for found in map(partial(validated, of_rows), pieces.read(table.column_names)):
        pairs = zip(total, found.results, strict=True)
        total = [joined(*pair, SAMPLE_ROWS) for pair in pairs] if total else found.results
    unique = {column.name for column in table.columns if column.unique}
    result = validated(of_all, pieces.whole([*dict.fromkeys([*_names(table), *unique])]))
    result.results = [*total, *result.results]
    counted = calc_validation_statistics(result.results)._asdict()
    result.success = counted.pop("success")
    result.statistics = counted
    return result


def _by_what_they_need(table: Table) -> tuple[gx.ExpectationSuite, gx.ExpectationSuite]:
    """The rules that look at a row at a time, and those that look at the keys of all."""
    split: tuple[list[Any], list[Any]] = ([], [])
    for rule in suite_for(table).expectations:
        split[rule.meta["rule"] == UNIQUE].append(rule)
    of_rows, of_all = (gx.ExpectationSuite(table.full_name, expectations=each) for each in split)
    return of_rows, of_all


def _names(table: Table) -> list[str]:
    """What a broken row is known by: the key, and the event it comes from where the table has it."""
    wanted = {*table.key, "event_id"}
    return [name for name in table.column_names if name in wanted]


def _with_keys(key: Iterable[str]) -> dict[str, Any]:
    return {
        "result_format": "SUMMARY",
        "partial_unexpected_count": SAMPLE_ROWS,
        "unexpected_index_column_names": list(key),
    }


def _definition(
    context: FileDataContext, data: BatchDefinition, suite: gx.ExpectationSuite
) -> gx.ValidationDefinition:
    stored = context.suites.add_or_update(suite)
    return context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=suite.name, data=data, suite=stored)
    )


def _run(run_id: str) -> RunIdentifier:
    return RunIdentifier(run_name=run_id, run_time=datetime.now(UTC))


def _gate_result(gate: str, run_id: str, started: float, rules: Sequence[RuleResult]) -> GateResult:
    result = GateResult(gate, run_id, time.monotonic() - started, tuple(rules))
    log.info(
        "gate",
        gate=gate,
        rules=len(rules),
        failed=len(result.failures),
        warnings=len(result.warnings),
        seconds=round(result.seconds, 2),
    )
    for rule in result.warnings:
        log.warning(
            "unusual",
            table=rule.table,
            rule=rule.label,
            observed=rule.observed,
            expected=rule.expected,
        )
    return result


def _rows(validated: ExpectationSuiteValidationResult) -> int:
    """How many rows a suite was asked of, by the rule that has looked at the most."""
    return max((found.result.get("element_count") or 0 for found in validated.results), default=0)


def _rule_results(
    validated: ExpectationSuiteValidationResult,
    table: str,
    key: Sequence[str],
    rows: int,
    page: str,
) -> list[RuleResult]:
    return [_rule_result(result, table, key, rows, page) for result in validated.results]


def _rule_result(
    result: ExpectationValidationResult, table: str, key: Sequence[str], rows: int, page: str
) -> RuleResult:
    config = result.expectation_config
    assert config is not None, "a validated expectation has its configuration"
    column = ", ".join(_columns(config))
    return RuleResult(
        table=table,
        rule=config.meta["rule"],
        column=column,
        success=bool(result.success),
        observed=_observed(result),
        expected=config.meta["expected"],
        rows_checked=rows,
        unexpected_count=_unexpected_count(result),
        sample=_sample(result, column, key),
        severity=config.meta["severity"],
        data_docs=page,
    )


def _columns(config: ExpectationConfiguration) -> list[str]:
    """What a rule is about; one empty name of a rule of the whole table."""
    listed: list[str] | None = config.kwargs.get("column_list")
    return listed or [config.kwargs.get("column") or config.meta.get("column", "")]


def _observed(result: ExpectationValidationResult) -> str:
    if message := _exception(result.exception_info):
        return f"could not be checked: {mask(message)}"
    found = result.result
    if "unexpected_count" in found:
        # Of no rows, PostgreSQL's sums and Spark's counts are null.
        broken, rows = (found[name] or 0 for name in ("unexpected_count", "element_count"))
        return f"{broken:,} of {rows:,} rows break it"
    missing = found.get("details", {}).get("mismatched", {}).get("missing")
    if missing:
        return f"{', '.join(missing)} missing"
    rows = found_rows(result)
    if rows is not None:
        return in_words(result, rows)
    observed = found.get("observed_value")
    return f"{len(observed)} columns" if isinstance(observed, list) else str(observed)


def _exception(info: Mapping[str, Any]) -> str:
    """The message of an error met while evaluating; Great Expectations gives one, or one a metric."""
    for found in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if found.get("raised_exception"):
            # What follows is the whole statement and its stack.
            return str(found.get("exception_message")).partition("\n")[0]
    return ""


def _unexpected_count(result: ExpectationValidationResult) -> int:
    rows = found_rows(result)
    if rows is not None:
        return count_broken(result, rows)
    return int(result.result.get("unexpected_count") or 0)


def _sample(
    result: ExpectationValidationResult, column: str, key: Sequence[str]
) -> tuple[dict[str, Any], ...]:
    found = result.result
    of_query = found_rows(result)
    if of_query is not None:
        # What sums up tells of no single row.
        return tuple(
            {name: _plain(value) for name, value in row.items()}
            for row in of_query[:SAMPLE_ROWS]
            if set(key) <= row.keys()
        )
    rows = found.get("partial_unexpected_index_list")
    if rows:
        return tuple(
            {
                name: _plain(row[name])
                for name in sorted(row, key=lambda name: (name not in key, name))
            }
            for row in rows[:SAMPLE_ROWS]
        )
    values = found.get("partial_unexpected_list") or []
    return tuple(
        {name: _plain(part) for name, part in row.items()}
        for value in values[:SAMPLE_ROWS]
        for row in (value if isinstance(value, dict) else {column: value},)
    )


def _plain(value: Any) -> Any:
    """A value of a frame as JSON knows it: a number of Python's, None for every kind of null, infinity as a word."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
