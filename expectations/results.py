"""What a gate found: its data classes, the table `ops.gate_results`, and the view for a terminal."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from psycopg.rows import dict_row
from rich.table import Table as RichTable
from rich.text import Text

from cinelake.postgres import connect
from cinelake.settings import Settings
from expectations.advice import ADVICE, owner_of

DATA_DOCS = "uncommitted/data_docs/local_site"
"""Where a project of Great Expectations has its Data Docs."""
Severity = Literal["block", "quarantine", "warn"]
"""What a rule that fails does: it stops the run; it stops it because too many rows are in quarantine; it is told."""


@dataclass(frozen=True)
class RuleResult:
    """How one rule of one table fared.

    Args:
        table: `<layer>.<table>`.
        rule: The rule's name, for example `not_null`.
        column: The column or columns it is about; empty for a rule of the whole table.
        success: Whether the data kept it.
        observed: What was found, in words.
        expected: What the rule asks for, in words.
        rows_checked: Rows of the batch.
        unexpected_count: Rows that broke it; 0 for a rule that does not look at rows.
        sample: Up to 20 rows that broke it: key columns, the event they come from where the table has it, and the
            column in question. Empty for a rule that is a query of its own and sums up, as a trend does.
        severity: What happens when the data broke it.
        data_docs: The page in Data Docs of the validation of this table, below their folder; empty of a result
            that was kept before pages were. It is there once they were built, for as long as they hold the run.
    """

    table: str
    rule: str
    column: str
    success: bool
    observed: str
    expected: str
    rows_checked: int
    unexpected_count: int = 0
    sample: tuple[dict[str, Any], ...] = ()
    severity: Severity = "block"
    data_docs: str = ""

    @property
    def label(self) -> str:
        """Rule and column in one word, for example `not_null(event_id)`."""
        return f"{self.rule}({self.column})" if self.column else self.rule


@dataclass(frozen=True)
class GateResult:
    """The outcome of one gate.

    Args:
        gate: `bronze`, `silver` or `gold`.
        run_id: The refresh it belongs to.
        seconds: Wall time.
        rules: Every rule of every batch, in the order they ran.
    """

    gate: str
    run_id: str
    seconds: float
    rules: tuple[RuleResult, ...]

    @property
    def passed(self) -> bool:
        """True when no rule failed that stops a run."""
        return not self.failures

    @property
    def failures(self) -> list[RuleResult]:
        """The rules that failed and stop the run."""
        return [rule for rule in self.rules if not rule.success and rule.severity != "warn"]

    @property
    def warnings(self) -> list[RuleResult]:
        """The rules that failed and are only told."""
        return [rule for rule in self.rules if not rule.success and rule.severity == "warn"]

    def by_table(self) -> list[tuple[str, int, int]]:
        """Table, rules checked and rules failed, in the order they ran."""
        names = dict.fromkeys(rule.table for rule in self.rules)
        return [
            (
                name,
                sum(rule.table == name for rule in self.rules),
                sum(rule.table == name for rule in self.failures),
            )
            for name in names
        ]


@dataclass(frozen=True)
class KeptResult:
    """The outcome of a gate as `ops.gate_results` keeps it.

    Args:
        recorded_at: When it was kept, UTC.
        result: The outcome; its rules in the order of their tables' names.
    """

    recorded_at: datetime
    result: GateResult


def data_docs_folder(settings: Settings) -> Path:
    """Where Great Expectations writes Data Docs."""
    return settings.home / "gx" / DATA_DOCS


def save_results(settings: Settings, result: GateResult) -> None:
    """Append a gate's rules to `ops.gate_results`.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    rows = [
        (
            result.run_id,
            result.gate,
            rule.table,
            rule.label,
            rule.success,
            rule.observed,
            rule.expected,
            rule.rows_checked,
            rule.unexpected_count,
            json.dumps(rule.sample, default=str),
            result.seconds,
            rule.severity,
            rule.data_docs,
        )
        for rule in result.rules
    ]
    with connect(settings, "loader") as connection:
        connection.cursor().executemany(
            "insert into ops.gate_results (run_id, gate, table_name, rule, success, observed,"
            " expected, rows_checked, unexpected_count, sample, gate_seconds, severity, data_docs)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )


def load_results(settings: Settings, run_id: str | None = None) -> list[KeptResult]:
    """What the gates of a run found, or each gate when it last had something to check.

    Args:
        settings: Tells where PostgreSQL is.
        run_id: The run; None for the last one of each gate.

    Returns:
        At most one a gate, by the time at which it ran; a gate that had nothing to check is not among them.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    query = """
        select *
        from ops.gate_results
        where (gate, run_id) in (
            select
                known.gate,
                (
                    select latest.run_id
                    from ops.gate_results as latest
                    where
                        latest.gate = known.gate
                        and (latest.run_id = %(run_id)s or %(run_id)s::text is null)
                    order by latest.recorded_at desc
                    limit 1
                )
            from (values ('bronze'), ('silver'), ('gold')) as known (gate)
        )
        order by recorded_at, gate, table_name, rule
    """
    by_gate = _grouped(settings, "gate", query, {"run_id": run_id})
    return [_kept(of_gate) for _, of_gate in by_gate]


def load_last_checks(settings: Settings) -> dict[str, KeptResult]:
    """What each table's gate found when it last had rows of the table to check.

    Args:
        settings: Tells where PostgreSQL is.

    Returns:
        By the table's full name; the rules of each are those of the table alone.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    query = """
        select *
        from ops.gate_results
        where (table_name, run_id) in (
            select distinct on (table_name) table_name, run_id
            from ops.gate_results
            order by table_name, recorded_at desc
        )
        order by table_name, rule
    """
    by_table = _grouped(settings, "table_name", query)
    return {name: _kept(of_table) for name, of_table in by_table}


def _grouped(
    settings: Settings, column: str, query: str, parameters: dict[str, Any] | None = None
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The rows of a query with those of one value of a column together, in the query's order."""
    with connect(settings, "loader") as connection:
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute(query.encode(), parameters).fetchall()
    return [(value, list(group)) for value, group in groupby(rows, lambda row: row[column])]


def _kept(rows: list[dict[str, Any]]) -> KeptResult:
    first = rows[0]
    rules = tuple(_rule_of(row) for row in rows)
    result = GateResult(first["gate"], first["run_id"], first["gate_seconds"], rules)
    return KeptResult(first["recorded_at"].astimezone(UTC), result)


def _rule_of(row: dict[str, Any]) -> RuleResult:
    rule, _, column = row["rule"].partition("(")
    return RuleResult(
        row["table_name"],
        rule,
        column.removesuffix(")"),
        row["success"],
        row["observed"],
        row["expected"],
        row["rows_checked"],
        row["unexpected_count"],
        tuple(row["sample"]),
        row["severity"],
        row["data_docs"],
    )


def trace_command(rules: Iterable[RuleResult]) -> str | None:
    """The command that follows one of the rows that broke a rule: an event where there is one, else a movie."""
    rows = [row for rule in rules for row in rule.sample]
    for name, kind in (("event_id", ""), ("movie_id", "movie ")):
        for row in rows:
            if row.get(name) is not None:
                return f"cinelake trace {kind}{row[name]}"
    return None


def render(result: GateResult) -> RichTable:
    """The failed rules of a gate and its warnings as a Rich table, a row a rule; without rows when there are none.

    Below it stands for each of them what to do, and whose concern it is.
    """
    title = f"Gate {result.gate}: {len(result.failures)} of {len(result.rules)} rules failed"
    if result.warnings:
        title += f", {len(result.warnings)} warn"
    view = RichTable(title=title, show_lines=True)
    for heading in ("Table", "Rule", "Expected", "Observed"):
        view.add_column(heading, overflow="fold")
    view.add_column("Rows", justify="right")
    view.add_column("For example", overflow="fold")
    broken = [*result.failures, *result.warnings]
    for rule in broken:
        # Text, because a value out of the data may look like Rich's markup.
        cells = (rule.table, rule.label, rule.expected, rule.observed)
        view.add_row(
            *(Text(cell) for cell in cells), f"{rule.unexpected_count:,}", Text(_examples(rule))
        )
    advice = [f"{rule.rule} ({owner_of(rule.table)}): {ADVICE[rule.rule]}" for rule in broken]
    view.caption = Text("\n".join(dict.fromkeys(advice)), justify="left")
    return view


def _examples(rule: RuleResult) -> str:
    shown = [", ".join(f"{name}={value}" for name, value in row.items()) for row in rule.sample]
    more = rule.unexpected_count - len(shown)
    return "\n".join([*shown, f"and {more:,} more"] if shown and more > 0 else shown)
