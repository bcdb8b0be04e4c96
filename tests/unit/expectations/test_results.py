"""What a failed gate shows on a terminal."""

import io

from rich.console import Console

from expectations.results import GateResult, RuleResult, render, trace_command


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
    assert "hidden" not in text


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
    assert "and" not in shown(GateResult("g", "r", 0.1, (rule(sample=(), expected="x"),))).lower()


def test_a_row_is_traced_by_its_event_and_only_else_by_its_movie() -> None:
    movie = rule(sample=({"movie_id": 13}, {"movie_id": 14}))
    event = rule(sample=({"event_id": None}, {"event_id": "e1", "movie_id": 15}))
    assert trace_command([movie, event]) == "cinelake trace e1"
    assert trace_command([rule(), movie]) == "cinelake trace movie 13"
    assert trace_command([rule()]) is None
