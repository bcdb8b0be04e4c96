"""Data Docs in the site ask nothing of the network: what they need lies beside them, in the versions they name."""

import re
from pathlib import Path

import pytest

from docs_site.data_docs import copy_data_docs
from docs_site.policy import hash_of, policy_of

PAGE = """<html><head>
<link rel="stylesheet" href="https://unpkg.com/bootstrap-table@1.19.1/dist/bootstrap-table.min.css">
<link rel="stylesheet" href="https://maxcdn.bootstrapcdn.com/bootstrap/4.3.1/css/bootstrap.min.css"/>
<link rel="stylesheet" href="https://cdnjs.cloudflare.com/ajax/libs/font-awesome/6.6.0/css/all.min.css" integrity="sha" />
<link rel="stylesheet" href="https://unpkg.com/bootstrap-table@1.19.0/dist/extensions/filter-control/bootstrap-table-filter-control.css">
<link rel="stylesheet" href="https://elsewhere.example/dark.css">
<style>.logo { background: url('https://tracker.example/logo.png') 0 0; }</style>
<script src="https://code.jquery.com/jquery-3.7.1.min.js" crossorigin="anonymous"></script>
<script src="https://cdnjs.cloudflare.com/ajax/libs/popper.js/1.12.9/umd/popper.min.js"></script>
<script src="https://cdn.example/vega@5"></script>
<script>inline()</script><label onclick="showAllValidations()"></label>
</head><body>
<picture><source srcset="https://tracker.example/dark.png"><img src="https://tracker.example/logo.png?id=1" alt="x"/></picture>
<img src="static/images/own.gif"><a href="https://greatexpectations.io">Great Expectations</a>
</body></html>
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "validations" / "a").mkdir(parents=True)
    (source / "index.html").write_text(PAGE)
    (source / "validations" / "a" / "b.html").write_text(PAGE)
    copy_data_docs(source, tmp_path / "target")
    return tmp_path / "target"


@pytest.mark.parametrize("path", ["index.html", "validations/a/b.html"])
def test_what_a_page_loads_lies_beside_it(copied: Path, path: str) -> None:
    page = copied / path
    text = page.read_text()
    assert re.findall(r'https?://[^"\')]+', text) == ["https://greatexpectations.io"]
    loaded = re.findall(r'<(?:link|script)[^>]*(?:href|src)="([^"]+)"', text)
    assert len(loaded) == 6
    for address in loaded:
        assert (page.parent / address).is_file(), address
    assert "inline()" in text
    assert 'src="static/images/own.gif"' in text
    assert "integrity" not in text


def test_a_script_that_no_template_has_runs_on_no_page_that_shows_rows(copied: Path) -> None:
    index, page = (
        policy_of((copied / path).read_text()) for path in ("index.html", "validations/a/b.html")
    )
    inline, known = hash_of("inline()"), hash_of("showAllValidations()")
    assert inline in index and inline not in page
    assert known in index and known in page
    for policy in (index, page):
        assert "script-src 'self' 'unsafe-hashes' 'sha256-" in policy
        assert "unsafe-eval" not in policy


def test_the_fonts_that_a_style_sheet_names_are_there(copied: Path) -> None:
    (style,) = copied.rglob("all.min.css")
    fonts = re.findall(r"url\(([^)]+\.woff2)\)", style.read_text())
    assert fonts
    for font in fonts:
        assert (style.parent / font).is_file(), font
