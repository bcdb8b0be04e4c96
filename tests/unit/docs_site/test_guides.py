"""Documents become pages: their links stay within the site, and nothing in them is more than text."""

import re
from pathlib import Path

import pytest

from docs_site.guides import DOCS, render_guides
from tests.unit.docs_site.conftest import AT
from tests.unit.docs_site.outline import Outline

TEXT = """# The title & more

See [the other](other.md#a-part), [here](#second-part-42), [the code](../pipeline/docs.py),
[the tables](data-dictionary.md) and [elsewhere](https://example.com/a).

## Second part: 42!

<script>alert(1)</script> and `<b>`

| a | b |
|---|---|
| 1 | <i>2</i> |

```sh
cinelake up
```
"""


def page_of(folder: Path) -> Outline:
    (folder / "first.md").write_text(TEXT)
    (folder / "other.md").write_text("# Other\n\n## A part\n")
    (folder / "data-dictionary.md").write_text("# Shown elsewhere\n")
    pages = render_guides(AT, folder)
    assert set(pages) == {"guides/first.html", "guides/other.html", "guides/index.html"}
    return Outline(pages["guides/first.html"])


def test_links_lead_to_pages_of_the_site_or_away_from_it(tmp_path: Path) -> None:
    outline = page_of(tmp_path)
    links = outline.values("href")
    for link in (
        "other.html#a-part",
        "#second-part-42",
        "../catalogue.html",
        "https://example.com/a",
    ):
        assert link in links
    assert not [link for link in links if ".md" in link or ".py" in link]
    # A link that leads nowhere leaves its words.
    assert "the code" in " ".join(outline.texts)


def test_headings_have_the_anchors_that_links_name(tmp_path: Path) -> None:
    assert {"the-title--more", "second-part-42"} <= set(page_of(tmp_path).values("id"))


def test_what_is_in_a_document_is_text(tmp_path: Path) -> None:
    outline = page_of(tmp_path)
    tags = [tag for tag, _ in outline.tags]
    assert not {"script", "b", "i"} & set(tags)
    assert "<script>alert(1)</script> and" in outline.texts
    assert {"table", "pre"} <= set(tags)


def test_what_scrolls_is_within_reach_of_the_keyboard(tmp_path: Path) -> None:
    for tag, attrs in page_of(tmp_path).tags:
        if tag in ("pre", "table"):
            assert attrs["tabindex"] == "0"


def test_every_document_is_named_in_the_index_with_what_it_is_about() -> None:
    pages = render_guides(AT)
    index = Outline(pages["guides/index.html"])
    for path in DOCS.glob("*.md"):
        shown = f"{path.stem}.html"
        if path.stem == "data-dictionary":
            shown = "../catalogue.html"
        else:
            assert f"guides/{shown}" in pages
        assert shown in index.values("href"), path.name
        title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        assert title in index.texts
    described = [tag for tag, _ in index.tags if tag == "dd"]
    paragraphs = [tag for tag, _ in index.tags if tag == "p"]
    assert len(paragraphs) >= len(described) == len(list(DOCS.glob("*.md")))


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_a_variable_of_a_command_is_set_above_it(path: Path) -> None:
    text = path.read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    shell = "\n".join(blocks)
    for used in re.finditer(r"\$\{?([A-Z][A-Z_]+)", shell):
        name = used[1]
        before = shell[: used.start()]
        # Sourced, and so set by the file that is named.
        is_sourced = name == "POSTGRES_URI" and "stack.env" in before
        assert is_sourced or re.search(rf"(^|\s){name}=", before), f"${name} is set nowhere"
