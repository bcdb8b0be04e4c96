"""A browser runs no script on a page of the docs site but the site's own, and all of those."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from cinelake.settings import load_settings
from docs_site.build import build_site
from docs_site.catalogue import TablePage, render_catalogue
from docs_site.serve import SiteServer
from expectations.batches import Batch
from expectations.data_docs import build_data_docs
from expectations.gate import run_lake_gate
from lakehouse.contract import table
from tests.unit.docs_site.conftest import AT
from tests.unit.expectations.batches import as_frame, good_row, good_rows

FOREIGN = (
    "<script>document.title = 'foreign'</script><img src=x onerror=\"document.title = 'foreign'\">"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with Data Docs of a broken row, into whose page a script came all the same."""
    own = load_settings(CINELAKE_HOME=str(tmp_path_factory.mktemp("home")))
    ratings = table("silver.ratings")
    rows = [*good_rows(ratings), good_row(ratings, 9) | {"rating": 99.0}]
    run_lake_gate(own, "silver", [Batch(ratings, as_frame(ratings, rows))], "the-run")
    data_docs = build_data_docs(own)
    (page,) = (data_docs / "validations").rglob("*.html")
    page.write_text(page.read_text().replace("</body>", f"{FOREIGN}</body>"))
    dbt_docs = own.home / "dbt.html"
    dbt_docs.write_text(
        '<html><head><link rel="icon" href="data:,"></head><body>'
        "<script>document.title = 'dbt'</script></body>"
    )
    tables = [TablePage("silver.t", "What it is.", "a row", "o", "1.0.0", 1, "", ())]
    pages = {"index.html": FOREIGN, **render_catalogue(tables, AT)}
    return build_site(own, pages, AT, data_docs, dbt_docs).parent


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with SiteServer(0, folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def refused() -> list[str]:
    """What the browser has said."""
    return []


@pytest.fixture
def page(chromium: Browser, refused: list[str]) -> Iterator[Page]:
    page = chromium.new_page()
    page.on("console", lambda said: refused.append(said.text))
    page.on("pageerror", lambda error: refused.append(str(error)))
    yield page
    page.close()


@pytest.mark.parametrize("served", [True, False], ids=["served", "from its folder"])
def test_the_scripts_of_the_site_run(
    address: str, folder: Path, page: Page, refused: list[str], served: bool
) -> None:
    at = address if served else folder.resolve().as_uri()
    page.goto(f"{at}/catalogue.html")
    page.get_by_role("searchbox").fill("nothing like it")
    assert page.locator("tr[data-words]:visible").count() == 0
    page.goto(f"{at}/data-docs.html")
    page.frame_locator("iframe").get_by_text("the-run", exact=True).first.wait_for()
    page.goto(f"{at}/dbt-docs/index.html")
    assert page.title() == "dbt"
    assert refused == []


def test_the_buttons_of_data_docs_work(address: str, page: Page, refused: list[str]) -> None:
    page.goto(f"{address}/data-docs/index.html")
    assert refused == []
    page.get_by_role("button", name="Clear Filters").first.click()
    page.get_by_text("the-run", exact=True).first.click()
    kept = page.get_by_text("values must never be null").first
    kept.wait_for()
    page.get_by_text("Failed Only").click()
    kept.wait_for(state="hidden")


def test_no_script_runs_that_came_with_data(
    address: str, folder: Path, page: Page, refused: list[str]
) -> None:
    (validation,) = (folder / "data-docs" / "validations").rglob("*.html")
    for path in ("index.html", validation.relative_to(folder).as_posix()):
        refused.clear()
        page.goto(f"{address}/{path}")
        page.wait_for_load_state("networkidle")
        assert page.title() != "foreign"
        assert len([each for each in refused if "Content Security Policy" in each]) >= 2
