"""Writing the site: into a folder of its own, then put in place in one step."""

import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cinelake.errors import ServiceError
from cinelake.owner_only import close
from cinelake.settings import Settings
from cinelake.stack.lock import file_lock
from docs_site.data_docs import copy_data_docs
from docs_site.pages import render
from docs_site.policy import inline_scripts, of_tool, with_policy

ASSETS = Path(__file__).parent / "assets"
DATA_DOCS, DBT_DOCS = "data-docs", "dbt-docs"
"""Folders of the site that hold what other tools wrote."""


def build_site(
    settings: Settings,
    pages: Mapping[str, str],
    generated_at: datetime,
    data_docs: Path,
    dbt_docs: Path,
) -> Path:
    """Write the site and put it in place; readers see the old one or the new one, never a mixture.

    Args:
        settings: `home` is used: the site is `<home>/site`, a link to the newest folder in `<home>/sites`.
        pages: HTML by path, `index.html` among them.
        generated_at: When the facts were collected, UTC.
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
                "Run `cinelake refresh`, then `cinelake docs build`.",
            )
    site, versions = settings.home / "site", settings.home / "sites"
    with file_lock(settings.home / "locks" / "site.lock"):
        versions.mkdir(exist_ok=True)
        _clear(versions, keep=site.resolve())
        built = Path(tempfile.mkdtemp(prefix=f"{generated_at:%Y%m%dT%H%M%S}-", dir=versions))
        _write(built, {**pages, **_frames(generated_at)})
        _take_in(built, data_docs, dbt_docs)
        # Copies have the modes of what was copied.
        close(built)
        _put_in_place(built, site)
    return site / "index.html"


def _frames(generated_at: datetime) -> dict[str, str]:
    """The pages that show other tools' docs below the site's own navigation."""
    titles = {DATA_DOCS: "Data Docs", DBT_DOCS: "dbt docs"}
    return {
        f"{name}.html": render(
            "framed.html", f"{name}.html", generated_at, title=title, source=f"{name}/index.html"
        )
        for name, title in titles.items()
    }


def _clear(versions: Path, keep: Path) -> None:
    """Remove what earlier builds left, finished or not, except the version that is shown."""
    # At the start of a build rather than its end: a request that began on the old version can finish.
    for entry in versions.iterdir():
        if entry.is_symlink():
            entry.unlink()
        elif entry.resolve() != keep:
            shutil.rmtree(entry)


def _write(folder: Path, pages: Mapping[str, str]) -> None:
    for path, text in pages.items():
        page = folder / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    shutil.copytree(ASSETS, folder / "assets")


def _take_in(folder: Path, data_docs: Path, dbt_docs: Path) -> None:
    copy_data_docs(data_docs, folder / DATA_DOCS)
    (folder / DBT_DOCS).mkdir()
    # A browser would ask for the template's text as an address, before dbt's own script has filled it in.
    page = dbt_docs.read_text("utf-8").replace('xlink:href="{{', 'ng-attr-xlink:href="{{')
    # What it has of people is nothing: descriptions, SQL and counts. Its library makes functions of the page's expressions.
    policy = of_tool(inline_scripts(page), may_eval=True)
    (folder / DBT_DOCS / "index.html").write_text(with_policy(page, policy), encoding="utf-8")


def _put_in_place(built: Path, site: Path) -> None:
    # A folder cannot be replaced by another in one step, a link can.
    link = built.with_name(f"{built.name}.link")
    link.symlink_to(built.relative_to(site.parent))
    if site.is_dir() and not site.is_symlink():
        # The placeholder of `cinelake up`, once in the life of a home; the next build removes it.
        site.rename(built.with_name(f"{built.name}.before"))
    link.replace(site)
