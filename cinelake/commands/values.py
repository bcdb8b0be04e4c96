"""How commands read times, and how they write values for people and for scripts."""

import sys
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cinelake.console import out
from cinelake.harmless import harmless
from cinelake.strict_json import strict_json

Json = Annotated[bool, typer.Option("--json", help="Machine-readable, for scripts.")]

MOMENT_FORMATS = [
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
]
"""Times that an option takes; one without a zone is UTC."""


def as_utc(moment: datetime | None) -> datetime | None:
    """The time with its zone."""
    if moment is None or moment.tzinfo:
        return moment
    return moment.replace(tzinfo=UTC)


def write_json(facts: Any) -> None:
    """Write facts to standard output; times as the rest of our JSON writes them."""
    sys.stdout.write(strict_json(facts, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    from ingestion.events import iso_utc

    if isinstance(value, datetime):
        return iso_utc(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def say_refused(count: int) -> None:
    """Say how many records Kafka will never take; nothing where there are none."""
    if count:
        out.print(f"{count:,} refused by Kafka; `cinelake quarantine ls` tells which and why.")


def shown(value: Any) -> str:
    """A value for the screen: a time to the second, a dash for none, and nothing that steers the terminal."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return harmless(str(value))


def show_rows(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Show rows as a table."""
    from rich.text import Text

    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(row[name])) for name in columns))
    out.print(table)


def show_facts(title: str, facts: dict[str, Any]) -> None:
    """Show one thing, a line a fact."""
    out.print(title, style="bold", highlight=False)
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        line = f"  {name:{width}}  {shown(value)}"
        out.print(line, highlight=False, soft_wrap=True)
