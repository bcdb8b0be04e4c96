"""The docs site of a real home in a real Chromium: every page, every link, its figures against SQL, its accessibility."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from docs_site.explore import QUESTIONS
from docs_site.pages import NAVIGATION, figure
from tests.demo.secrets_of import files_that_show, words_of_visitors
from tests.integration.conftest import CommandLine

FRAMED = ("data-docs.html", "dbt-docs.html")
"""Pages that show what another tool wrote, on whose colours and labels the site has no say."""
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Site:
    """The site as the stack serves it.

    Args:
        url: Its address.
        folder: Where its files are.
    """

    url: str
    folder: Path

    def pages(self) -> list[str]:
        """The site's own pages, by path."""
        own = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.html")]
        return sorted(path for path in own if not path.startswith(("data-docs/", "dbt-docs/")))


@pytest.fixture(scope="module")
def site(lakehouse: CommandLine, home: Path) -> Site:
    """The site, built anew."""
    page = lakehouse.here("docs", "build").stdout.strip()
    assert Path(page) == home / "site" / "index.html"
    return Site(lakehouse.status()["site_url"], home / "site")


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page in which whatever goes wrong fails the test: errors, warnings, requests that fail or leave the machine."""
    context = browser.new_context(**options)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "response",
        lambda answer: answer.status < 400 or wrong.append(f"{answer.status} {answer.url}"),
    )
    page.on("request", lambda sent: is_local(sent.url) or wrong.append(f"asked for {sent.url}"))
    yield page
    context.close()
    assert wrong == []


def is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", None)


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """A page that is opened once."""
    with opened(chromium) as page:
        yield page


def texts(page: Page, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def test_every_page_opens_without_an_error_and_every_link_leads_somewhere(
    site: Site, page: Page
) -> None:
    paths = site.pages()
    assert len(paths) > 70
    links: dict[str, set[str]] = {}
    anchors: dict[str, set[str]] = {}
    for path in paths:
        answer = page.goto(f"{site.url}/{path}")
        assert answer is not None
        assert answer.status == 200
        assert page.locator("h1").count() == 1, path
        assert page.get_by_role("navigation", name="Main").get_by_role("link").count() == len(
            NAVIGATION
        )
        hrefs = page.locator("a[href]").evaluate_all(
            "links => links.map(it => it.getAttribute('href'))"
        )
        links[path] = {urljoin(f"{site.url}/{path}", href) for href in hrefs}
        anchors[path] = set(page.locator("[id]").evaluate_all("all => all.map(it => it.id)"))
    for path, found in links.items():
        for link in found:
            _assert_leads_somewhere(site, path, link, anchors)


def _assert_leads_somewhere(site: Site, path: str, link: str, anchors: dict[str, set[str]]) -> None:
    if not is_local(link):
        # Prose names other projects; nothing else leaves the site.
        assert path.startswith("guides/"), (path, link)
        return
    target, _, anchor = link.removeprefix(f"{site.url}/").partition("#")
    assert (site.folder / target).is_file(), (path, link)
    if target in FRAMED:
        if anchor not in anchors[target] and anchor and not anchor.startswith("!"):
            folder = target.removesuffix(".html")
            assert (site.folder / folder / unquote(anchor)).is_file(), (path, link)
    elif anchor:
        assert anchor in anchors[target], (path, link)


def test_home_shows_the_ledger_the_layers_and_the_runs_as_they_are(
    site: Site, page: Page, lakehouse: CommandLine
) -> None:
    page.goto(f"{site.url}/index.html")
    status = lakehouse.status()
    flow = dict(zip(texts(page, ".flow .name"), texts(page, ".flow .rows"), strict=True))
    ledger = {
        hop: n for hop, n in status["ledger"].items() if isinstance(n, int) and hop != "balanced"
    }
    assert flow == {hop: f"{n:,}" for hop, n in ledger.items()}
    layers = page.get_by_role("region", name="Layers").locator("tbody tr")
    assert [row.split("\t")[0] for row in layers.all_inner_texts()] == [
        "bronze", "silver", "PostgreSQL", "gold",
    ]  # fmt: skip
    facts = lakehouse.sql("select count(*) from fact_user_event")[0][0]
    assert layers.nth(3).inner_text().endswith(f"\t{int(facts):,}\t0")
    runs = page.get_by_role("region", name="Runs", exact=True)
    recorded = {run for (run,) in lakehouse.sql("select distinct run_id from ledger")}
    assert recorded <= set(runs.locator("tbody th").all_inner_texts())
    assert page.locator(".verdict h2").first.inner_text() == (
        "Yes: complete, fresh, and every gate passed."
    )


def test_explore_shows_what_its_queries_find(
    site: Site, page: Page, lakehouse: CommandLine
) -> None:
    page.goto(f"{site.url}/explore.html")
    answered: list[str] = []
    for question in QUESTIONS:
        section = page.locator(f"section[aria-labelledby={question.name}]")
        for summary in section.locator("summary").all():
            summary.click()
        assert section.locator("pre").inner_text().strip() == question.query.strip()
        found = lakehouse.sql(question.query)
        if not found:
            section.get_by_text("Gold has no rows to answer this yet.").wait_for()
            continue
        answered.append(question.name)
        shown = [row.split("\t") for row in section.locator("tbody tr").all_inner_texts()]
        assert shown == [[_as_shown(value) for value in row] for row in found], question.name
        assert section.locator("svg path, svg line").count() > 5
    # The week before may have been busier for every movie that the catalogue knows.
    assert {question.name for question in QUESTIONS} - set(answered) <= {"trending-movies"}


def _as_shown(value: str) -> str:
    """A value that psql prints, as the page writes it."""
    return figure(float(value)) if re.fullmatch(r"-?\d+(\.\d+)?", value) else value


def test_the_catalogue_counts_as_sql_does_and_is_searched_as_one_types(
    site: Site, page: Page, lakehouse: CommandLine
) -> None:
    page.goto(f"{site.url}/catalogue.html")
    rows = page.locator("tr[data-words]")
    shown = {cells[0]: cells[3] for cells in (row.split("\t") for row in rows.all_inner_texts())}
    for name in ("fact_user_event", "dim_movie", "ratings", "movie_daily", "ledger"):
        (counted,) = lakehouse.sql(f"select count(*) from {name}")[0]
        # What a build of the site itself adds to the operational marts is nothing.
        assert shown[f"gold.{name}"] == f"{int(counted):,}"
    field = page.get_by_role("searchbox")
    field.fill("Bayesian weighted")
    assert (
        page.locator("tr[data-words]:visible")
        .all_inner_texts()[0]
        .startswith("gold.movie_popularity")
    )
    assert page.locator("#found").inner_text() == f"1 of {rows.count()} tables"
    field.press("Enter")
    page.wait_for_url("**/tables/gold.movie_popularity.html")
    assert "weighted_rating" in texts(page, "[aria-labelledby=columns] tbody th")
    page.go_back()
    page.get_by_role("searchbox").fill("no such thing")
    assert page.locator("tr[data-words]:visible").count() == 0
    assert not page.get_by_role("heading", name="Silver").is_visible()


def test_a_table_shows_its_rules_as_its_gate_found_them_and_no_personal_data(
    site: Site, page: Page, lakehouse: CommandLine, home: Path
) -> None:
    page.goto(f"{site.url}/tables/silver.users.html")
    rules = page.locator("[aria-labelledby=rules] tbody tr").all_inner_texts()
    found = lakehouse.sql(
        "select rule, expected, observed from gate_results where table_name = 'silver.users'"
        " and recorded_at = (select max(recorded_at) from gate_results where table_name = 'silver.users')"
        " order by rule"
    )
    cells = [row.split("\t") for row in rules]
    assert [[rule, *told[1:3]] for rule, *told in cells] == found
    assert all("passed" in row for row in rules)
    personal = {
        row.split("\t")[0]
        for row in page.locator("[aria-labelledby=columns] tbody tr").all_inner_texts()
        if row.endswith(("personal", "pseudonymous", "user_content"))
    }
    assert {"user_id", "name", "email_hash", "birth_year", "locale"} <= personal
    sampled = set(texts(page, "[aria-labelledby=sample] thead th"))
    assert sampled
    assert not sampled & personal
    page.goto(f"{site.url}/tables/gold.dim_user_personal.html")
    assert page.get_by_text("There are no rows that may be shown.").is_visible()
    words = words_of_visitors(home)
    assert len(words) > 20
    assert files_that_show(site.folder.resolve(), words) == []


def test_a_text_is_found_in_whatever_form_a_page_shows_it(tmp_path: Path) -> None:
    said = 'Ada & "Zoé" <1>'
    for number, form in enumerate((said, escape(said), json.dumps(said))):
        (tmp_path / f"{number}.html").write_text(f"<p>{form}</p>")
    (tmp_path / "innocent.html").write_text("Ada &amp; Zo")
    assert len(files_that_show(tmp_path, [said])) == 3


def test_lineage_leads_from_a_topic_to_the_marts_by_keyboard(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/lineage.html")
    picture = page.locator(".lineage svg")
    assert picture.locator("a").count() > 90
    assert picture.locator(".edge").count() > 120
    link = picture.locator("a[href='tables/silver.events.html']")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/tables/silver.events.html")
    assert "bronze.user_logs" in page.locator("[aria-labelledby=lineage]").inner_text()
    assert page.locator(".lineage .here").count() == 1


def test_the_docs_of_other_tools_are_those_of_the_last_run(
    site: Site, page: Page, lakehouse: CommandLine
) -> None:
    page.goto(f"{site.url}/data-docs.html")
    (last,) = lakehouse.sql("select run_id from gate_results order by recorded_at desc limit 1")[0]
    frame = page.frame_locator("iframe")
    # A row of the table leads to the page of a validation.
    frame.get_by_text(last, exact=True).first.click()
    frame.get_by_text("Overview", exact=True).first.wait_for()
    page.goto(f"{site.url}/dbt-docs.html#!/model/model.cinelake.ratings")
    frame.get_by_text("What each user now thinks of each movie").wait_for()
    # In place of the same page with another place in it, which a browser does not load again.
    page.goto(f"{site.url}/dbt-docs.html#!/model/model.cinelake.comments")
    frame.get_by_role("heading", name="comments").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_by_axe(site: Site, chromium: Browser, scheme: str) -> None:
    paths = [place.path for place in NAVIGATION] + ["tables/silver.events.html"]
    # What else than the colours could differ in the dark?
    rules = (
        ["color-contrast"]
        if scheme == "dark"
        else ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]
    )
    kind = "rule" if scheme == "dark" else "tag"
    with opened(chromium, color_scheme=scheme) as page:
        for path in paths:
            page.goto(f"{site.url}/{path}")
            options = {"runOnly": {"type": kind, "values": rules}, "iframes": False}
            found = Axe().run(page, options=options).response["violations"]
            serious = [
                (each["id"], node["target"], node["failureSummary"])
                for each in found
                if each["impact"] in ("serious", "critical")
                for node in each["nodes"]
            ]
            assert serious == [], path


def test_a_phone_scrolls_down_and_never_sideways(
    site: Site, chromium: Browser, shot: Callable[[Page, str], None]
) -> None:
    with opened(chromium, viewport={"width": 360, "height": 740}) as page:
        for path in site.pages():
            page.goto(f"{site.url}/{path}")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, (path, width)
            if path in ("index.html", "explore.html", "tables/gold.ratings.html"):
                shot(page, f"phone-{path}")


def test_the_first_tab_skips_to_the_content(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/index.html")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    assert skip.evaluate("it => it === document.activeElement")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_paper_has_the_content_and_not_the_navigation(
    site: Site, page: Page, shot: Callable[[Page, str], None]
) -> None:
    page.goto(f"{site.url}/index.html")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.get_by_role("navigation", name="Main").is_visible()
    assert page.locator(".flow").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shot(page, "print-index.html")
    page.emulate_media(media="screen", color_scheme="light")


def test_it_works_from_a_folder_without_a_server(site: Site, chromium: Browser) -> None:
    with opened(chromium) as page:
        page.goto(f"file://{site.folder.resolve()}/catalogue.html")
        page.get_by_role("searchbox").fill("Bayesian weighted")
        page.get_by_role("searchbox").press("Enter")
        page.wait_for_url("**/tables/gold.movie_popularity.html")
        page.get_by_role("link", name="Home").click()
        assert page.locator(".flow").is_visible()


def test_it_weighs_at_most_five_mebibytes_without_the_docs_of_other_tools(site: Site) -> None:
    files = [path for path in site.folder.resolve().rglob("*") if path.is_file()]
    own = [path for path in files if not {"data-docs", "dbt-docs"} & set(path.parts)]
    assert len(own) > 70
    assert sum(path.stat().st_size for path in own) <= 5 * MEBIBYTE


def test_pages_look_as_they_should(
    site: Site, chromium: Browser, shot: Callable[[Page, str], None]
) -> None:
    for scheme in ("light", "dark"):
        with opened(chromium, color_scheme=scheme, viewport={"width": 1280, "height": 900}) as page:
            for place in NAVIGATION:
                page.goto(f"{site.url}/{place.path}")
                shot(page, f"{scheme}-{place.path}")


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page, str], None]:
    """Keeps a picture of a page, for people to look at."""
    folder = tmp_path_factory.mktemp("screenshots")

    def keep(page: Page, name: str) -> None:
        path = folder / f"{name.replace('/', '-').removesuffix('.html')}.png"
        page.screenshot(path=path, full_page=True)
        assert path.stat().st_size > 10_000

    return keep


def test_serving_says_where_there_is_no_site(lakehouse: CommandLine, tmp_path: Path) -> None:
    refused = lakehouse.run("docs", "serve", "--directory", str(tmp_path), check=False)
    assert refused.returncode == 5
    assert "cinelake docs build" in refused.stderr
    assert (
        requests.get(f"{lakehouse.status()['site_url']}/nothing.html", timeout=10).status_code
        == 404
    )
