import gzip
import io
import json
from base64 import b64decode
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinelake.errors import BadInputError, ServiceError
from cinelake.settings import Settings, load_settings
from lakehouse.export import Format, export, packed

# Any table whose name the contracts know will do; what it holds is up to the test.
TABLE = "silver.genres"
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("whole", pa.int64()),
        ("real", pa.float64()),
        ("flag", pa.bool_()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("raw", pa.binary()),
    ]
)
ROWS: list[dict[str, Any]] = [
    {
        "text": text,
        "whole": 2**63 - 1,
        "real": 0.1 + 0.2,
        "flag": True,
        "day": date(1969, 12, 31),
        "at": datetime(2026, 3, 29, 1, 30, 0, 1, UTC),
        "raw": b"\x00\xff\n",
    }
    for text in (
        "",
        "null",
        '"',
        'a "quoted" word, and a comma',
        "line\nbreak\r\nand\rmore",
        "  spaces  ",
        "雪 🎬 é İ\u2028",
        "\\N",
        "\t",
    )
] + [dict.fromkeys(SCHEMA.names)]


@pytest.fixture
def lake(tmp_path: Path) -> Settings:
    return load_settings(CINELAKE_HOME=str(tmp_path / "home"), LAKE_URI=str(tmp_path / "lake"))


def put(lake: Settings, rows: pa.Table) -> None:
    folder = Path(lake.lake_uri) / TABLE.replace(".", "/")
    folder.mkdir(parents=True, exist_ok=True)
    write_deltalake(folder, rows, mode="overwrite", schema_mode="overwrite")


def exported(lake: Settings, file_format: Format, where: str | None = None) -> bytes:
    out = io.BytesIO()
    export(lake, TABLE, file_format, out, where)
    return out.getvalue()


def read_back(data: bytes, file_format: Format) -> list[dict[str, Any]]:
    """The rows of a file as somebody else would read them."""
    if file_format == "parquet":
        table = pq.read_table(io.BytesIO(data))
        assert table.schema.equals(SCHEMA)
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows
    if file_format == "csv":
        types = {f.name: pa.string() if f.name == "raw" else f.type for f in SCHEMA}
        rows = pyarrow.csv.read_csv(
            io.BytesIO(data),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        ).to_pylist()
    else:
        rows = [json.loads(line) for line in data.splitlines()]
        for row in rows:
            row["day"] = row["day"] and date.fromisoformat(row["day"])
            row["at"] = row["at"] and datetime.fromisoformat(row["at"])
            row["real"] = None if row["real"] is None else float(row["real"])
    for row in rows:
        row["raw"] = None if row["raw"] is None else b64decode(row["raw"])
    return rows


FORMATS = pytest.mark.parametrize("file_format", ["csv", "parquet", "jsonl"])


def by_text(rows: list[dict[str, Any]]) -> list[str]:
    plain = [row | {"at": row["at"] and row["at"].astimezone(UTC).isoformat()} for row in rows]
    return sorted(repr([row[name] for name in SCHEMA.names]) for row in plain)


@FORMATS
def test_every_value_comes_back_as_it_was(lake: Settings, file_format: Format) -> None:
    put(lake, pa.Table.from_pylist(ROWS, SCHEMA))
    assert by_text(read_back(exported(lake, file_format), file_format)) == by_text(ROWS)


def test_no_spreadsheet_takes_a_text_for_a_formula(lake: Settings) -> None:
    formulas = ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1", "\uff1dcmd|' /c calc'!a0"]
    plain = ["", "a=1", " = 1", "'=1", "1-1", "\u96ea", None]
    put(lake, pa.Table.from_pylist([ROWS[0] | {"text": t, "whole": -1} for t in formulas + plain]))
    out = io.BytesIO()
    export(lake, TABLE, "csv", out, for_spreadsheets=True)
    rows = read_back(out.getvalue(), "csv")
    expected = [*(f"'{formula}" for formula in formulas), *plain]
    assert [row["text"] for row in rows] == expected
    assert {row["whole"] for row in rows} == {-1}


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
row = st.fixed_dictionaries(
    {
        "text": st.none() | text,
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "real": st.none() | st.floats(allow_nan=False),
        "flag": st.none() | st.booleans(),
        "day": st.none() | st.dates(date(1, 1, 1)),
        "at": st.none() | st.datetimes(datetime(1, 1, 1), timezones=st.just(UTC)),
        "raw": st.none() | st.binary(),
    }
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(row, min_size=1, max_size=5))
def test_any_row_comes_back_as_it_was(lake: Settings, rows: list[dict[str, Any]]) -> None:
    put(lake, pa.Table.from_pylist(rows, SCHEMA))
    for file_format in get_args(Format):
        data = exported(lake, file_format)
        assert by_text(read_back(data, file_format)) == by_text(rows), file_format


def test_what_json_cannot_say_as_a_number_is_a_text(lake: Settings) -> None:
    values = [float("nan"), float("inf"), float("-inf"), 1.5]
    put(lake, pa.table({"real": values}))
    lines = [json.loads(line)["real"] for line in exported(lake, "jsonl").splitlines()]
    assert lines == ["NaN", "Infinity", "-Infinity", 1.5]


def test_a_condition_chooses_rows(lake: Settings) -> None:
    put(lake, pa.table({"genre_id": list(range(100)), "name": ["x"] * 100}))
    lines = exported(lake, "jsonl", "genre_id % 10 = 3 and name = 'x'").splitlines()
    assert [json.loads(line)["genre_id"] for line in lines] == list(range(3, 100, 10))


@pytest.mark.parametrize("where", ["nope = 1", "genre_id = ", "genre_id / 0 > 1"])
def test_a_condition_that_cannot_be_evaluated_is_shown(lake: Settings, where: str) -> None:
    put(lake, pa.table({"genre_id": [1, 2]}))
    with pytest.raises(BadInputError, match="cannot be evaluated"):
        exported(lake, "csv", where)


def test_an_empty_table_is_a_header_or_a_schema(lake: Settings) -> None:
    put(lake, SCHEMA.empty_table())
    assert exported(lake, "csv").decode() == ",".join(f'"{name}"' for name in SCHEMA.names) + "\n"
    assert exported(lake, "jsonl") == b""
    assert pq.read_table(io.BytesIO(exported(lake, "parquet"))).schema.equals(SCHEMA)


def test_a_large_table_is_written_batch_by_batch(lake: Settings) -> None:
    put(lake, pa.table({"n": range(200_000)}))
    written: list[int] = []
    out = io.BytesIO()
    assert export(lake, TABLE, "csv", out, progress=written.append) == 200_000
    assert sum(written) == 200_000
    assert len(written) > 5
    assert sorted(map(int, out.getvalue().split()[1:])) == list(range(200_000))


@pytest.mark.parametrize(
    "name", ["silver.nope", "genres", "lead.genres", "silver.", "bronze.genres"]
)
def test_an_unknown_table_names_the_known_ones(lake: Settings, name: str) -> None:
    with pytest.raises(BadInputError, match="There is no table") as refused:
        export(lake, name, "csv", io.BytesIO())
    assert "silver.events" in refused.value.hint
    assert "bronze.user_logs" in refused.value.hint


def test_a_table_that_no_refresh_has_made_says_so(lake: Settings) -> None:
    with pytest.raises(ServiceError, match="does not exist yet"):
        export(lake, TABLE, "csv", io.BytesIO())


def test_what_is_packed_is_the_same_bytes_each_time() -> None:
    outs = [io.BytesIO(), io.BytesIO(), io.BytesIO()]
    for out, is_gzipped in zip(outs, (True, True, False), strict=True):
        with packed(out, is_gzipped) as file:
            file.write(b"rows")
    assert outs[0].getvalue() == outs[1].getvalue()
    assert gzip.decompress(outs[0].getvalue()) == outs[2].getvalue() == b"rows"
