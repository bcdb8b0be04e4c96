"""A chart is a picture with a label, whose marks say their values; it takes its colours from the page."""

from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from cinelake.harmless import in_xml
from docs_site.charts import SVG, draw
from docs_site.explore import QUESTIONS, WIDTH, Question, _picture

TITLE = f"{{{SVG}}}title"

SPEC: dict[str, Any] = {
    "width": 300,
    "height": {"step": 20},
    "mark": "bar",
    "encoding": {
        "y": {"field": "title", "type": "nominal"},
        "x": {"field": "n", "type": "quantitative"},
    },
}
ROWS = [{"title": "<script>alert('Toy & Story')</script>", "n": 3}, {"title": "Heat", "n": 12}]


def drawn(rows: list[dict[str, Any]]) -> ElementTree.Element:
    return ElementTree.fromstring(draw({**SPEC, "data": {"values": rows}}, "Chart: <films>"))


def test_each_mark_says_its_value_and_hostile_text_is_text() -> None:
    root = drawn(ROWS)
    titles = [title.text or "" for title in root.iter(f"{{{SVG}}}title")]
    assert len(titles) == 2
    for row, title in zip(ROWS, titles, strict=True):
        assert row["title"] in title
        assert f"n: {row['n']}" in title
    assert not list(root.iter(f"{{{SVG}}}script")) + list(root.iter("script"))


def test_the_picture_has_one_label_and_scales() -> None:
    root = drawn(ROWS)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "Chart: <films>"
    assert not {"width", "height"} & root.attrib.keys()
    named = [element for element in root.iter() if element is not root]
    assert not [name for element in named for name in element.attrib if name.startswith("aria")]


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        ([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0xFFFE, 0xFFFF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF], "\ufffd"),
        ([0x09, 0x0A, 0x0D], None),
        ([*range(0x7F, 0xA0), 0xAD, 0x200D, 0x2028, 0x202E, 0xE000, 0xF8FF, 0xFDD0, 0xFFFD, 0x1F3AC, 0x1FFFE, 0x10FFFF], ""),
    ],
    ids=["not in XML", "blanks", "others"],
)  # fmt: skip
def test_no_character_of_a_text_ends_the_process(codes: list[int], shown: str | None) -> None:
    titles = [f"a{chr(code)}b{number}" for number, code in enumerate(codes)]
    found = [
        title.text or ""
        for title in drawn([{"title": title, "n": 1} for title in titles]).iter(TITLE)
    ]
    assert len(found) == len(codes)
    for number, (title, text) in enumerate(zip(titles, found, strict=True)):
        if shown is not None:
            assert (f"a{shown}b{number}" if shown else title) in text


@pytest.mark.parametrize("before", range(4))
def test_a_text_that_is_shortened_may_be_of_any_characters(before: int) -> None:
    titles = ["a" * before + char * 300 for char in "\U0001f3ac\U0010ffff\ue000\x1b"]
    root = drawn([{"title": title, "n": 1} for title in titles])
    for title, text in zip(titles, root.iter(TITLE), strict=True):
        assert in_xml(title) in (text.text or "")
    labels = [text.text or "" for text in root.iter(f"{{{SVG}}}text")]
    assert len([label for label in labels if label.endswith("…")]) == len(titles)


def test_more_characters_than_have_a_stand_in_are_drawn_all_the_same() -> None:
    title = "".join(map(chr, range(0x10000, 0x10000 + 7000)))
    (text,) = drawn([{"title": title, "n": 1}]).iter(TITLE)
    assert title[:6400] + "\ufffd" * 600 in (text.text or "")


def test_colours_are_variables_of_the_style_sheet() -> None:
    colours = {
        value
        for element in drawn(ROWS).iter()
        for name in ("fill", "stroke")
        if (value := element.attrib.get(name)) not in (None, "none", "transparent")
    }
    assert colours
    assert all(colour.startswith("var(--") for colour in colours if colour)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_question_can_be_drawn_without_rows_of_a_real_answer(question: Any) -> None:
    # Vega-Lite refuses a specification that it does not understand.
    draw({"width": WIDTH, "data": {"values": []}, **question.plot}, question.title)


def test_a_specification_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="conversion failed"):
        draw({"mark": "no such mark", "data": {"values": []}}, "x")


def question(name: str) -> Question:
    return next(question for question in QUESTIONS if question.name == name)


def axes(question: Question, rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """What stands at the axis of x, and at that of y."""
    groups = [
        [text.text for text in group.iter(f"{{{SVG}}}text") if text.text]
        for group in ElementTree.fromstring(_picture(question, rows)).iter(f"{{{SVG}}}g")
        if "role-axis-label" in group.get("class", "")
    ]
    return groups[0], groups[1]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 1234])
@pytest.mark.parametrize(
    ("name", "category", "figure"),
    [
        ("trending-movies", "movie", "more_events"),
        ("events-by-type", "event_type", "events"),
        ("funnel", "step", "sessions"),
    ],
)
def test_an_axis_of_counts_names_each_whole_number_once(
    name: str, category: str, figure: str, most: int
) -> None:
    rows = [{category: "one", figure: most}, {category: "another", figure: 1}]
    labels, _ = axes(question(name), rows)
    assert len(labels) >= 2
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("days", "most"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 7), (31, 40), (60, 1234)]
)
def test_axes_of_days_and_counts_name_each_day_and_each_whole_number_once(
    days: int, most: int
) -> None:
    first = date(2026, 2, 26)
    rows = [
        {"date_day": first + timedelta(day), "daily": 1, "weekly": 1, "monthly": most}
        for day in range(days)
    ]
    named, counts = axes(question("daily-actives"), rows)
    assert named[0] == "26 Feb" or days > 7
    assert len(set(named)) == len(named) and len(named) <= days
    assert counts[0] == "0" and len(counts) >= 2
    assert len(set(counts)) == len(counts) and all(
        count.replace(",", "").isdigit() for count in counts
    )


@pytest.mark.parametrize("most", [1, 2, 3, 7, 1234])
def test_ratings_are_counted_in_whole_numbers(most: int) -> None:
    rows = [{"rating": 0.5, "ratings": 1}, {"rating": 10.0, "ratings": most}]
    values, counts = axes(question("ratings"), rows)
    assert values == ["0.5", "10"]
    assert len(set(counts)) == len(counts) and all(
        count.replace(",", "").isdigit() for count in counts
    )


def test_a_funnel_in_which_nobody_gets_anywhere_says_why() -> None:
    remark = question("funnel").remark
    steps = ("session", "view", "play", "complete", "rating")
    none = [
        {"step": step, "sessions": sessions}
        for step, sessions in zip(steps, (7144, 0, 0, 0, 0), strict=True)
    ]
    assert "comes without the views" in remark(none)
    assert remark([*none[:1], {"step": "view", "sessions": 1}, *none[2:]]) == ""
    assert remark([{**row, "sessions": 0} for row in none]) == ""


@pytest.mark.parametrize(
    ("sizes", "said"),
    [((1, 1, 1), "3 of these 3 weeks"), ((9, 10, 500), "1 of these 3 weeks"), ((10, 11, 12), "")],
)
def test_shares_of_few_people_come_with_a_word_of_warning(
    sizes: tuple[int, ...], said: str
) -> None:
    rows = [
        {"cohort_week": f"2026-01-{week:02}", "cohort_size": size, "week_number": number}
        for week, size in enumerate(sizes, start=1)
        for number in range(3)
    ]
    remark = question("retention").remark(rows)
    assert remark.startswith(said) and bool(remark) == bool(said)
