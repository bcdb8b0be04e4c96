"""Any table of bronze, silver or gold as a file, streamed: bronze and silver from Delta, gold from PostgreSQL."""

import gzip
import io
import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, Literal, cast

import orjson
import psycopg
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError
from psycopg import errors, sql

from cinelake.errors import BadInputError, ServiceError, SettingError
from cinelake.settings import Settings
from cinelake.stack.postgres import connect_as_analyst
from ingestion.batches import no_progress
from ingestion.events import iso_utc
from lakehouse import changes, damage
from lakehouse.contract import tables
from lakehouse.tables import table_path

Format = Literal["csv", "parquet", "jsonl"]
LAYERS = ("bronze", "silver", "gold")
FETCH_ROWS = 10_000
"""Rows that PostgreSQL hands over at a time."""
_FORMULA = "^[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n]"
"""How a text begins that a spreadsheet may take for a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""
_READ_AGAIN = (
    "See whether PostgreSQL is up with `cinelake status`, then run the same command again."
)

_ARROW_TYPES = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp": pa.timestamp("us"),
}
"""PostgreSQL's types that Arrow has as well; of any other a column is exported as PostgreSQL writes it as text."""


def export(
    settings: Settings,
    full_name: str,
    file_format: Format,
    file: BinaryIO,
    where: str | None = None,
    progress: Callable[[int], None] = no_progress,
    for_spreadsheets: bool = False,
) -> int:
    """Write a table.

    Null and the empty text stay apart: in CSV every text is quoted, and a field without quotes that is empty is null.
    Times are UTC. Raw bytes are written as base64 in CSV and JSON lines, and as they are in Parquet.

    Args:
        settings: Tells where the lake and PostgreSQL are.
        full_name: For example `silver.events`.
        file_format: `csv` has a header; `jsonl` is one JSON object a line.
        file: Is written to, and stays open.
        where: A condition in SQL: DataFusion's for bronze and silver, PostgreSQL's for gold.
        progress: Called with the number of rows just written.
        for_spreadsheets: Put an apostrophe before each text that one would take for a formula.

    Returns:
        The number of rows.

    Raises:
        BadInputError: There is no such table, or the condition cannot be evaluated.
        ServiceError: The table has not been made yet, or PostgreSQL cannot be reached.
    """
    layer, _, name = full_name.partition(".")
    if layer not in LAYERS or (layer != "gold" and name not in _lake_tables(layer)):
        raise _unknown(settings, full_name)
    opened = _gold(settings, name, where) if layer == "gold" else _lake(settings, full_name, where)
    rows = 0
    with opened as (schema, batches), _WRITERS[file_format](file, schema) as write:
        for batch in batches:
            write(_without_formulas(batch) if for_spreadsheets else batch)
            rows += batch.num_rows
            progress(batch.num_rows)
    return rows


def write_csv(file: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows as `export` does: a header, text quoted, null as an empty field without quotes."""
    with _csv(file, schema) as write:
        for batch in batches:
            write(batch)


@contextmanager
def packed(file: BinaryIO, is_gzipped: bool) -> Iterator[BinaryIO]:
    """The file to write to so that what arrives in `file` is gzipped, or is as it is."""
    if not is_gzipped:
        yield file
        return
    # Without a name and a time the same rows make the same bytes.
    with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped:
        yield cast(BinaryIO, zipped)


# --- Where the rows are -------------------------------------------------------------------------------------

Batches = tuple[pa.Schema, Iterator[pa.RecordBatch]]


def _lake_tables(layer: str) -> list[str]:
    return [table.name for table in tables(cast(Literal["bronze", "silver"], layer))]


def _unknown(settings: Settings, full_name: str) -> BadInputError:
    known = [f"{layer}.{name}" for layer in ("bronze", "silver") for name in _lake_tables(layer)]
    try:
        with connect_as_analyst(settings) as connection:
            rows = connection.execute(
                "select relname from pg_class where relnamespace = 'gold'::regnamespace"
                " and relkind in ('r', 'p', 'v', 'm') and has_table_privilege(oid, 'select') order by relname"
            )
            known += [f"gold.{name}" for (name,) in rows]
    except (ServiceError, SettingError):
        known.append("those of gold, which cannot be listed while PostgreSQL is away")
    return BadInputError(f"There is no table {full_name!r}.", f"Known are {', '.join(known)}.")


@contextmanager
def _lake(settings: Settings, full_name: str, where: str | None) -> Iterator[Batches]:
    delta = changes.open_table(settings, full_name)
    if delta is None:
        raise ServiceError(f"{full_name} does not exist yet.", "Run `cinelake refresh`.")
    path = table_path(settings, full_name)
    try:
        query = f"select * from t where {where or 'true'}"
        with damage.reading(path):
            result = QueryBuilder().register("t", delta).execute(query)
            reader = changes.without_views(pa.RecordBatchReader.from_stream(result))
        yield reader.schema, changes.batches(reader, path)
    except (DeltaError, pa.ArrowException) as error:
        if where is None:
            raise ServiceError(
                f"{full_name} cannot be read: {error}",
                "See whether LAKE_URI is there and whole: `cinelake contracts check` opens each table.",
            ) from error
        raise _bad_condition(where, error) from error


def _bad_condition(where: str, error: Exception) -> BadInputError:
    return BadInputError(
        f"The condition {where!r} cannot be evaluated: {error}",
        'Write it like the one of a query, for example --where "movie_id = 862".',
    )


@contextmanager
def _gold(settings: Settings, name: str, where: str | None) -> Iterator[Batches]:
    with connect_as_analyst(settings) as connection:
        columns = _gold_columns(connection, name)
        if not columns:
            raise _unknown(settings, f"gold.{name}")
        schema = pa.schema(
            [(column, _ARROW_TYPES.get(kind, pa.string())) for column, kind in columns]
        )
        query = sql.SQL("select {} from {} where {}").format(
            sql.SQL(", ").join(_selected(column, kind) for column, kind in columns),
            sql.Identifier("gold", name),
            sql.SQL(cast(Any, where or "true")),
        )
        # A cursor of the server's: it hands over some rows at a time.
        with connection.cursor("export", binary=True) as cursor:
            cursor.itersize = FETCH_ROWS
            try:
                cursor.execute(query)
                yield schema, _fetched(cursor, schema)
            except (errors.ProgrammingError, errors.DataError) as error:
                if where is None:
                    raise ServiceError(
                        f"gold.{name} cannot be read: {error}", _READ_AGAIN
                    ) from error
                raise _bad_condition(where, error) from error
            except psycopg.OperationalError as error:
                raise ServiceError(f"gold.{name} cannot be read: {error}", _READ_AGAIN) from error


def _gold_columns(connection: psycopg.Connection, name: str) -> list[tuple[str, str]]:
    """Names and types of a table's columns, in order; none when there is no such table."""
    return connection.execute(
        "select a.attname, t.typname from pg_attribute a"
        " join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid"
        " where c.relnamespace = 'gold'::regnamespace and c.relname = %s"
        " and c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped"
        " order by a.attnum",
        (name,),
    ).fetchall()


def _selected(column: str, kind: str) -> sql.Composable:
    cast_to = sql.SQL("") if kind in _ARROW_TYPES else sql.SQL("::text")
    return sql.Identifier(column) + cast_to


def _fetched(cursor: psycopg.ServerCursor[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(FETCH_ROWS):
        columns = zip(*rows, strict=True)
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


# --- How they are written -----------------------------------------------------------------------------------

Write = Callable[[pa.RecordBatch], None]


def _without_formulas(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        _as_text(column) if pa.types.is_string(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _as_text(column: pa.Array) -> pa.Array:
    marked = pa.compute.binary_join_element_wise("'", column, "")
    return pa.compute.if_else(pa.compute.match_substring_regex(column, _FORMULA), marked, column)


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer.write_batch


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    plain = pa.schema([field.with_type(_csv_type(field.type)) for field in schema])
    # `needed` quotes each text, and nothing else.
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with pyarrow.csv.CSVWriter(file, plain, write_options=options) as writer:

        def write(batch: pa.RecordBatch) -> None:
            columns = [_csv_column(column) for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=plain))

        yield write


def _csv_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_binary(kind) else kind


def _csv_column(column: pa.Array) -> pa.Array:
    return pa.array(_base64(column), pa.string()) if pa.types.is_binary(column.type) else column


@contextmanager
def _json_lines(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    def write(batch: pa.RecordBatch) -> None:
        lines = io.BytesIO()
        for row in json_rows(batch):
            lines.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        file.write(lines.getbuffer())

    yield write


def json_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Each row with values that JSON has: raw bytes as base64, times as `iso_utc` writes them."""
    columns = [_json_column(column) for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, values, strict=True))


def _json_column(column: pa.Array) -> Sequence[Any]:
    """The values as JSON has them; it has no NaN and no infinity, so that these become texts."""
    kind = column.type
    if pa.types.is_binary(kind):
        return _base64(column)
    values = changes.python_values(column)
    if pa.types.is_timestamp(kind) and kind.tz:
        return [iso_utc(value) if isinstance(value, datetime) else value for value in values]
    if pa.types.is_floating(kind):
        return [v if v is None or math.isfinite(v) else _NOT_FINITE[str(v)] for v in values]
    return values


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _base64(column: pa.Array) -> list[str | None]:
    return [None if value is None else b64encode(value).decode() for value in column.to_pylist()]


_WRITERS = {"parquet": _parquet, "csv": _csv, "jsonl": _json_lines}
