"""What every page of the site shares: the templates, the navigation, and how figures and times are written."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from cinelake.harmless import in_xml
from docs_site.lineage import column_id
from docs_site.policy import OWN

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Place:
    """An entry of the navigation.

    Args:
        path: The page, from the site's folder.
        title: What the navigation calls it.
    """

    path: str
    title: str


NAVIGATION = (
    Place("index.html", "Home"),
    Place("explore.html", "Explore"),
    Place("catalogue.html", "Catalogue"),
    Place("lineage.html", "Lineage"),
    Place("guides/runbook.html", "Runbook"),
    Place("guides/index.html", "Guides"),
    Place("data-docs.html", "Data Docs"),
    Place("dbt-docs.html", "dbt docs"),
)
"""The places that every page leads to, in their order."""


def render(template: str, path: str, generated_at: datetime, here: str = "", **facts: Any) -> str:
    """Render a page.

    Args:
        template: The name of its template.
        path: The page, from the site's folder: its links are relative to it.
        generated_at: When the facts were collected, UTC.
        here: The entry of the navigation it belongs to, by path; the page itself when empty.
        facts: What it shows; every text in it appears as text, whatever it contains, and what no page can hold as U+FFFD.

    Returns:
        The page as HTML.
    """
    page = _environment().get_template(template).render(
        navigation=NAVIGATION,
        here=here or path,
        root="../" * path.count("/"),
        generated_at=generated_at.astimezone(UTC),
        policy=OWN,
        **facts,
    )  # fmt: skip
    return in_xml(page)


def breakable(name: str) -> Markup:
    """A name that may go on in a new line after a dot and before an underscore: names are long, phones narrow."""
    return escape(name).replace(".", Markup(".<wbr>")).replace("_", Markup("<wbr>_"))


def prose(text: str) -> Markup:
    """A text in which names stand in backticks, as contracts and models have it: they become code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before


def age(seconds: float) -> str:
    """A span of time as people say it: `3 minutes`, `1 hour`, `12 days`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count:,} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def figure(value: object) -> str:
    """A value of a table's cell: figures with separators, no more than two decimals; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return str(value)
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    environment.filters["prose"] = prose
    environment.filters["column_id"] = column_id
    environment.filters["count"] = lambda rows: f"{rows:,}"
    environment.filters["seconds"] = lambda seconds: f"{seconds:,.1f}"
    environment.filters["figure"] = figure
    environment.filters["utc"] = lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return environment
