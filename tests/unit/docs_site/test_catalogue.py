"""The catalogue shows whatever stands in the data as text, and is searched by what a table means."""

import re

from docs_site.catalogue import ColumnPage, RulePage, Sample, TablePage, render_catalogue
from tests.unit.docs_site.conftest import AT
from tests.unit.docs_site.outline import Outline

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
RATINGS = TablePage(
    name="gold.ratings",
    purpose="What each user thinks.",
    grain="one user and movie",
    owner="data-platform",
    version="",
    rows=1_234_567,
    freshness="",
    columns=(ColumnPage("user_id", "text", "Who rated.", ("key", "not null"), "pseudonymous"),),
    rules=(
        RulePage("not_null(user_id)", "no nulls", "passed", "0 of 9 rows break it", 9),
        RulePage("range(rating)", "at most 10", "failed", "1 of 9 rows break it", 9, "validations/a%20b.html"),
    ),
    checked_at=AT,
    tests=("relationships(movie_key)",),
    sample=Sample(("movie_id", "rating"), ((1_234_567, 8.5), (13, None))),
    sources=("silver.ratings", "staging.stg_ratings"),
)  # fmt: skip
SILVER = TablePage("silver.ratings", "Latest ratings.", "", "data-platform", "1.0.0", None, "", ())
EVIL = TablePage(
    name="bronze.movie",
    purpose=HOSTILE,
    grain=HOSTILE,
    owner=HOSTILE,
    version=HOSTILE,
    rows=1,
    freshness=HOSTILE,
    columns=(ColumnPage(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), HOSTILE),),
    rules=(RulePage(HOSTILE, HOSTILE, "passed", HOSTILE, 1, HOSTILE),),
    tests=(HOSTILE,),
    sample=Sample((HOSTILE,), ((HOSTILE,),)),
    sources=(HOSTILE,),
    targets=(HOSTILE,),
)


def test_whatever_the_data_says_is_shown_as_text() -> None:
    for page in render_catalogue([EVIL], AT).values():
        outline = Outline(page)
        scripts = [attrs for tag, attrs in outline.tags if tag == "script"]
        assert all(str(attrs.get("src", "")).endswith("assets/search.js") for attrs in scripts)
        assert "img" not in [tag for tag, _ in outline.tags]
        assert not [name for _, attrs in outline.tags for name in attrs if name.startswith("on")]
    # As often as it was given, but for the two places that cut it or put it into an attribute.
    assert sum(HOSTILE in text for text in outline.texts) >= 1
    table = Outline(render_catalogue([EVIL], AT)[EVIL.path])
    assert sum(HOSTILE in text for text in table.texts) >= 14


def test_a_table_shows_all_that_is_known_of_it() -> None:
    page = render_catalogue([RATINGS, SILVER], AT)["tables/gold.ratings.html"]
    texts = Outline(page).texts
    for text in (
        "gold.ratings", "What each user thinks.", "one user and movie", "1,234,567",
        "data-platform", "user_id", "Who rated.", "pseudonymous", "range(rating)", "at most 10",
        "1 of 9 rows break it", "relationships(movie_key)", "1234567", "8.50",
    ):  # fmt: skip
        assert any(text in found for found in texts), text
    assert '<a href="silver.ratings.html">' in page
    assert "stg_ratings.html" not in page
    assert 'href="../data-docs.html#validations/a%20b.html"' in page


def test_a_name_in_backticks_is_code_and_nothing_else_is_markup() -> None:
    written = "The `movie_id`, <b>not</b> the `title`."
    table = TablePage(
        "silver.t", written, written, "o", "1.0.0", 1, "",
        (ColumnPage("c", "text", written, (f"one of `a`, {written}",)),),
        (RulePage("r", written, "passed", "", 1),),
    )  # fmt: skip
    for page in render_catalogue([table], AT).values():
        shown = re.sub(r"<tr data-words=.*?>", "", page)
        assert "`" not in shown
        assert "<code>movie_id</code>, &lt;b&gt;not&lt;/b&gt; the <code>title</code>." in shown


def test_a_state_stands_beside_its_name_where_a_phone_still_shows_it() -> None:
    for page in render_catalogue([RATINGS, SILVER], AT).values():
        heads = re.findall(r"<thead><tr>(.*?)</tr>", page, re.DOTALL)
        for head in heads:
            names = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', head)
            for state in {"State", "Rules"} & set(names):
                assert names.index(state) == 1, names


def test_a_table_is_as_bad_as_its_worst_rule() -> None:
    assert (RATINGS.state, SILVER.state) == ("failed", "not checked")
    overview = render_catalogue([RATINGS, SILVER], AT)["catalogue.html"]
    rows = dict(
        re.findall(
            r'<a href="tables/([\w.]+)\.html">.*?class="state \w+">([^<]+)<', overview, re.DOTALL
        )
    )
    assert rows == {"gold.ratings": "failed", "silver.ratings": "not checked"}


def test_the_search_looks_through_names_columns_and_meanings() -> None:
    for word in ("gold.ratings", "what each user", "user_id", "who rated", "data-platform"):
        assert word in RATINGS.words
    assert RATINGS.words == RATINGS.words.lower()
