"""The prose of `docs/` as pages of the site."""

import re
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from cinelake.settings import PROJECT_ROOT
from docs_site.pages import render

DOCS = PROJECT_ROOT / "docs"
INDEX = "guides/index.html"
RUNBOOK = "guides/runbook.html"
"""The one that has a place of its own in the navigation."""
ELSEWHERE = {"data-dictionary": "../catalogue.html"}
"""Documents whose content the site shows in another form, and where."""


def render_guides(generated_at: datetime, folder: Path = DOCS) -> dict[str, str]:
    """Render a page for each document.

    Args:
        generated_at: When the site's facts were collected, UTC.
        folder: Where the Markdown files are.

    Returns:
        HTML by path, for example `guides/runbook.html`, and `guides/index.html`, which names all of them.
    """
    documents = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.md"))}
    texts = {name: text for name, text in documents.items() if name not in ELSEWHERE}
    pages = {
        guide_path(name): render(
            "guide.html",
            guide_path(name),
            generated_at,
            RUNBOOK if guide_path(name) == RUNBOOK else INDEX,
            title=_title(text),
            text=_html(text, texts),
        )
        for name, text in texts.items()
    }
    guides = [
        {
            "title": _title(text),
            "href": ELSEWHERE.get(name, f"{name}.html"),
            "opening": _html(_opening(text), texts),
        }
        for name, text in documents.items()
    ]
    pages[INDEX] = render("guides.html", INDEX, generated_at, guides=guides)
    return pages


def guide_path(name: str) -> str:
    """The page of a document, from the site's folder."""
    return f"guides/{name}.html"


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _opening(text: str) -> str:
    """The paragraph below the title."""
    paragraphs = (part for part in text.split("\n\n")[1:] if re.match(r"[^\W_]|`\w", part))
    return next(paragraphs, "")


def _html(text: str, known: Mapping[str, str]) -> Markup:
    """A document as HTML: headings have anchors, links between documents lead to their pages."""
    # Without HTML of its own, so that what stands in a document is text.
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for heading, content in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", _anchor(content.content))
    for token in tokens:
        if token.children:
            token.children = _linked(token.children, known)
    html = parser.renderer.render(tokens, parser.options, {})
    # What scrolls sideways has to be within reach of the keyboard.
    html = html.replace("<pre>", '<pre tabindex="0">').replace("<table>", '<table tabindex="0">')
    return Markup(html)  # noqa: S704 - escaped by the renderer


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _linked(tokens: list[Token], known: Mapping[str, str]) -> list[Token]:
    """The same tokens, with links to what is on the site, and without those to other files of the repository."""
    kept: list[Token] = []
    is_dropped = False
    for token in tokens:
        if token.type == "link_open":
            target = _target(str(token.attrGet("href")), known)
            is_dropped = target is None
            if target is not None:
                token.attrSet("href", target)
        if not (is_dropped and token.type in ("link_open", "link_close")):
            kept.append(token)
    return kept


def _target(link: str, known: Mapping[str, str]) -> str | None:
    """Where a link leads on the site; None for a file that is not on it."""
    if "://" in link or link.startswith("#"):
        return link
    file, _, anchor = link.partition("#")
    name = file.removesuffix(".md")
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    return f"{name}.html{'#' if anchor else ''}{anchor}" if name in known else None
