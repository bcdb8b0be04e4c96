"""Charts as pictures inside the page: Vega-Lite draws them when the site is built, so that no page needs a script.

The colours are the variables of the style sheet, so that a chart follows its page into dark and onto paper.
"""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import vl_convert
from markupsafe import Markup

from cinelake.harmless import in_xml

SERIES = ("var(--series-1)", "var(--series-2)", "var(--series-3)", "var(--series-4)")
"""Colours of the series of one chart; more than four are not told apart."""

SVG = "http://www.w3.org/2000/svg"

THEME: dict[str, Any] = {
    "background": None,
    # What Vega measures with; the page sets it in its own font, for which the padding leaves room.
    "font": "sans-serif",
    "padding": {"left": 16, "top": 5, "right": 32, "bottom": 5},
    "view": {"stroke": None},
    "bar": {"color": SERIES[0]},
    "line": {"color": SERIES[0], "strokeWidth": 2},
    "rect": {"color": SERIES[0]},
    "text": {"color": "var(--ink)"},
    "range": {"category": list(SERIES)},
    "axis": {
        "domainColor": "var(--line)",
        "gridColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 220,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "orient": "top",
    },
}


PRIVATE = range(0xE000, 0xF900)
"""Unicode's private use area, of which each character is one UTF-16 unit: https://www.unicode.org/faq/private_use.html"""


class _StandIns(dict[int, str]):
    """By character what Vega draws in its place: Vega shortens texts unit by unit, and fails at half a character.

    A character of two units has a private one in its place, and so has each private one. Beyond 6,400 of them in one
    chart it is U+FFFD for good.
    """

    def __init__(self) -> None:
        super().__init__()
        self._free = iter(PRIVATE)

    def __missing__(self, code: int) -> str:
        needs_one = code > 0xFFFF or code in PRIVATE
        return self.setdefault(code, chr(next(self._free, 0xFFFD) if needs_one else code))

    def put(self, value: Any) -> Any:
        """A specification, or a part of it, with stand-ins in all its texts."""
        if isinstance(value, str):
            return in_xml(value).translate(self)
        if isinstance(value, Mapping):
            return {name: self.put(each) for name, each in value.items()}
        return [*map(self.put, value)] if isinstance(value, list | tuple) else value

    def take_back(self, drawn: str) -> str:
        """What was drawn, with the characters themselves."""
        own = {ord(stand_in): code for code, stand_in in self.items() if ord(stand_in) in PRIVATE}
        return drawn.translate(own)


def draw(spec: Mapping[str, Any], label: str) -> Markup:
    """Draw a chart.

    Args:
        spec: A Vega-Lite specification with its data in it.
        label: What the picture shows, for those who do not see it.

    Returns:
        An `<svg>` that scales with its page. A mark's value shows where the pointer rests. What XML cannot hold, which ends
        the whole process inside Vega, is U+FFFD.

    Raises:
        ValueError: Vega-Lite does not take the specification.
    """
    stand_ins = _StandIns()
    drawn = vl_convert.vegalite_to_svg(stand_ins.put({"config": THEME, **spec}))
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(drawn)  # noqa: S314 - what Vega just wrote, which escapes what is in the data
    # A size of its own would keep the picture from growing and shrinking with its page.
    width = float(root.attrib.pop("width"))
    root.attrib.pop("height")
    root.set("style", f"min-width: {width * 0.7:.0f}px; max-width: {width * 1.3:.0f}px")
    root.set("role", "img")
    root.set("aria-label", stand_ins.put(label))
    _explain_marks(root)
    written = stand_ins.take_back(ElementTree.tostring(root, encoding="unicode"))
    return Markup(written)  # noqa: S704 - as above


def _explain_marks(root: ElementTree.Element) -> None:
    """Turn what Vega says of each mark into a title, which a browser shows; the picture itself has one label."""
    _, *below = root.iter()
    for element in below:
        said = element.attrib.get("aria-label")
        is_mark = element.attrib.get("aria-roledescription") in ("bar", "point", "rect", "mark")
        for name in [name for name in element.attrib if name == "role" or name.startswith("aria-")]:
            del element.attrib[name]
        if said and is_mark:
            title = ElementTree.SubElement(element, f"{{{SVG}}}title")
            title.text = re.sub(r"_+", " ", said)
