"""What a gate found: its data classes, the table `ops.gate_results`, and the view for a terminal."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table as RichTable
from rich.text import Text

from cinelake.postgres import connect
from cinelake.settings import Settings

SHOWN_SAMPLES = 5


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
        sample: Up to 20 rows that broke it: key columns and the column in question. Empty for a rule that is a
            query of its own, of which Great Expectations hands over the number of rows alone.
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
        """True when no rule failed."""
        return not self.failures

    @property
    def failures(self) -> list[RuleResult]:
        """The rules that failed."""
        return [rule for rule in self.rules if not rule.success]

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
        )
        for rule in result.rules
    ]
    with connect(settings, "loader") as connection:
        connection.cursor().executemany(
            "insert into ops.gate_results (run_id, gate, table_name, rule, success, observed,"
            " expected, rows_checked) values (%s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )


def render(result: GateResult) -> RichTable:
    """The failed rules of a gate as a Rich table, a row a rule; without rows when it passed."""
    title = f"Gate {result.gate}: {len(result.failures)} of {len(result.rules)} rules failed"
    view = RichTable(title=title, show_lines=True)
    for heading in ("Table", "Rule", "Expected", "Observed"):
        view.add_column(heading, overflow="fold")
    view.add_column("Rows", justify="right")
    view.add_column("For example", overflow="fold")
    for rule in result.failures:
        # Text, because a value out of the data may look like Rich's markup.
        cells = (rule.table, rule.label, rule.expected, rule.observed)
        view.add_row(
            *(Text(cell) for cell in cells), f"{rule.unexpected_count:,}", Text(_examples(rule))
        )
    return view


def _examples(rule: RuleResult) -> str:
    shown = [
        ", ".join(f"{name}={value}" for name, value in row.items())
        for row in rule.sample[:SHOWN_SAMPLES]
    ]
    more = rule.unexpected_count - len(shown)
    return "\n".join([*shown, f"and {more:,} more"] if shown and more > 0 else shown)
