"""The docs site's pages: rendered into a folder of their own, then put in place in one step."""

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from cinelake.stack.lock import file_lock

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = Path(__file__).parent / "assets"

NOTES = {
    "accepted": "events the API said yes to",
    "rejected": "refused at the door, kept with the reason",
    "bronze": "stored in the lake as they came",
    "silver": "clean events, each counted once",
    "duplicates": "messages that repeated an event",
    "quarantined": "broke a rule, kept for repair",
    "published": "the same events in PostgreSQL",
    "facts": "rows that analysts query",
}
"""What a hop's figure counts, in a few words."""

BESIDE = {"rejected": "accepted", "duplicates": "silver", "quarantined": "silver"}
"""Hops beside the main flow, and the hop at which an event leaves for them."""


@dataclass(frozen=True)
class SiteFacts:
    """What the page shows.

    Args:
        generated_at: When the facts were collected, UTC.
        ledger: Hop and rows, in the order of the flow; empty when nothing was counted yet.
        balanced: Whether every hop accounts for all rows of the one before.
        differences: What does not add up, a sentence each.
        stages: Stage and seconds of the last run, in order; empty when there was none.
        gates: Gate, table, rules checked and rules failed in the last run.
        gold_rows: Gold table and rows.
        quarantine: Rule and the rows that broke it.
    """

    generated_at: datetime
    ledger: list[tuple[str, int]]
    balanced: bool
    differences: list[str]
    stages: list[tuple[str, float]]
    gates: list[tuple[str, str, int, int]]
    gold_rows: list[tuple[str, int]]
    quarantine: list[tuple[str, int]]


@dataclass(frozen=True)
class Hop:
    """One step of the ledger's flow.

    Args:
        name: As in the ledger.
        rows: Its count.
        note: What is counted; empty for a hop this page does not know.
        asides: Hops that leave the main flow here.
    """

    name: str
    rows: int
    note: str
    asides: tuple["Hop", ...] = ()


def build_site(settings: Settings, facts: SiteFacts, data_docs: Path, dbt_docs: Path) -> Path:
    """Write the site and put it in place; readers see the old one or the new one, never a mixture.

    Args:
        settings: `home` is used: the site is `<home>/site`, a link to the newest folder in `<home>/sites`.
        facts: What the page shows.
        data_docs: The folder with Great Expectations' Data Docs, an `index.html` in it.
        dbt_docs: The one HTML file of the dbt docs.

    Returns:
        The path of the site's `index.html`.

    Raises:
        ServiceError: Data Docs or dbt docs are missing, or another build holds the site for too long.
        OSError: The site cannot be written; the old one stays.
    """
    for page in (data_docs / "index.html", dbt_docs):
        if not page.is_file():
            raise ServiceError(
                f"The docs site needs {page}, which is not there.",
                "Run `cinelake refresh`, then `cinelake docs`.",
            )
    site, versions = settings.home / "site", settings.home / "sites"
    with file_lock(settings.home / "locks" / "site.lock"):
        versions.mkdir(exist_ok=True)
        _clear(versions, keep=site.resolve())
        built = Path(tempfile.mkdtemp(prefix=f"{facts.generated_at:%Y%m%dT%H%M%S}-", dir=versions))
        _write(built, facts, data_docs, dbt_docs)
        _put_in_place(built, site)
    return site / "index.html"


def render_page(facts: SiteFacts) -> str:
    """Render the page.

    Args:
        facts: What it shows; every name and sentence in it appears as text, whatever it contains.

    Returns:
        The page as HTML; its links are relative to the site's folder.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.filters["count"] = lambda rows: f"{rows:,}"
    environment.filters["seconds"] = lambda seconds: f"{seconds:,.1f}"
    return environment.get_template("index.html").render(
        facts=facts,
        flow=_flow(facts.ledger),
        generated_at=facts.generated_at.astimezone(UTC),
        slowest=max((seconds for _, seconds in facts.stages), default=0.0),
        total=sum(seconds for _, seconds in facts.stages),
    )


def _breakable(name: str) -> Markup:
    """A name that may go on in a new line after a dot and before an underscore: names are long, phones narrow."""
    return escape(name).replace(".", Markup(".<wbr>")).replace("_", Markup("<wbr>_"))


def _flow(ledger: list[tuple[str, int]]) -> list[Hop]:
    """The main flow in order, each hop with those that leave beside it."""
    names = {name for name, _ in ledger}
    beside = {name: hop for name, hop in BESIDE.items() if name in names and hop in names}
    hops = [Hop(name, rows, NOTES.get(name, "")) for name, rows in ledger]
    return [
        Hop(hop.name, hop.rows, hop.note, tuple(h for h in hops if beside.get(h.name) == hop.name))
        for hop in hops
        if hop.name not in beside
    ]


def _clear(versions: Path, keep: Path) -> None:
    """Remove what earlier builds left, finished or not, except the version that is shown."""
    # At the start of a build rather than its end: a request that began on the old version can finish.
    for entry in versions.iterdir():
        if entry.is_symlink():
            entry.unlink()
        elif entry.resolve() != keep:
            shutil.rmtree(entry)


def _write(folder: Path, facts: SiteFacts, data_docs: Path, dbt_docs: Path) -> None:
    (folder / "index.html").write_text(render_page(facts), encoding="utf-8")
    shutil.copytree(ASSETS, folder / "assets")
    shutil.copytree(data_docs, folder / "data-docs")
    (folder / "dbt-docs").mkdir()
    shutil.copyfile(dbt_docs, folder / "dbt-docs" / "index.html")


def _put_in_place(built: Path, site: Path) -> None:
    # A folder cannot be replaced by another in one step, a link can.
    link = built.with_name(f"{built.name}.link")
    link.symlink_to(built.relative_to(site.parent))
    if site.is_dir() and not site.is_symlink():
        # The placeholder of `cinelake up`, once in the life of a home; the next build removes it.
        site.rename(built.with_name(f"{built.name}.before"))
    link.replace(site)
