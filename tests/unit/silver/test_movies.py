"""`silver.movies`: TMDB answers, cleaned and judged, and which of two answers counts."""

import json
import random
from collections.abc import Callable
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.frames import frame_of
from lakehouse.silver import movies
from tests.unit.silver.conftest import answer, published


def _judged(bronze_rows: Callable[..., DataFrame], *values: Any) -> list[Row]:
    return movies.transform(bronze_rows(*values, topic="movie")).orderBy("kafka_offset").collect()


def test_zero_and_blank_mean_unknown(bronze_rows: Callable[..., DataFrame]) -> None:
    unknown = answer(budget=0, revenue=0, runtime=0, release_date="", homepage=" ", tagline=None)
    (row,) = _judged(bronze_rows, unknown)
    assert row.broken is None
    assert (row.budget_usd, row.revenue_usd, row.runtime_minutes) == (None, None, None)
    assert (row.release_date, row.homepage, row.tagline) == (None, None, None)


def test_a_number_that_is_not_given_is_null(bronze_rows: Callable[..., DataFrame]) -> None:
    columns = ["budget_usd", "revenue_usd", "runtime_minutes", "popularity", "vote_average"]
    fields = ("budget", "revenue", "runtime", "popularity", "vote_average", "vote_count")
    (row,) = _judged(bronze_rows, answer(**dict.fromkeys(fields)))
    assert row.broken is None
    assert {row[name] for name in (*columns, "vote_count")} == {None}


def test_known_fields_are_typed_and_trimmed(bronze_rows: Callable[..., DataFrame]) -> None:
    (row,) = _judged(bronze_rows, answer())
    assert (row.title, row.runtime_minutes, row.budget_usd) == ("Forrest Gump", 142, 55000000)
    assert row.release_date == date(1994, 7, 6)


def test_every_text_is_in_one_unicode_form(bronze_rows: Callable[..., DataFrame]) -> None:
    decomposed = answer(
        title="\u3000Ame\u0301lie\u00a0",
        original_language="FR",
        genres=[{"id": 1, "name": "Come\u0301die\u00a0"}],
        credits={"cast": [{"id": 1, "credit_id": "c", "name": "E\u0301lodie"}], "crew": []},
    )
    (row,) = _judged(bronze_rows, decomposed)
    assert (row.title, row.genres[0].name) == ("Amélie", "Comédie")
    assert row.cast_credits[0].name == "Élodie"
    assert (row.original_language, row.original_language_is_iso) == ("fr", True)


def test_an_unknown_language_is_kept_and_flagged(bronze_rows: Callable[..., DataFrame]) -> None:
    rows = _judged(
        bronze_rows, *(answer(original_language=code) for code in ("xx", "cn", "de", None))
    )
    assert [(row.broken, row.original_language) for row in rows] == [
        (None, "xx"),
        (None, "cn"),
        (None, "de"),
        (None, None),
    ]
    assert [row.original_language_is_iso for row in rows] == [False, False, True, None]


BROKEN = [
    (b"not json", "not_json"),
    (b"[1, 2]", "not_json"),
    (b'{"movie": ', "not_json"),
    (None, "not_json"),
    (json.dumps(answer(title="?")).encode().replace(b"?", b"\xff"), "text_not_storable"),
    (answer(overview="a\x00b"), "text_not_storable"),
    (answer(genres=[{"id": 1, "name": "a\x00b"}]), "text_not_storable"),
    (answer(budget="much"), "wrong_type"),
    (answer(keywords=["a list"]), "wrong_type"),
    (answer(runtime=1e12), "out_of_range"),
    (answer(runtime=float("nan")), "out_of_range"),
    (answer(title=" \u00a0"), "missing_field"),
    (answer(id=None), "missing_field"),
    (answer(status="Lost"), "value_not_allowed"),
    (answer(vote_average=10.1), "out_of_range"),
    (answer(imdb_id="109830"), "bad_format"),
    (answer(release_date="soon"), "bad_format"),
    (answer(genres=[{"id": 0, "name": "Nothing"}]), "out_of_range"),
    (answer(deleted_at="yesterday"), "bad_timestamp"),
    (answer(fetched_at=None), "missing_field"),
    *(
        (answer(**{name: value}), "wrong_type")
        for name in movies.NUMBERS
        for value in ("0x10", "1,000", "1 000", "1_000", "12 min", "1.5.2", ".5", "5.", "+5", {}, True)
    ),
    *(
        (answer(**{name: value}), "out_of_range")
        for name in movies.NUMBERS
        for value in ("NaN", "nan", "Infinity", "-inf", float("nan"), float("inf"), "1e400", -1e300)
    ),
    *((answer(**{name: 1.5}), "wrong_type") for name in ("id", "budget", "vote_count")),
    *(
        (answer(release_date=text), "bad_format")
        for text in ("12:30", "T12:00", "-0001-11-30", "0000-00-00", "10000-01-01", "+2009-12-10", "2009-02-30")
    ),
    *((answer(release_date=text), "bad_format") for text in ("1994", "1994-07", "7/6/1994", "19940706", "2009-12-10T")),
    *(
        (answer(**{name: text}), "bad_timestamp")
        for name in ("fetched_at", "deleted_at")
        for text in ("12:30", "T12:00", "1969-12-31", "-0001-11-30", "10000-01-01T00:00:00Z", "1767225600")
    ),
    *(
        (answer(**{name: text}), "occurred_in_the_future")
        for name in ("fetched_at", "deleted_at")
        for text in ("2026-02-01T00:05:00.000001Z", "2026-02-01T02:00:00+01:00", "2100-01-01T00:00:00Z", "2199-12-31T23:59:59Z")
    ),
    (answer(title={"en": "Gump"}), "wrong_type"),
    (answer(title=["Gump"]), "wrong_type"),
    (answer(overview=False), "wrong_type"),
    (answer(adult="perhaps"), "wrong_type"),
    (answer(genres=["Drama"]), "wrong_type"),
    (answer(genres=[{"id": "many", "name": "Drama"}]), "wrong_type"),
    (answer(genres=[{"id": 1.5, "name": "Drama"}]), "wrong_type"),
    (answer(genres=[{"id": 2**53, "name": "Drama"}]), "out_of_range"),
    (answer(genres=[{"id": 1, "name": "x" * 1025}]), "out_of_range"),
    (answer(genres=[{"id": 2**52 + n, "name": "Many"} for n in range(300)]), "out_of_range"),
    (answer(production_companies=[{"id": 1, "origin_country": "x" * 17}]), "out_of_range"),
    (answer(production_countries=[{"iso_3166_1": "x" * 17}]), "out_of_range"),
    (answer(spoken_languages=[{"iso_639_1": "de"}, {"iso_639_1": "x" * 17}]), "out_of_range"),
    (answer(keywords={"keywords": [{"id": 7, "name": "x" * 1025}]}), "out_of_range"),
    (answer(credits={"cast": [{"id": 1, "credit_id": "x" * 65}]}), "out_of_range"),
    (answer(credits={"cast": [{"id": 1, "credit_id": "c", "order": 10**12}]}), "out_of_range"),
    (answer(credits={"crew": [{"id": 1, "credit_id": "c", "job": "x" * 257}]}), "out_of_range"),
]  # fmt: skip


def test_each_broken_answer_is_set_aside_with_its_rule(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    rows = _judged(bronze_rows, *(value for value, _ in BROKEN))
    assert [row.broken.rule if row.broken else None for row in rows] == [rule for _, rule in BROKEN]
    sent = [json.dumps(v).encode() if isinstance(v, dict) else v for v, _ in BROKEN]
    assert [row.payload and bytes(row.payload) for row in rows] == sent


def test_a_number_that_comes_as_a_text_is_taken(bronze_rows: Callable[..., DataFrame]) -> None:
    texts = ["93.49", " 93.49 ", "9349e-2", "0.9349E+2"]
    rows = _judged(bronze_rows, *(answer(popularity=text, runtime=text) for text in texts))
    found = [(row.broken, row.popularity, row.runtime_minutes) for row in rows]
    assert found == [(None, 93.49, 93)] * len(texts)


def _with_numbers(form: Callable[[int], Any]) -> dict[str, Any]:
    person = {"id": form(31), "credit_id": "c", "order": form(2)}
    return answer(
        id=form(13),
        runtime=form(142),
        budget=form(55_000_000),
        vote_count=form(25_000),
        genres=[{"id": form(18), "name": "Drama"}, None],
        credits={"cast": [person], "crew": [person]},
    )


def test_a_whole_number_is_taken_in_every_form_of_a_finite_decimal(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    forms = [str, float, "{}.0".format, "{}e0".format, " {} ".format]
    rows = _judged(bronze_rows, *map(_with_numbers, forms))
    assert len(rows) == len(forms)
    for row in rows:
        assert row.broken is None
        assert (row.movie_id, row.runtime_minutes) == (13, 142)
        assert (row.budget_usd, row.vote_count) == (55_000_000, 25_000)
        assert (row.genres[0].id, row.cast_credits[0].id, row.cast_credits[0].order) == (18, 31, 2)
        assert row.crew_credits[0].id == 31


def test_a_time_in_a_field_of_dates_counts_as_the_date_that_is_written(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    texts = [
        "2009-12-10",
        "2009-12-10T23:30:00-05:00",
        "2009-12-10 00:30:00+05:00",
        "2009-12-10T23:30Z",
        "2009-12-10T23:30:00.123456",
    ]
    rows = _judged(bronze_rows, *(answer(release_date=text) for text in texts))
    found = [(row.broken, row.release_date) for row in rows]
    assert found == [(None, date(2009, 12, 10))] * len(texts)


def test_the_title_of_a_thousand_characters_is_taken(bronze_rows: Callable[..., DataFrame]) -> None:
    title = "".join(map(chr, range(0x4E00, 0x4E00 + 1000)))
    (row,) = _judged(bronze_rows, answer(title=title))
    assert (row.broken, row.title) == (None, title)


REASONS = [
    (answer(budget="much"), 'budget is not a number; it is the text "much"'),
    (answer(budget={"usd": 1}), "budget is not a number; it is an object"),
    (answer(popularity=1e308), "popularity is above 1000000000; it is the number 1.0E308"),
    (answer(title="x" * 2000), f'title is longer than 1024 characters; it is the text "{"x" * 40}"... (2000 characters)'),
    (answer(release_date="-0001-11-30"), 'release_date is not a date; it is the text "-0001-11-30"'),
    (answer(keywords=["a list"]), "a field has another type than in TMDB's answers; it is movie.keywords, a list"),
    (answer(title=["Gump"]), "title is not a text; it is a list"),
    (answer(fetched_at="2199-12-31T23:59:59Z"), "fetched_at is more than 5 minutes after Kafka's time of the message; it is the text \"2199-12-31T23:59:59Z\""),
    (answer(genres=[{"id": 1}, {"id": "0x1"}]), 'id in genres is not a whole number; it is the text "0x1"'),
    (answer(genres=[{"id": 1}, {"id": 0}]), "id in genres is below 1; it is the number 0"),
]  # fmt: skip


def test_each_reason_names_the_field_and_shows_the_form_of_its_value(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    rows = _judged(bronze_rows, *(value for value, _ in REASONS))
    found = [row.broken.reason if row.broken else None for row in rows]
    assert found == [reason for _, reason in REASONS]


def test_the_answer_fetched_last_wins_whatever_its_offset(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    newer = answer(fetched_at="2026-01-03T00:00:00.000000Z", title="new")
    older = answer(fetched_at="2026-01-02T00:00:00.000000Z", title="old")
    row = movies.latest(movies.transform(bronze_rows(newer, older))).collect()[0]
    assert row.title == "new"


def test_a_deletion_is_a_flag_and_an_answer_after_it_takes_it_back(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    fetched = answer()
    deleted = answer(deleted_at="2026-01-05T00:00:00.000000Z")
    again = answer(fetched_at="2026-01-06T00:00:00.000000Z")
    row = movies.latest(movies.transform(bronze_rows(deleted, fetched))).collect()[0]
    assert (row.is_deleted, row.deleted_at.day, row.title) == (True, 5, "Forrest Gump")
    row = movies.latest(movies.transform(bronze_rows(again, deleted, fetched))).collect()[0]
    assert (row.is_deleted, row.deleted_at) == (False, None)


KEYWORDS = {"keywords": [{"id": 7, "name": "heist"}]}
CREDITS = {"cast": [{"id": 1, "credit_id": "c", "name": "Ada"}]}
HISTORY = [
    answer(fetched_at="2026-01-01T00:00:00Z", title="first", keywords=KEYWORDS),
    answer(fetched_at="2026-01-02T00:00:00Z", title="second", credits=CREDITS),
    answer(fetched_at="2026-01-02T00:00:00Z", title="second", credits=CREDITS),
    answer(fetched_at="2026-01-03T00:00:00Z", title="third", keywords={"keywords": []}),
    answer(fetched_at="2026-01-03T00:00:00Z", deleted_at="2026-01-04T00:00:00Z", title="third"),
]


@pytest.mark.parametrize("seed", range(2))
def test_batches_in_any_order_leave_the_same_movie(
    bronze_rows: Callable[..., DataFrame], seed: int
) -> None:
    history = HISTORY.copy()
    random.Random(seed).shuffle(history)
    cut = seed + 1
    batches = [history[:cut], history[cut:], history[:cut]]

    def fold(held: DataFrame, batch: list[dict[str, Any]]) -> DataFrame:
        newest = movies.latest(movies.transform(bronze_rows(*batch, topic="movie")))
        merged = movies.merge(newest, held).select(held.columns)
        return frame_of(held.sparkSession, merged.collect(), held.schema)

    first = movies.transform(bronze_rows(topic="movie")).select(movies.MOVIE)
    (row,) = reduce(fold, batches, first).collect()
    assert (row.title, row.is_deleted, row.fetched_at.day, row.deleted_at.day) == (
        "third",
        True,
        3,
        4,
    )
    assert (row.keywords_at.day, row.credits_at.day) == (3, 2)


def test_of_two_answers_of_one_moment_one_counts_in_all_that_it_says(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    sent = [answer(title=title, keywords=KEYWORDS, credits=CREDITS) for title in ("one", "other")]
    judged = movies.transform(bronze_rows(*sent)).persist()
    one, other = (
        movies.latest(judged.where(F.col("title") == each["movie"]["title"])) for each in sent
    )
    for newest, held in ((one, other), (other, one)):
        (row,) = movies.merge(newest, held.select(movies.MOVIE)).collect()
        assert row.takes_answer == row.takes_keywords == row.takes_credits
        assert row.content_hash == max(each["content_hash"] for each in sent)


def test_an_answer_without_keywords_and_credits_says_nothing_about_them(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    asked = answer(keywords=KEYWORDS, credits=CREDITS)
    plain = answer(fetched_at="2026-01-02T00:00:00Z", title="plain")
    held = movies.latest(movies.transform(bronze_rows(asked))).select(movies.MOVIE)
    row = movies.merge(movies.latest(movies.transform(bronze_rows(plain))), held).collect()[0]
    assert (row.title, row.takes_answer) == ("plain", True)
    assert (row.takes_keywords, row.takes_credits) == (False, False)
    assert row.keywords_at.day == row.credits_at.day == 1


SAME = ["title", "original_title", "original_language", "overview", "tagline", "status", "adult"]
SAME += ["popularity", "vote_average", "vote_count", "homepage", "imdb_id"]


@pytest.mark.parametrize(
    "name", ["movie", "movie-blank-homepage-release-date", "movie-details-append-response"]
)
def test_a_raw_answer_keeps_its_meaning(
    bronze_rows: Callable[..., DataFrame], real_files: Path, name: str
) -> None:
    raw = json.loads((real_files / "tmdb" / f"{name}.json").read_text())
    (row,) = _judged(bronze_rows, published(raw))
    assert row.broken is None
    assert json.loads(bytes(row.payload))["movie"] == raw
    assert {field: row[field] for field in SAME} == {
        field: raw[field] or None for field in SAME
    } | {"adult": raw["adult"]}
    released = row.release_date.isoformat() if row.release_date else ""
    assert (row.movie_id, released) == (raw["id"], raw["release_date"])
    assert (row.runtime_minutes, row.budget_usd, row.revenue_usd) == (
        raw["runtime"],
        raw["budget"],
        raw["revenue"],
    )
    assert [g.asDict() for g in row.genres] == raw["genres"]
    companies = [
        (c["id"], c["name"], c["origin_country"] or None) for c in raw["production_companies"]
    ]
    assert [tuple(c) for c in row.production_companies] == companies
    assert [tuple(c) for c in row.production_countries] == [
        (c["iso_3166_1"], c["name"]) for c in raw["production_countries"]
    ]
    assert [tuple(s) for s in row.spoken_languages] == [
        (s["iso_639_1"], s["name"], s.get("english_name")) for s in raw["spoken_languages"]
    ]
    keywords = raw["keywords"]["keywords"] if "keywords" in raw else None
    assert (row.keywords and [k.asDict() for k in row.keywords]) == keywords
    for part, credits in (("cast", row.cast_credits), ("crew", row.crew_credits)):
        expected = raw["credits"][part] if "credits" in raw else None
        found = credits and [credit.asDict() for credit in credits]
        assert found == (
            expected and [{field: each[field] for field in found[0]} for each in expected]
        )
