"""Nothing on a page of the docs site is cut or out of sight, on a desktop or a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from docs_site.build import ASSETS
from docs_site.catalogue import ColumnPage, TablePage, render_catalogue
from docs_site.explore import QUESTIONS, Answer, _picture
from docs_site.guides import render_guides
from docs_site.home import render_home
from docs_site.pages import render
from tests.unit.docs_site.conftest import AT
from tests.unit.docs_site.test_home import FACTS

DESKTOP, PHONE = 1400, 390
LONG = (
    "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1964)",
    "Pirates of the Caribbean: The Curse of the Black Pearl (2003)",
    "WWWWWWW MMMMMMMMMMMMM WWWWW MMMMMMM (1999)",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages with the longest names there are."""
    folder = tmp_path_factory.mktemp("site")
    rows = {
        "top-movies": [{"movie": one, "weighted_rating": 8.5} for one in LONG],
        "trending-movies": [{"movie": one, "more_events": 1} for one in LONG],
    }
    answers = [
        Answer(one, (), ((),), _picture(one, rows[one.name]))
        for one in QUESTIONS
        if one.name in rows
    ]
    columns = tuple(
        ColumnPage(
            name, "timestamp", "When it was received. " * 40, ("not null", "one of a, b, c" * 9)
        )
        for name in ("recommendation_explanation", "movie_runtime_minutes", "received_at")
    )
    table = TablePage("silver.t", "What it is.", "a row", "o", "1.0.0", 1, "", columns)
    pages = {
        "explore.html": render("explore.html", "explore.html", AT, answers=answers),
        "index.html": render_home(FACTS),
        **render_catalogue([table], AT),
        **render_guides(AT),
    }
    for path, text in pages.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    (folder / "assets").symlink_to(ASSETS)
    return folder


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    yield page
    page.close()


def opened(page: Page, site: Path, path: str, width: int) -> Page:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{(site / path).as_uri()}")
    return page


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_no_label_of_a_chart_is_cut_at_its_left(site: Path, page: Page, width: int) -> None:
    spare = opened(page, site, "explore.html", width).evaluate(
        """() => [...document.querySelectorAll(".chart")].flatMap(chart => {
            const left = chart.getBoundingClientRect().left
            return [...chart.querySelectorAll("text")].map(one => one.getBoundingClientRect().left - left)
        })"""
    )
    assert len(spare) > 2 * len(LONG)
    assert min(spare) >= 0


def test_the_gate_of_a_layer_is_in_sight_on_a_phone(site: Path, page: Page) -> None:
    opened(page, site, "index.html", PHONE)
    for state in page.locator("[aria-label=Layers] .state").all():
        box = state.bounding_box()
        assert box is not None and box["x"] + box["width"] <= PHONE


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_name_of_a_column_breaks_between_its_words(site: Path, page: Page, width: int) -> None:
    opened(page, site, "tables/silver.t.html", width)
    # A line of text has a box of its own: none is narrower than the longest word in it.
    words = page.evaluate(
        """() => [...document.querySelectorAll("tbody th")].flatMap(cell =>
            [...cell.childNodes].filter(one => one.nodeType === Node.TEXT_NODE).map(one => {
                const range = document.createRange()
                range.selectNodeContents(one)
                return [one.data, range.getClientRects().length]
            }))"""
    )
    assert len(words) > 6
    assert [word for word, lines in words if lines > 1] == []


def test_no_line_of_code_is_cut_while_a_desktop_has_room(site: Path, page: Page) -> None:
    cut = {}
    for path in sorted(site.glob("guides/*.html")):
        opened(page, site, f"guides/{path.name}", DESKTOP)
        cut |= page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll(".prose > pre")].filter(one =>
                one.scrollWidth > one.clientWidth
                && one.getBoundingClientRect().right < document.querySelector("main").getBoundingClientRect().right - 1
            ).map(one => [one.innerText.slice(0, 60), one.clientWidth]))"""
        )
    assert cut == {}
