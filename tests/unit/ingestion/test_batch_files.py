import codecs
import csv
import gzip
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from events_by_type import event_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_publisher import KEY, KnownKeys, RecordingPublisher, serving

from cinelake.errors import BadInputError, ServiceError
from ingestion.api.app import create_app
from ingestion.api.reading import MAX_BODY_BYTES
from ingestion.batch_files import importing
from ingestion.batch_files.envelope_rows import IDS, NUMBERS, events_from_rows
from ingestion.batch_files.formats import choose, links_for, mapping_for
from ingestion.batch_files.importing import MAX_BATCH_BYTES, ImportResult, import_rows
from ingestion.batch_files.journal import Job, Journal
from ingestion.batch_files.rows import Refusal, Row, columns_of, count_rows, read_rows
from ingestion.client import EventSender
from ingestion.events import EVENT_TYPES, IDENTIFIER, NO_EVENT_ID, Properties, json_schema, utc_time
from ingestion.movielens import ratings_mapping, tags_mapping
from ingestion.topics import USER_LOGS

AT = "2026-01-01T12:00:00Z"


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def api(publisher: RecordingPublisher) -> Iterator[str]:
    with serving(create_app(publisher=publisher, keys=KnownKeys())) as url:
        yield url


def search(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "event_type": "search",
        "occurred_at": AT,
        "user_id": f"user-{number % 7}",
        "properties": {"query": f"q{number}"},
    } | fields


def write_lines(path: Path, rows: list[Any]) -> Path:
    data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def run(api: str, path: Path, format_name: str | None = None, **options: Any) -> ImportResult:
    name = choose(path, format_name)
    return import_rows(
        EventSender(api, api_key=KEY), read_rows(path), mapping_for(path, name), **options
    )


# --- Reading ------------------------------------------------------------------------------------------------

cell = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(cell, cell, cell), max_size=8), packed=st.booleans())
def test_csv_is_read_as_it_was_written_and_each_row_has_its_line(
    tmp_path: Path, table: list[tuple[str, str, str]], packed: bool
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b", "c"])
    lines = []
    for row in table:
        lines.append(len(_physical_lines(out.getvalue())) + 1)
        writer.writerow(row)
    path = tmp_path / ("x.csv.gz" if packed else "x.csv")
    data = out.getvalue().encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    rows = list(read_rows(path))
    # A row of blanks says nothing.
    told = [each for each in zip(table, lines, strict=True) if any(map(str.strip, each[0]))]
    found = [(tuple(row.fields.values()), row.line) for row in rows]  # type: ignore[union-attr]
    assert found == told


def _physical_lines(text: str) -> list[str]:
    return io.StringIO(text, newline="").readlines()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".jsonl", ".parquet", ".csv.gz"])
)
def test_no_bytes_make_the_reader_crash(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    try:
        rows = list(read_rows(path))
        columns_of(path)
    except BadInputError:
        return
    assert all(row.line >= 1 for row in rows)


def test_a_bad_row_is_named_by_its_line_and_does_not_end_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(
        b'\xef\xbb\xbfa,b\n1,"two\nlines"\n3\n\n5,6,7\n\xff,8\n9,"x"y\n10,caf\xc3\xa9\n11,"never closed\n12,13\n'
    )
    rows = list(read_rows(path))
    assert [row.line for row in rows] == [2, 4, 6, 7, 8, 9, 10]
    assert [row.fields for row in rows if isinstance(row, Row)] == [
        {"a": "1", "b": "two\nlines"},
        {"a": "10", "b": "café"},
    ]
    reasons = [row.reason for row in rows if isinstance(row, Refusal)]
    assert reasons[:3] == [
        "the row has 1 fields where the header has 2",
        "the row has 3 fields where the header has 2",
        "the row is not UTF-8",
    ]
    assert all(reason.startswith("the row is not CSV") for reason in reasons[3:])


def test_a_line_of_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    long = b'{"a": "' + b"x" * (1024 * 1024) + b'"}'
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n[1]\nnull\n{"a": \n' + long + b'\n{"a": 2}')
    rows = list(read_rows(path))
    assert [row.line for row in rows] == [1, 3, 4, 5, 6, 7]
    assert [row.fields for row in rows if isinstance(row, Row)] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.txt", b"a\n1\n", "does not tell"),
        ("x.csv", b"", "no columns"),
        ("x.jsonl", b"", "no columns"),
        ("x.csv", b"a,b,a\n", "a twice"),
        ("x.parquet", b"PAR1 not really", "cannot be read"),
        ("x.parquet.gz", b"not gzip", "cannot be read"),
        ("x.csv.gz", b"not gzip", "cannot be read"),
        ("x.csv", b"colour,size\nred,1\n", "no known format: colour, size"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_is_an_error(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=problem):
        choose(path)


TABLE = "event_type,occurred_at,user_id\nsession_start,2026-01-01T12:00:00Z,ada\n"


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        (codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be")),
        gzip.compress(TABLE.encode()),
        gzip.compress(TABLE.encode("utf-16")),
    ],
    ids=["utf-8", "utf-16-le", "utf-16-be", "gzip", "gzip of utf-16"],
)
def test_a_table_is_read_whatever_its_mark_and_packing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    assert choose(path) == "events"
    (row,) = read_rows(path)
    assert row == Row(2, {"event_type": "session_start", "occurred_at": AT, "user_id": "ada"})


@pytest.mark.parametrize("byte_order", ["utf-16-le", "utf-16-be"])
def test_half_of_a_surrogate_pair_in_utf_16_costs_its_row_alone(
    tmp_path: Path, byte_order: str
) -> None:
    path = tmp_path / "x.csv"
    # Far enough that pairs stand across the borders of what is read at once.
    table = "\ufeffa,b\n" + "1,🎬🎬🎬\n" * 5000 + "2,\ud83c\n3,é\n"
    path.write_bytes(table.encode(byte_order, "surrogatepass"))
    *whole, broken, last = read_rows(path)
    assert [row.fields for row in whole if isinstance(row, Row)] == [
        {"a": "1", "b": "🎬🎬🎬"}
    ] * 5000
    assert broken == Refusal(5002, "the row is not UTF-8", ["2", "\\xed\\xa0\\xbc"])
    assert last == Row(5003, {"a": "3", "b": "é"})


def not_utf8(kind: pa.DataType = pa.string()) -> pa.Array:  # noqa: B008 - it has no state
    """A text between two others that is no UTF-8, as a program in another language may write it."""
    return pa.array([b"a", b"\xff\xfe", b"c"]).view(kind)


def moments(kind: pa.DataType, value: int) -> pa.Array:
    return pa.array([0, value, 0], pa.int64()).cast(pa.int64()).view(kind)


TWICE = pa.array([[("a", 1)], [("a", 1), ("a", 2)], []], pa.map_(pa.string(), pa.int64()))
ODD_VALUES = {
    "a key twice": (TWICE, "has a key twice"),
    "a key twice in a list": (
        pa.ListArray.from_arrays([0, 1, 2, 3], TWICE),
        "has a key twice",
    ),
    "a text": (not_utf8(), "is not UTF-8"),
    "a text in a struct": (pa.StructArray.from_arrays([not_utf8()], ["a"]), "is not UTF-8"),
    "the last second in Tokyo": (
        moments(pa.timestamp("us", "Asia/Tokyo"), 253402300799 * 10**6),
        "is a time outside of the years 1 to 9999",
    ),
    "a time in UTC": (
        moments(pa.timestamp("us", "UTC"), 4 * 10**17),
        "is a time outside of the years 1 to 9999",
    ),
    "a time of no zone": (
        moments(pa.timestamp("ms"), -(2**62)),
        "is a time outside of the years 1 to 9999",
    ),
    "a day": (
        pa.array([0, 2**31 - 1, 0], pa.int32()).view(pa.date32()),
        "is a time outside of the years 1 to 9999",
    ),
}


@pytest.mark.parametrize(("column", "reason"), ODD_VALUES.values(), ids=list(ODD_VALUES))
def test_a_value_of_parquet_that_cannot_be_read_costs_its_row_alone(
    tmp_path: Path, column: pa.Array, reason: str
) -> None:
    path = tmp_path / "x.parquet"
    table = {"user_id": ["u1", "u2", "u3"], "x": column, "__index_level_0__": not_utf8()}
    pq.write_table(pa.table(table), path)
    first, second, third = read_rows(path)
    assert (type(first), type(third)) == (Row, Row)
    assert second == Refusal(2, f"x: {reason}", {"user_id": "u2"})
    assert count_rows(path) == 3


def test_each_column_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    zone = moments(pa.timestamp("us", "Mars/Olympus"), 0)
    pq.write_table(pa.table({"a": not_utf8(), "b": TWICE, "c": zone}), path)
    reasons = [row.reason for row in read_rows(path) if isinstance(row, Refusal)]
    unknown = "c: cannot be read: UnknownTimeZoneError"
    assert reasons == [unknown, f"a: is not UTF-8; b: has a key twice; {unknown}", unknown]


NUMBERS_OF_ARROW = st.sampled_from(
    [
        *(pa.timestamp(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC")),
        *(pa.timestamp(unit, "America/New_York") for unit in ("us", "ns")),
        *(pa.time64("us"), pa.time64("ns"), pa.duration("s"), pa.duration("ns"), pa.date64()),
        *(pa.int64(), pa.uint64(), pa.float64()),
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=NUMBERS_OF_ARROW,
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4),
    texts=st.lists(st.binary(max_size=4), min_size=4, max_size=4),
)
def test_every_row_of_parquet_is_given_or_refused_and_written_down(
    tmp_path: Path, kind: pa.DataType, numbers: list[int], texts: list[bytes]
) -> None:
    path = tmp_path / "x.parquet"
    columns = {
        "occurred_at": pa.array(numbers, pa.int64()).view(kind),
        "user_id": pa.array(texts).view(pa.string()),
        "properties": pa.array([{"a": [text], "b": None} for text in texts]),
    }
    table = pa.table(columns)
    pq.write_table(table, path)
    rows = list(read_rows(path))
    assert [row.line for row in rows] == [1, 2, 3, 4]
    assert len(refusals_written(tmp_path, path, rows, events_from_rows)) <= 4


def refusals_written(
    folder: Path, path: Path, rows: list[Row | Refusal], mapping: importing.Mapping
) -> list[dict[str, Any]]:
    """What the file of refused rows says of rows, each of which is an event or refused."""
    outcomes = list(importing._outcomes(rows, mapping))
    assert len(outcomes) == len(rows)
    rejects = folder / "rejects.jsonl"
    journal = Journal(folder / "journal", Job.of(path, "events", "http://x", rejects))
    with journal.opened() as result:
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                journal.refuse(outcome)
                result.reasons[outcome.reason] += 1
            else:
                orjson.dumps(outcome)
        journal.settle(result)
    return [orjson.loads(line) for line in rejects.read_bytes().splitlines()]


def nested(levels: int, kind: str = "[]", inner: str = "1") -> str:
    """JSON that nests so many levels deep."""
    opens, closes = ("[", "]") if kind == "[]" else ('{"a":', "}")
    return opens * levels + inner + closes * levels


@pytest.mark.parametrize("levels", [10, 100, 255, 300, 500, 950, 1000, 1030, 100_000])
@pytest.mark.parametrize("kind", ["[]", "{}"])
@pytest.mark.parametrize("inner", ["1", "1234567890123456789012", '"\\ud800"'])
@pytest.mark.parametrize("place", ["properties", "context", "other", "user_id", "in a text", "row"])
def test_a_row_that_nests_too_deeply_is_refused_and_written_down(
    tmp_path: Path, levels: int, kind: str, inner: str, place: str
) -> None:
    path = tmp_path / "x.jsonl"
    deep = nested(levels, kind, inner)
    line = {
        "row": deep,
        "in a text": f'{{"event_type": "search", "properties": {json.dumps(deep)}}}',
    }.get(place, f'{{"event_type": "search", "{place}": {deep}}}')
    path.write_text(f"{line}\n{json.dumps(search(1))}\n")
    for mapping in (events_from_rows, ratings_mapping({}), tags_mapping({})):
        refused = refusals_written(tmp_path, path, list(read_rows(path)), mapping)
        assert refused[0]["line"] == 1
        assert refused[0]["row"] is not None
        if mapping is events_from_rows:
            assert len(refused) == 1
            known = ("nests deeper than 8 levels", "is not JSON", "is not a JSON object")
            assert any(reason in refused[0]["reason"] for reason in known)


hostile_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["\ud800", "a\udcff", "\0", "1e300", "9" * 19, "1e19", "-1e300", AT, "862"])
    | st.sampled_from([2**63, 10**40, 1e300, -1e300, 1e19, 2.0**53, 862.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
KNOWN_COLUMNS = (
    *("userId", "movieId", "rating", "timestamp", "tag"),
    *("event_type", "event_id", "occurred_at", "user_id", "movie_id", "properties", "context"),
    *("properties.rating", "properties.text", "properties.comment_id", "context.locale"),
)
GOOD = {
    **{"userId": "1", "movieId": "1", "rating": "4.0", "timestamp": "964982703", "tag": "good"},
    **{"event_type": "rating", "occurred_at": AT, "user_id": "u", "movie_id": 862},
    "properties.rating": 8,
}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(
        st.sampled_from(KNOWN_COLUMNS) | st.text(max_size=3), hostile_values, max_size=3
    )
)
def test_no_value_of_a_row_ends_an_import(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("")
    rows: list[Row | Refusal] = [Row(1, GOOD), Row(2, GOOD | changes), Row(3, GOOD)]
    for make in (ratings_mapping, tags_mapping):
        assert len(refusals_written(tmp_path, path, rows, make({"1": 862}))) <= 1
    events = [
        Row(row.line, {k: v for k, v in row.fields.items() if k not in KNOWN_COLUMNS[:5]})
        for row in rows
        if isinstance(row, Row)
    ]
    assert len(refusals_written(tmp_path, path, [*events], events_from_rows)) <= 1


def test_json_that_is_not_in_lines_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('[{"event_type": "page_view"}]')
    with pytest.raises(BadInputError, match="line 1: the line is not a JSON object") as caught:
        columns_of(path)
    assert "jq" in str(caught.value.hint)


def test_what_a_first_line_lacks_is_no_matter_of_the_file(tmp_path: Path, api: str) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"wrong": 1}, search(1), search(2)])
    assert choose(path) == "events"
    result = run(api, path)
    assert (result.rows, result.accepted, result.refused) == (3, 2, 1)


def test_columns_without_a_name_and_numbers_of_rows_are_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame([search(1) | {"properties": '{"query": "q"}'}], index=[7])
    frame.to_csv(tmp_path / "x.csv")
    frame[frame.index > 0].to_parquet(tmp_path / "x.parquet")
    (tmp_path / "y.csv").write_text(
        "event_type,occurred_at,,\nsession_start,2026-01-01T12:00:00Z,,\n,,,\n"
    )
    for name in ("x.csv", "x.parquet", "y.csv"):
        columns = columns_of(tmp_path / name)
        assert set(columns) <= {"event_type", "occurred_at", "user_id", "properties"}
        (row,) = read_rows(tmp_path / name)
        assert list(row.fields) == columns


def test_a_file_cut_short_is_an_error_that_names_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    whole = gzip.compress(b"a\n" + b"".join(f"{n * 7919 % 9973}\n".encode() for n in range(50_000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInputError, match=r"damaged after line \d{4}"):
        list(read_rows(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nowhere\.csv"):
        choose(tmp_path / "nowhere.csv")


# --- Events -------------------------------------------------------------------------------------------------


def test_every_number_of_the_contract_is_read_as_one_from_csv() -> None:
    numeric = set()
    for model in Properties.__subclasses__():
        for name, field in model.model_fields.items():
            kinds = {field.annotation, *get_args(field.annotation)}
            kinds |= {arg for kind in kinds for arg in get_args(kind)}
            if kinds & {int, float}:
                numeric.add(f"properties.{name}")
    assert numeric <= set(NUMBERS)
    assert {"movie_id", "schema_version"} <= set(NUMBERS)


def test_every_id_of_the_contract_is_known() -> None:
    """Also where it is a number in a table, and not a text."""
    ids = set()
    for name, model in json_schema()["versions"]["1"]["$defs"].items():
        for field, described in model["properties"].items():
            if f"'{IDENTIFIER}'" in str(described):
                ids.add(f"properties.{field}" if name.endswith("Properties") else field)
    assert ids == set(IDS)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(
    ("value", "read"),
    [
        (42, "42"),
        (42.0, "42"),
        (Decimal(42), "42"),
        (Decimal("42.00"), "42"),
        (-0.0, "0"),
        (-1.0, "-1"),
        (2**64 - 1, str(2**64 - 1)),
        (Decimal(10**37 + 1), str(10**37 + 1)),
        (2.0**53 - 1, str(2**53 - 1)),
        # Each may stand for another number, or is none.
        (2.0**53, 2.0**53),
        (1e300, 1e300),
        (42.5, 42.5),
        (Decimal("42.5"), 42.5),
        (True, True),
        ("42.0", "42.0"),
        ("042", "042"),
    ],
)
def test_an_id_that_is_a_whole_number_is_its_digits(
    name: str, nested: bool, value: object, read: object
) -> None:
    top, _, below = name.partition(".")
    fields = {top: {below: value}} if nested and below else {name: value}
    (event,) = events_from_rows([Row(1, fields)])
    assert isinstance(event, dict)
    found = event[top][below] if below else event[top]
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    ("text", "read"),
    [
        *[("42.0", "42"), (" 42.000 ", "42"), ("-1.0", "-1"), ("0.0", "0")],
        *[(text, text) for text in ("42", "042", "42.5", "42.", ".0", "4e1", "a.0", "٤.0")],
        ("9007199254740993.0", 2.0**53),
    ],
)
def test_an_id_in_csv_loses_the_fraction_that_pandas_gives_it(
    name: str, text: str, read: object
) -> None:
    (event,) = events_from_rows([Row(2, {name: text})], empty_is_absent=True)
    assert isinstance(event, dict)
    top, _, below = name.partition(".")
    assert (event[top][below] if below else event[top]) == read


@pytest.mark.parametrize("digits", [30, 31, 128, 129, 256, 5000])
def test_a_long_number_is_an_id_of_all_its_digits_or_none(
    tmp_path: Path, api: str, publisher: RecordingPublisher, digits: int
) -> None:
    path = tmp_path / "x.jsonl"
    ids = [f"{'1' * (digits - 1)}{last}" for last in "12"]
    path.write_text("".join(json.dumps(search(1)).replace('"user-1"', each) + "\n" for each in ids))
    run(api, path)
    arrived = [value["user_id"] for value in publisher.values(USER_LOGS)]
    assert sorted(arrived) == (ids if digits <= 128 else [])


def flat(event: dict[str, Any]) -> dict[str, Any]:
    return {
        name if not isinstance(value, dict) else f"{name}.{below}": (
            item if isinstance(value, dict) else value
        )
        for name, value in event.items()
        for below, item in (value.items() if isinstance(value, dict) else [("", value)])
    }


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".jsonl.gz"])
@pytest.mark.parametrize("nested", [True, False])
def test_each_type_of_event_arrives_the_same_from_each_kind_of_file(
    tmp_path: Path, api: str, publisher: RecordingPublisher, suffix: str, nested: bool
) -> None:
    events = [
        event_of(kind, event_id=f"00000000-0000-4000-8000-{number:012}")
        for number, kind in enumerate(EVENT_TYPES)
    ]
    rows = events if nested else [flat(event) for event in events]
    path = tmp_path / f"events{suffix}"
    if suffix == ".jsonl.gz":
        write_lines(path, rows)
    else:
        _write_table(path, rows)
    result = run(api, path)
    assert (result.rows, result.accepted, result.reasons) == (len(events), len(events), {})
    arrived = {value["event_id"]: value for value in publisher.values(USER_LOGS)}
    for event in events:
        value = arrived[event["event_id"]]
        for name in ("event_type", "user_id", "anonymous_id", "session_id", "movie_id"):
            assert value[name] == event[name]
        assert value["occurred_at"] == "2026-01-01T12:00:00.000000Z"
        assert (value["properties"] or {}) == event["properties"]
        assert event["context"].items() <= value["context"].items()


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".parquet":
        # `properties` has another shape in each row, so that its struct has every field in every row.
        pq.write_table(pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]), path)
        return
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({n: json.dumps(v) if isinstance(v, dict) else v for n, v in row.items()})
    data = out.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_typed_values_of_parquet_become_what_json_has() -> None:
    fields = {
        "event_type": "rating",
        "occurred_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "movie_id": Decimal(862),
        "properties": '{"rating": 7.5, "source": "tv"}',
        "properties.rating": Decimal("8.5"),
    }
    (event,) = events_from_rows([Row(1, fields)])
    assert event == {
        "event_type": "rating",
        "occurred_at": "2026-01-01T12:00:00.000000Z",
        "movie_id": 862,
        "properties": {"rating": 8.5, "source": "tv"},
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [("862.0", 862), (" 862", 862), ("8.62e2", 862), ("1_000", "1_000"), ("NaN", "NaN")],
)
def test_a_number_is_read_however_other_programs_write_it(written: str, read: object) -> None:
    row = Row(1, {"event_type": " search ", "movie_id": written, "session_id": " "})
    (event,) = events_from_rows([row], empty_is_absent=True)
    assert event == {"event_type": "search", "movie_id": read}
    (event,) = events_from_rows([Row(1, {"movie_id": 862.0})])
    assert event == {"movie_id": 862}
    assert type(event["movie_id"]) is int


def test_a_placeholder_identifies_nobody_and_keeps_nobody_elses_place(
    tmp_path: Path, api: str, publisher: RecordingPublisher
) -> None:
    rows = [search(n, user_id="undefined", anonymous_id=f"a{n % 5}") for n in range(500)]
    rows += [search(1, user_id=" NULL ", anonymous_id="0"), search(1, event_id=str(NO_EVENT_ID))]
    result = run(api, write_lines(tmp_path / "x.jsonl", rows))
    assert (result.accepted, result.refused) == (500, 2)
    sent: dict[str, list[int]] = {}
    for value in publisher.values(USER_LOGS):
        assert value["user_id"] is None
        sent.setdefault(value["anonymous_id"], []).append(int(value["properties"]["query"][1:]))
    assert all(numbers == sorted(numbers) for numbers in sent.values())


def test_the_rows_before_the_damage_of_a_file_are_sent(
    tmp_path: Path, api: str, publisher: RecordingPublisher
) -> None:
    path = write_lines(tmp_path / "x.jsonl.gz", [search(n * 7919 % 9973) for n in range(9_000)])
    path.write_bytes(path.read_bytes()[:-20_000])
    readable = count_rows(path)
    assert 0 < readable < 9_000
    with pytest.raises(BadInputError, match=f"damaged after line {readable}"):
        run(api, path)
    assert len(publisher.values(USER_LOGS)) == readable


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"properties": "{"}, "properties: is not JSON"),
        ({"context": "[]", "context.locale": "en"}, "context: should be a JSON object"),
    ],
)
def test_a_row_that_contradicts_itself_is_no_event(fields: dict[str, Any], reason: str) -> None:
    (outcome,) = events_from_rows([Row(1, fields)])
    assert str(outcome).startswith(reason)


def test_a_column_that_no_event_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"event_type,occurred_at,colour\nsearch,{AT},red\n")
    with pytest.raises(BadInputError, match="colour"):
        mapping_for(path, choose(path))


FRAME = pd.DataFrame(
    {
        "event_type": ["rating", "page_view"],
        "occurred_at": pd.to_datetime(
            [AT, "2026-01-01T12:00:00.123456Z"], format="ISO8601"
        ).as_unit("ns"),
        "user_id": [17, None],
        "anonymous_id": [None, 18],
        "properties.comment_id": [19, None],
        "movie_id": [862.0, None],
        "properties.rating": [8.0, None],
        "properties.path": [None, "/a"],
    }
)


def test_a_frame_of_pandas_is_the_same_events_in_each_kind_of_file(
    tmp_path: Path, api: str
) -> None:
    FRAME.to_csv(tmp_path / "x.csv", index=False)
    FRAME.to_parquet(tmp_path / "x.parquet")
    FRAME.to_json(
        tmp_path / "x.jsonl", orient="records", lines=True, date_format="iso", date_unit="us"
    )
    found = []
    for name in ("x.csv", "x.parquet", "x.jsonl"):
        path = tmp_path / name
        rows = [row for row in read_rows(path) if isinstance(row, Row)]
        outcomes = list(importing._outcomes(rows, mapping_for(path, choose(path))))
        assert [type(each) for each in outcomes] == [dict, dict], outcomes
        found.append([each["event_id"] for each in outcomes if isinstance(each, dict)])
    assert found == [found[0]] * 3


@pytest.mark.parametrize("offset", ["+02", "+0200", "+02:00"])
@pytest.mark.parametrize("fraction", ["", ".000000"])
def test_a_time_is_read_however_its_offset_is_written(offset: str, fraction: str) -> None:
    written = f"2026-01-01 14:00:00{fraction}{offset}"
    (event,) = events_from_rows([Row(2, search(1, occurred_at=written))])
    assert isinstance(event, dict)
    assert utc_time(event["occurred_at"]) == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("properties", ['{"order": %d}', '[{"order": %d}]'])
def test_no_integer_becomes_another(tmp_path: Path, properties: str, api: str) -> None:
    long = [20240101123456789012, 20240101123456789013]
    in_cells = tmp_path / "x.csv"
    with in_cells.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["event_type", "occurred_at", "user_id", "properties"])
        writer.writerows(["page_view", AT, "ada", properties % each] for each in long)
    in_lines = tmp_path / "x.jsonl"
    in_lines.write_text(
        "".join(
            f'{{"event_type": "page_view", "occurred_at": "{AT}", "user_id": "ada", "properties": {properties % each}}}\n'
            for each in long
        )
    )
    for path in (in_cells, in_lines):
        result = run(api, path)
        assert (result.accepted, result.refused) == (0, 2), result.reasons


def test_the_id_of_a_row_without_one_follows_from_its_content_in_any_kind_of_file(
    tmp_path: Path, api: str, publisher: RecordingPublisher
) -> None:
    play = search(1, event_type="play", movie_id=862, properties={"position_seconds": 8})
    write_lines(tmp_path / "x.jsonl", [play, search(2)])
    _write_table(tmp_path / "x.csv", [flat(play) | {"occurred_at": "2026-01-01T13:00:00+01:00"}])
    run(api, tmp_path / "x.jsonl")
    run(api, tmp_path / "x.jsonl")
    run(api, tmp_path / "x.csv")
    ids = [value["event_id"] for value in publisher.values(USER_LOGS)]
    assert len(ids) == 5
    assert len(set(ids)) == 2
    # Pinned: another way to make the ids would count every earlier import twice.
    assert "20621056-2ab8-51ad-a8f2-dccaf133f21d" in ids


# --- Sending ------------------------------------------------------------------------------------------------


def test_rows_are_accepted_or_refused_with_line_and_reason(
    tmp_path: Path, api: str, publisher: RecordingPublisher
) -> None:
    path = write_lines(tmp_path / "x.jsonl", [search(1), search(2, user_id=""), [], search(4)])
    refused: list[Refusal] = []
    progress: list[int] = []
    keeper = importing.KeepNothing()
    keeper.refuse = refused.append  # type: ignore[method-assign]
    result = run(api, path, "events", keeper=keeper, progress=progress.append)
    assert (result.rows, result.accepted, result.refused) == (4, 2, 2)
    assert [(one.line, one.reason) for one in refused] == [
        (2, "user_id: is required where there is no anonymous_id"),
        (3, "the line is not a JSON object"),
    ]
    assert refused[0].original["properties"] == {"query": "q2"}
    assert sum(progress) == 4 == count_rows(path)
    assert len(publisher.values(USER_LOGS)) == 2


def test_large_events_go_in_batches_that_the_api_takes(
    tmp_path: Path, api: str, publisher: RecordingPublisher
) -> None:
    assert MAX_BATCH_BYTES < MAX_BODY_BYTES
    large = {"query": "x", "notes": "n" * 15_000}
    path = write_lines(
        tmp_path / "x.jsonl", [search(n, properties=large | {"n": n}) for n in range(300)]
    )
    result = run(api, path)
    assert (result.accepted, result.reasons) == (300, {})
    assert len(publisher.values(USER_LOGS)) == 300


def test_a_visitors_events_keep_their_order(
    tmp_path: Path, api: str, publisher: RecordingPublisher
) -> None:
    path = write_lines(tmp_path / "x.jsonl", [search(n) for n in range(4_000)])
    assert run(api, path).accepted == 4_000
    sent: dict[str, list[int]] = {}
    for value in publisher.values(USER_LOGS):
        sent.setdefault(value["user_id"], []).append(int(value["properties"]["query"][1:]))
    assert all(numbers == sorted(numbers) for numbers in sent.values())


# --- Going on -----------------------------------------------------------------------------------------------


def journaled(api: str, path: Path, folder: Path, rejects: Path | None) -> ImportResult:
    journal = Journal(folder, Job.of(path, "events", api, rejects))
    with journal.opened() as before:
        return run(api, path, keeper=journal, before=before)


def test_an_interrupted_import_goes_on_after_the_last_chunk(
    tmp_path: Path, api: str, publisher: RecordingPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 100)
    rows = [search(n, user_id="" if n % 10 == 3 else "u") for n in range(450)]
    path = write_lines(tmp_path / "x.jsonl", rows)
    rejects = tmp_path / "rejects.jsonl"
    calls: list[int] = []
    send_all = importing.EventSender.send_all

    def fails_once(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise ServiceError("away")
        return send_all(*arguments, **named)

    monkeypatch.setattr(importing.EventSender, "send_all", fails_once)
    with pytest.raises(ServiceError):
        journaled(api, path, tmp_path / "journal", rejects)
    assert len(publisher.values(USER_LOGS)) == 180
    result = journaled(api, path, tmp_path / "journal", rejects)
    assert (result.rows, result.accepted, result.refused) == (450, 405, 45)
    assert result.reasons == {"user_id: is required where there is no anonymous_id": 45}
    # Nothing was sent twice, and each refused row is written down once.
    ids = [value["event_id"] for value in publisher.values(USER_LOGS)]
    assert len(ids) == len(set(ids)) == 405
    refused = [orjson.loads(line) for line in rejects.read_bytes().splitlines()]
    assert [one["line"] for one in refused] == [n + 1 for n in range(450) if n % 10 == 3]
    assert refused[0]["row"]["properties"] == {"query": "q3"}
    assert refused[0]["reason"] == "user_id: is required where there is no anonymous_id"
    assert not list((tmp_path / "journal").iterdir())


def test_after_an_import_is_done_the_next_sends_the_same_events_again(
    tmp_path: Path, api: str, publisher: RecordingPublisher
) -> None:
    path = write_lines(tmp_path / "x.jsonl", [search(n) for n in range(20)])
    for _ in range(2):
        assert journaled(api, path, tmp_path / "journal", None).accepted == 20
    ids = [value["event_id"] for value in publisher.values(USER_LOGS)]
    assert len(ids) == 40
    assert len(set(ids)) == 20


@pytest.mark.parametrize("change", ["content", "rejects", "journal", "another version"])
def test_what_was_begun_with_something_else_begins_anew(
    tmp_path: Path, api: str, change: str
) -> None:
    path = write_lines(tmp_path / "x.jsonl", [search(n) for n in range(20)])
    folder, rejects = tmp_path / "journal", tmp_path / "rejects.jsonl"
    journal = Journal(folder, Job.of(path, "events", api, rejects))

    def interrupted() -> ImportResult:
        with pytest.raises(ServiceError), journal.opened() as before:
            journal.refuse(Refusal(1, "x", None))
            journal.settle(ImportResult(10, 9, 1))
            raise ServiceError("away")
        return before

    assert interrupted() == ImportResult()
    assert interrupted() == ImportResult(10, 9, 1)
    if change == "content":
        write_lines(path, [search(n) for n in range(21)])
    elif change == "rejects":
        rejects.unlink()
    elif change == "journal":
        next(folder.iterdir()).write_text("half a jour")
    else:
        kept = next(folder.iterdir())
        known = orjson.loads(kept.read_bytes())
        del known["job"]["links"]
        kept.write_bytes(orjson.dumps(known))
    with Journal(folder, Job.of(path, "events", api, rejects)).opened() as before:
        assert before == ImportResult()
    assert rejects.read_bytes() == b""


@pytest.mark.parametrize("change", ["content", "time", "another", None])
@pytest.mark.parametrize("format_name", ["movielens-ratings", "movielens-tags", "events"])
def test_an_import_goes_on_only_with_the_same_links(
    tmp_path: Path, change: str | None, format_name: str
) -> None:
    path, beside = tmp_path / "x.csv", tmp_path / "links.csv"
    path.write_text("userId,movieId,rating,tag,timestamp\n")
    beside.write_text("movieId,tmdbId\n1,862\n")
    another = tmp_path / "other.csv"
    another.write_bytes(beside.read_bytes())

    def job(links: Path | None) -> Job:
        return Job.of(path, format_name, "http://x", None, links_for(path, format_name, links))

    folder = tmp_path / "journal"
    journal = Journal(folder, job(None))
    with pytest.raises(ServiceError), journal.opened():
        journal.settle(ImportResult(10, 9, 1))
        raise ServiceError("away")
    if change == "content":
        beside.write_text("movieId,tmdbId\n1,8844\n")
    elif change == "time":
        os.utime(beside, (1, 1))
    with Journal(folder, job(another if change == "another" else None)).opened() as before:
        goes_on = change is None or format_name == "events"
        assert before.rows == (10 if goes_on else 0)


def test_links_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("userId,movieId,rating,timestamp\n")
    with pytest.raises(BadInputError, match=r"links\.csv cannot be read"):
        Job.of(path, "x", "http://x", None, links_for(path, "movielens-ratings"))


def test_a_refused_row_that_is_no_utf8_is_written_down(tmp_path: Path, api: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(f"event_type,occurred_at,user_id\nsearch,{AT},".encode() + b"\xff\n")
    rejects = tmp_path / "rejects.jsonl"
    assert journaled(api, path, tmp_path / "journal", rejects).refused == 1
    assert orjson.loads(rejects.read_bytes())["row"][2] == "\\xff"
