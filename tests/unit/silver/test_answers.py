"""Texts of TMDB's answers in one form, however deep they lie."""

import pyarrow as pa

from lakehouse.silver.answers import texts_in_one_form


def test_texts_are_trimmed_and_normalised_at_any_depth_and_blank_ones_are_null() -> None:
    person = pa.struct([("name", pa.string()), ("id", pa.int64())])
    movies = pa.array(
        [
            {"title": "  Ame\u0301lie\u00a0", "year": 2001, "cast": [{"name": "\u3000", "id": 1}]},
            {"title": "", "year": None, "cast": []},
            {"title": None, "year": 1999, "cast": None},
            None,
        ],
        pa.struct([("title", pa.string()), ("year", pa.int32()), ("cast", pa.list_(person))]),
    )
    cleaned = texts_in_one_form(movies)
    assert cleaned.type == movies.type
    assert cleaned.to_pylist() == [
        {"title": "Am\u00e9lie", "year": 2001, "cast": [{"name": None, "id": 1}]},
        {"title": None, "year": None, "cast": []},
        {"title": None, "year": 1999, "cast": None},
        None,
    ]


def test_what_is_no_text_stays_as_it_is() -> None:
    numbers = pa.array([1, None, 3])
    assert texts_in_one_form(numbers) is numbers
