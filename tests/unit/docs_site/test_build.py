"""A rebuild of the site is seen whole or not at all, and leaves nothing behind."""

import re
from pathlib import Path

import pytest

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from cinelake.stack import site as site_service
from docs_site.build import ASSETS
from docs_site.policy import OWN
from tests.unit.docs_site.conftest import Docs
from tests.unit.docs_site.outline import Outline


def test_pages_assets_and_the_docs_of_other_tools_are_in_their_places(
    settings: Settings, docs: Docs
) -> None:
    page = docs.build(settings, "first")
    assert page == settings.home / "site" / "index.html"
    site = page.parent
    assert page.read_text() == "<p>first</p>"
    assert (site / "tables" / "a.html").read_text() == "<p>a table</p>"
    assert {path.name for path in (site / "assets").iterdir()} == {p.name for p in ASSETS.iterdir()}
    for name, text in (("data-docs", "data docs"), ("dbt-docs", "dbt docs")):
        assert (site / name / "index.html").read_text() == f"<p>{text}</p>"
        frame = Outline((site / f"{name}.html").read_text())
        assert [attrs["src"] for tag, attrs in frame.tags if tag == "iframe"] == [
            f"{name}/index.html"
        ]
        assert [attrs["content"] for _, attrs in frame.tags if attrs.get("http-equiv")] == [OWN]


def test_the_style_sheet_needs_no_network() -> None:
    assert not re.search(r"url\(|@import", (ASSETS / "site.css").read_text())


def test_a_rebuild_leaves_nothing_of_the_old_pages(settings: Settings, docs: Docs) -> None:
    page = docs.build(settings, "first")
    old = page.parent / "data-docs" / "validations" / "first.html"
    assert old.is_file()
    (docs.data_docs / "validations" / "first.html").rename(
        docs.data_docs / "validations" / "second.html"
    )
    docs.build(settings, "second")
    assert page.read_text() == "<p>second</p>"
    assert not old.exists()
    assert old.with_name("second.html").is_file()


def test_old_versions_do_not_pile_up(settings: Settings, docs: Docs) -> None:
    for number in range(4):
        docs.build(settings, str(number))
    # The one that is shown, and the one before it, which a request may still be reading.
    assert len(list((settings.home / "sites").iterdir())) == 2


def test_the_first_build_takes_the_place_of_the_placeholder(settings: Settings, docs: Docs) -> None:
    placeholder = settings.home / "site" / "index.html"
    placeholder.parent.mkdir()
    placeholder.write_text(site_service.PLACEHOLDER)
    assert docs.build(settings, "first") == placeholder
    assert placeholder.read_text() == "<p>first</p>"


def test_a_home_that_was_moved_still_has_its_site(settings: Settings, docs: Docs) -> None:
    docs.build(settings, "first")
    moved = settings.home.rename(settings.home.with_name("elsewhere"))
    assert (moved / "site" / "index.html").read_text() == "<p>first</p>"


def test_a_build_that_breaks_off_leaves_the_old_site(
    settings: Settings, docs: Docs, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = docs.build(settings, "first")

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    for step in ("copytree", "copyfile"):
        with monkeypatch.context() as patch:
            patch.setattr(f"docs_site.build.shutil.{step}", full)
            with pytest.raises(OSError, match="No space left"):
                docs.build(settings, "second")
        assert page.read_text() == "<p>first</p>"
        assert (page.parent / "data-docs" / "index.html").is_file()
    docs.build(settings, "second")
    assert page.read_text() == "<p>second</p>"


@pytest.mark.parametrize("missing", ["data_docs", "dbt_docs"])
def test_docs_that_are_missing_are_named_and_the_old_site_stays(
    settings: Settings, docs: Docs, missing: str
) -> None:
    page = docs.build(settings, "first")
    gone: Path = getattr(docs, missing)
    gone = gone / "index.html" if gone.is_dir() else gone
    gone.unlink()
    with pytest.raises(ServiceError, match=re.escape(str(gone))):
        docs.build(settings, "second")
    assert page.read_text() == "<p>first</p>"
