"""A chart is a picture with a label, whose marks say their values; it takes its colours from the page."""

from typing import Any
from xml.etree import ElementTree

import pytest

from docs_site.charts import SVG, draw
from docs_site.explore import QUESTIONS, WIDTH, Question, _picture

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
    root = ElementTree.fromstring(_picture(question(name), rows))
    axis = next(
        group for group in root.iter(f"{{{SVG}}}g") if "role-axis-label" in group.get("class", "")
    )
    labels = [text.text for text in axis.iter(f"{{{SVG}}}text") if text.text]
    assert len(labels) >= 2
    assert len(set(labels)) == len(labels)


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
