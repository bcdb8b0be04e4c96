"""What a failed gate shows on a terminal."""

import io

import pytest
import yaml
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from rich.console import Console

from expectations.advice import ADVICE, PRODUCT_MARTS, owner_of
from expectations.gold import gold_suites
from expectations.query_rule import BROKEN_ROWS, QueryRule, count_broken, found_rows, in_words
from expectations.results import GateResult, RuleResult, render, trace_command
from expectations.suites import rule_meta, suite_for
from expectations.trends import trend_expectations
from lakehouse.contract import tables
from pipeline.dbt import DBT_PROJECT


def shown(result: GateResult) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(result))
    return console.export_text()


def rule(**fields: object) -> RuleResult:
    known: dict[str, object] = {
        "table": "silver.ratings",
        "rule": "range",
        "column": "rating",
        "success": False,
        "observed": "1,203 of 5,000 rows break it",
        "expected": "at least 0.5, at most 10",
        "rows_checked": 5000,
        "unexpected_count": 1203,
        "sample": tuple({"user_id": f"u{n}", "rating": 11} for n in range(20)),
    }
    return RuleResult(**(known | fields))  # type: ignore[arg-type]


def test_a_failed_rule_is_a_row_with_examples_and_how_many_more() -> None:
    text = shown(GateResult("silver", "run", 0.1, (rule(), rule(success=True, table="hidden"))))
    assert "Gate silver: 1 of 2 rules failed" in text
    for part in ("silver.ratings", "range(rating)", "at least 0.5", "1,203 of 5,000", "u0", "u19"):
        assert part in text
    assert "and 1,183 more" in text
    assert "u20" not in text
    assert "hidden" not in text


def test_each_rule_that_failed_says_once_what_to_do_and_whose_concern_it_is() -> None:
    stale = rule(table="gold.fact_user_event", rule="freshness", column="", severity="warn")
    text = " ".join(shown(GateResult("silver", "run", 0.1, (rule(), rule(), stale))).split())
    assert text.count("range (data-platform): If the bound is wrong") == 1
    assert "freshness (data-platform): See whether the producers send" in text
    assert "2 of 3 rules failed, 1 warn" in text


def test_every_rule_of_every_suite_has_advice() -> None:
    suites = [suite_for(each) for layer in ("bronze", "silver") for each in tables(layer)]
    rules = {
        expectation.meta["rule"]
        for suite in [*suites, *gold_suites().values()]
        for expectation in suite.expectations
    }
    assert rules == ADVICE.keys()


def test_the_owners_of_gold_are_those_of_its_groups() -> None:
    product = (DBT_PROJECT / "models/marts/product").glob("*.sql")
    assert {f"gold.{model.stem}" for model in product} == PRODUCT_MARTS
    groups = yaml.safe_load((DBT_PROJECT / "models/_groups.yml").read_text())["groups"]
    owners = {group["name"]: group["owner"]["name"] for group in groups}
    assert owner_of("gold.ratings") == owners["core"]
    assert owner_of("gold.movie_daily") == owners["product"]


def test_a_value_that_looks_like_markup_is_shown_as_it_is() -> None:
    evil = rule(sample=({"name": "[bold red]boo[/] [link=x]"},), unexpected_count=1)
    assert "name=[bold red]boo[/] [link=x]" in shown(GateResult("silver", "run", 0.1, (evil,)))


def test_a_gate_that_passed_has_no_rows() -> None:
    passed = GateResult("gold", "run", 0.1, (rule(success=True),))
    assert passed.passed
    assert "0 of 1 rules failed" in shown(passed)
    assert "rating" not in shown(passed)


def test_a_rule_of_a_whole_table_has_no_empty_brackets() -> None:
    assert rule(column="").label == "range"
    text = shown(GateResult("g", "r", 0.1, (rule(column="", sample=(), expected="x"),)))
    assert "()" not in text
    assert "more" not in text


def test_a_row_is_traced_by_its_event_and_only_else_by_its_movie() -> None:
    movie = rule(sample=({"movie_id": 13}, {"movie_id": 14}))
    event = rule(sample=({"event_id": None}, {"event_id": "e1", "movie_id": 15}))
    assert trace_command([movie, event]) == "cinelake trace e1"
    assert trace_command([rule(), movie]) == "cinelake trace movie 13"
    assert trace_command([rule()]) is None


def a_query_found(*rows: dict[str, object], **meta: str) -> ExpectationValidationResult:
    rule = QueryRule(
        unexpected_rows_query="select 1 from {batch}",
        meta=rule_meta("gold.x", "freshness", "") | meta,
    )
    found = {"observed_value": len(rows), "details": {"unexpected_rows": list(rows)}}
    return ExpectationValidationResult(
        success=not rows, expectation_config=rule.configuration, result=found
    )


@pytest.mark.parametrize(
    ("rows", "meta", "count", "told"),
    [
        ([], {}, 0, "0 rows break it"),
        ([{"movie_id": 1}, {"movie_id": 2}], {}, 2, "2 rows break it"),
        ([{"newest": "today", BROKEN_ROWS: 151_944}], {}, 151_944,
         "151,944 rows break it: newest today"),
        ([{"day": n, BROKEN_ROWS: 50 + n} for n in range(5)], {}, 260,
         "260 rows break it: day 0; day 1; day 2; and 2 more"),
        ([{"unknown_members": 0}], {"broken": "none, or more than one"}, 1,
         "none, or more than one"),
    ],
)  # fmt: skip
def test_a_rule_that_is_a_query_counts_every_row_that_breaks_it(
    rows: list[dict[str, object]], meta: dict[str, str], count: int, told: str
) -> None:
    result = a_query_found(*rows, **meta)
    found = found_rows(result)
    assert found is not None
    assert (count_broken(result, found), in_words(result, found)) == (count, told)


def test_every_trend_counts_the_rows_that_break_it() -> None:
    for rule in trend_expectations("gold.fact_user_event"):
        assert f"as {BROKEN_ROWS}" in rule.unexpected_rows_query, rule.meta["rule"]
