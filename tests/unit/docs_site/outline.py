"""A page as a browser would see it: its tags and its texts."""

from html.parser import HTMLParser


class Outline(HTMLParser):
    """The tags of a page and its texts; a `<wbr>` does not cut a text in two."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.goes_on = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.goes_on = tag == "wbr"

    def handle_endtag(self, tag: str) -> None:
        self.goes_on = False

    def handle_data(self, data: str) -> None:
        before = self.texts.pop() if self.goes_on else ""
        self.texts.append(before + data.strip())

    def values(self, attribute: str) -> list[str]:
        """The values of an attribute, of whichever tag."""
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]
