import csv
import gzip
import json
from pathlib import Path
from typing import Any

import bson
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinelake.errors import BadInputError
from ingestion.batches import in_batches
from ingestion.raw_store import _escape, _unescape, _with_keys, content_hash
from ingestion.tmdb.catalog import count_movies, read_movies

ROW = {
    "id": "19995",
    "title": "Avatar",
    "budget": "237000000",
    "genres": '[{"id": 28, "name": "Action"}]',
    "keywords": '[{"id": 1463, "name": "culture clash"}]',
    "homepage": "",
    "overview": 'He said "hi",\nand left',
    "popularity": "150.437577",
    "release_date": "2009-12-10",
    "runtime": "162.0",
    "vote_average": "7.2",
    "vote_count": "11800",
}


def write_csv(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_csv_row_becomes_tmdbs_answer(tmp_path: Path) -> None:
    (movie,) = read_movies(write_csv(tmp_path / "movies.csv", ROW))
    assert movie == {
        "id": 19995,
        "title": "Avatar",
        "budget": 237000000,
        "genres": [{"id": 28, "name": "Action"}],
        "keywords": {"keywords": [{"id": 1463, "name": "culture clash"}]},
        "homepage": None,
        "overview": 'He said "hi",\nand left',
        "popularity": 150.437577,
        "release_date": "2009-12-10",
        "runtime": 162,
        "vote_average": 7.2,
        "vote_count": 11800,
    }
    assert type(movie["runtime"]) is type(movie["budget"]) is int


def test_blank_fields_are_null(tmp_path: Path) -> None:
    blank = dict.fromkeys(ROW, "") | {"id": "1", "title": "Untitled"}
    (movie,) = read_movies(write_csv(tmp_path / "movies.csv", blank))
    assert {name for name, value in movie.items() if value is not None} == {"id", "title"}


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json"])
def test_json_lines_are_taken_as_they_are(tmp_path: Path, suffix: str) -> None:
    movies = [{"id": 1, "title": "é", "release_date": "", "x": {"$a.b": None}}, {"id": 2}]
    path = tmp_path / f"movies{suffix}"
    path.write_text("\n\n".join(json.dumps(movie) for movie in movies))
    assert list(read_movies(path)) == movies
    assert count_movies(path) == 2


@pytest.mark.parametrize(
    "line",
    [
        "nope",
        "[1]",
        "{}",
        '{"id": "x"}',
        '{"id": "0x1"}',
        '{"id": "NaN"}',
        '{"id": true}',
        '{"id": 0}',
        '{"id": 1.5}',
        '{"id": 1, "n": 18446744073709551615}',
        '{"id": 123456789012345678901234}',
    ],
)
def test_a_bad_json_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "movies.jsonl"
    path.write_text('{"id": 1}\n' + line + '\n{"id": 2}\n')
    with pytest.raises(BadInputError, match=r"movies\.jsonl, line 2 "):
        list(read_movies(path))


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x"},
        {"id": "1.5"},
        {"budget": "cheap"},
        {"budget": "1_000"},
        {"budget": "1,000"},
        {"budget": "0x10"},
        {"budget": "123456789012345678901234"},
        {"budget": "1234567890123456789.5"},
        {"vote_average": "nan"},
        {"runtime": "inf"},
        {"genres": "[{'id': 28}]"},
    ],
)
def test_a_bad_csv_row_is_named(tmp_path: Path, change: dict[str, str]) -> None:
    good = ROW | {"overview": ""}
    path = write_csv(tmp_path / "movies.csv", good, good | change)
    with pytest.raises(BadInputError, match=r"movies\.csv, line 3 "):
        list(read_movies(path))


def test_a_row_of_the_wrong_length_is_named(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text("id,title\n1,a\n2\n")
    with pytest.raises(BadInputError, match=r"line 3 .*has 1 fields where the header has 2"):
        list(read_movies(path))
    path.write_text("id,title\n1,a,b\n")
    with pytest.raises(BadInputError, match=r"line 2 .*has 3 fields where the header has 2"):
        list(read_movies(path))


@pytest.mark.parametrize("movie_id", ["862", "862.0", " 862 ", "8.62e2"])
def test_an_id_is_read_however_other_programs_write_it(tmp_path: Path, movie_id: str) -> None:
    (movie,) = read_movies(write_csv(tmp_path / "movies.csv", ROW | {"id": movie_id}))
    lines = tmp_path / "movies.jsonl"
    lines.write_text(f'{{"id": {json.dumps(movie_id)}}}\n{{"id": {movie_id}}}\n')
    assert [each["id"] for each in (movie, *read_movies(lines))] == [862] * 3
    assert type(next(read_movies(lines))["id"]) is int


def test_a_file_is_read_in_the_form_that_spreadsheets_and_editors_give_it(tmp_path: Path) -> None:
    rows = ['" id " , "title"'.replace(" ,", ",").replace(', "', ',"'), "1, Amélie ", "", ",", ""]
    path = tmp_path / "movies.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())
    assert list(read_movies(path)) == [{"id": 1, "title": " Amélie "}]
    lines = tmp_path / "movies.jsonl"
    lines.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n\r\n{"id": 2}\r\n\r\n')
    assert [movie["id"] for movie in read_movies(lines)] == [1, 2]


def test_a_field_may_be_long(tmp_path: Path) -> None:
    long = "x" * 3_000_000
    (movie,) = read_movies(write_csv(tmp_path / "movies.csv", ROW | {"overview": long}))
    assert movie["overview"] == long


def test_a_movie_that_no_store_takes_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "movies.csv", ROW, ROW | {"overview": "x" * 13_000_000})
    with pytest.raises(BadInputError, match=r"line 4 cannot be stored"):
        list(read_movies(path))


def test_a_column_that_stands_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text("id,title,budget, title\n1,a,2,b\n")
    with pytest.raises(BadInputError, match="title twice"):
        list(read_movies(path))


UNSTORABLE = {
    "9007199254740992": "is an integer beyond 53 bits",
    "-9007199254740992": "is an integer beyond 53 bits",
    "1152921504606846976": "is an integer beyond 53 bits",
    "123456789012345678901234": "is an integer beyond 53 bits",
    "9" * 5000: "is an integer beyond 53 bits",
    "1e999": "is not a finite number",
    "-1e999": "is not a finite number",
    '"\\ud800"': "contains half of a surrogate pair, which is not Unicode text",
    '{"\\udfff": 1}': "contains half of a surrogate pair, which is not Unicode text",
    "[" * 300 + "]" * 300: "nests deeper than 90 levels",
    '{"a":' * 300 + "1" + "}" * 300: "nests deeper than 90 levels",
}


@pytest.mark.parametrize(("value", "reason"), UNSTORABLE.items(), ids=range(len(UNSTORABLE)))
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_value_that_no_store_holds_is_named_with_its_line_and_field(
    tmp_path: Path, value: str, reason: str, depth: int
) -> None:
    inner = '[{"a": ' * depth + value + "}]" * depth
    place = "genres" + r"\.0\.a" * depth
    lines = tmp_path / "movies.jsonl"
    lines.write_text(f'{{"id": 1}}\n{{"id": 2, "genres": {inner}}}\n')
    for path in (
        lines,
        write_csv(tmp_path / "movies.csv", {"id": "2", "title": "a", "genres": inner}),
    ):
        with pytest.raises(BadInputError, match=rf"line 2 cannot be stored: {place}.*{reason}\."):
            list(read_movies(path))


@pytest.mark.parametrize("levels", [1030, 100_000])
def test_json_that_nests_beyond_every_parser_is_named(tmp_path: Path, levels: int) -> None:
    path = tmp_path / "movies.jsonl"
    path.write_text(f'{{"id": 1, "x": {"[" * levels}{"]" * levels}}}\n')
    with pytest.raises(BadInputError, match=r"line 1 is not JSON"):
        list(read_movies(path))


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_movie_is_taken_as_it_is_or_refused(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    path = tmp_path_factory.mktemp("catalog") / "movies.jsonl"
    path.write_text(json.dumps({"id": 1, "x": value}).replace("Infinity", "1e999") + "\n")
    try:
        (movie,) = read_movies(path)
    except BadInputError as error:
        assert "cannot be stored: x" in error.message
    else:
        assert movie == {"id": 1, "x": value}
        assert orjson.loads(orjson.dumps(movie)) == movie
        bson.encode(_with_keys(movie, _escape))


@pytest.mark.parametrize("bad", ["nope", '{"id": 0}'])
def test_the_movies_before_a_bad_line_are_counted_and_given_in_batches(
    tmp_path: Path, bad: str
) -> None:
    path = tmp_path / "movies.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n{"id": 3}\n' + bad + "\n")
    assert count_movies(path) == 3
    given = []
    with pytest.raises(BadInputError):
        given.extend(in_batches(read_movies(path), 500))
    assert [[movie["id"] for movie in batch] for batch in given] == [[1, 2, 3]]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text("title\na\n")
    with pytest.raises(BadInputError, match="lacks the column id"):
        list(read_movies(path))


@pytest.mark.parametrize("name", ["nowhere.csv", "movies.xlsx", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError):
        list(read_movies(tmp_path / name))


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_bytes(b"id,title\n1,caf\xe9\n")
    with pytest.raises(BadInputError, match="UTF-8"):
        list(read_movies(path))


def test_the_content_hash_knows_no_order_of_keys() -> None:
    assert content_hash({"id": 1, "a": {"x": 1, "y": 2}}) == content_hash(
        {"a": {"y": 2, "x": 1}, "id": 1}
    )
    assert content_hash({"id": 1, "a": None}) != content_hash({"id": 1})


@pytest.mark.parametrize("key", ["", "$set", "a.b", "\0", "~", "~0", "~~0", "a~\0~", "\1~"])
def test_any_key_survives_the_raw_store(key: str) -> None:
    payload: dict[str, Any] = {key: [{key: {key: 1}}], "id": 1}
    stored = _with_keys(payload, _escape)
    assert not any("\0" in name for name in stored)
    assert _with_keys(stored, _unescape) == payload


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.jsonl", "x.jsonl.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_catalogue_is_read_whatever_its_mark_and_packing(
    tmp_path: Path, name: str, encoding: str
) -> None:
    # With the numbers of rows, as pandas writes them.
    text = ',id,title\n0,13,"Amélie"\n,,\n' if ".csv" in name else '{"id": 13, "title": "Amélie"}\n'
    data = text.encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert list(read_movies(path)) == [{"id": 13, "title": "Amélie"}]


def test_a_packed_catalogue_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": 13, "title": "a"}\n' * 1000)[:-20])
    with pytest.raises(BadInputError, match="cannot be read"):
        list(read_movies(path))
