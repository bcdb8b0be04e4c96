"""The pages of the catalogue: every table with its meaning, its rules and how they fared, a sample, and its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from markupsafe import Markup

from docs_site.pages import render

State = Literal["passed", "failed", "unusual", "not checked"]

LAYERS = (
    ("bronze", "Bronze", "Messages as they came, with their place in Kafka."),
    ("silver", "Silver", "Clean rows, each event counted once, enriched and held to a contract."),
    ("gold", "Gold", "The star schema and its marts, which analysts query."),
)
"""Layer, title and meaning, in the order of the flow."""


NO_PICTURE = Markup()


@dataclass(frozen=True)
class ColumnPage:
    """A line of a table's columns.

    Args:
        name: Its name.
        type: Its type, in the words of the layer.
        description: What it means.
        notes: What else holds, in a few words each: `key`, `not null`, `one of a, b`.
        classification: What its values tell of people, `public` for nothing.
    """

    name: str
    type: str
    description: str
    notes: tuple[str, ...] = ()
    classification: str = ""


@dataclass(frozen=True)
class RulePage:
    """A rule of a table, and how it fared when it was last checked.

    Args:
        rule: For example `not_null(event_id)`.
        expected: What it asks for.
        state: How it fared.
        observed: What was found; empty when it was not checked.
        rows: Rows that were checked.
        validation: The page of Data Docs, from their folder; empty when there is none.
    """

    rule: str
    expected: str
    state: State
    observed: str = ""
    rows: int = 0
    validation: str = ""


@dataclass(frozen=True)
class Sample:
    """A few rows of a table.

    Args:
        columns: Names.
        rows: Values; those of columns that are not public are left out by whoever collected them.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class TablePage:
    """All that is known of a table.

    Args:
        name: `<layer>.<table>`.
        purpose: What it is for.
        grain: What a row is; empty where the purpose says it.
        owner: Whose concern it is.
        version: Of its contract; empty for gold, whose models have none.
        rows: How many it holds; None when analysts may not read it, or it is not there yet.
        freshness: What it promises and how old it is, in words; empty when it promises nothing.
        columns: In their order.
        rules: Of the gate.
        checked_at: When the gate last checked it, UTC; None for never.
        tests: What dbt tests in each refresh, in words.
        sample: A few rows.
        sources: Full names of the tables it is made of.
        targets: Full names of the tables that are made of it.
        neighbourhood: The picture of both.
    """

    name: str
    purpose: str
    grain: str
    owner: str
    version: str
    rows: int | None
    freshness: str
    columns: tuple[ColumnPage, ...]
    rules: tuple[RulePage, ...] = ()
    checked_at: datetime | None = None
    tests: tuple[str, ...] = ()
    sample: Sample = Sample((), ())
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    neighbourhood: Markup = NO_PICTURE

    @property
    def layer(self) -> str:
        """`bronze`, `silver` or `gold`."""
        return self.name.partition(".")[0]

    @property
    def path(self) -> str:
        """Its page, from the site's folder."""
        return table_path(self.name)

    @property
    def state(self) -> State:
        """The worst that a rule says."""
        states = {rule.state for rule in self.rules}
        order: tuple[State, ...] = ("failed", "unusual", "passed")
        return next((state for state in order if state in states), "not checked")

    @property
    def words(self) -> str:
        """What the search looks through, in lower case."""
        described = (f"{column.name} {column.description}" for column in self.columns)
        return " ".join([self.name, self.purpose, self.grain, self.owner, *described]).lower()


def table_path(name: str) -> str:
    """The page of a table, from the site's folder.

    Args:
        name: `<layer>.<table>`.
    """
    return f"tables/{name}.html"


def render_catalogue(tables: Sequence[TablePage], generated_at: datetime) -> dict[str, str]:
    """Render the pages of the catalogue.

    Args:
        tables: All of them.
        generated_at: When the facts were collected, UTC.

    Returns:
        HTML by path: `catalogue.html` and a page a table.
    """
    known = {table.name for table in tables}
    pages = {
        table.path: render(
            "table.html", table.path, generated_at, "catalogue.html", table=table, known=known
        )
        for table in tables
    }
    groups = [
        (title, meaning, [table for table in tables if table.layer == layer])
        for layer, title, meaning in LAYERS
    ]
    pages["catalogue.html"] = render(
        "catalogue.html", "catalogue.html", generated_at, groups=groups
    )
    return pages
