"""Whatever texts hold, a page has no character that it cannot hold."""

import re

from docs_site.explore import QUESTIONS, Answer, _picture
from docs_site.pages import render
from tests.unit.docs_site.conftest import AT


def test_a_title_with_control_characters_is_shown_without_them() -> None:
    question = next(question for question in QUESTIONS if question.name == "top-movies")
    title = "Alien\x00\x1b[31m\ufffe\uffff 🎬"
    row = {"movie": title, "weighted_rating": 7.5, "ratings": 1}
    picture = _picture(question, [row])
    page = render(
        "explore.html",
        "explore.html",
        AT,
        answers=[Answer(question, tuple(row), (tuple(row.values()),), picture)],
    )
    shown = "Alien\ufffd\ufffd[31m\ufffd\ufffd 🎬"
    assert page.count(shown) > page.count(picture) == 1
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", page)
