"""Reading Delta tables without Spark: versions, row counts and the change data feed, as Arrow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from lakehouse import damage
from lakehouse.tables import table_path

CHANGE_TYPE = "_change_type"
COMMIT_VERSION = "_commit_version"


def open_table(settings: Settings, full_name: str) -> DeltaTable | None:
    """The Delta table as it is now, or None when no refresh has made it yet.

    Raises:
        DamagedDataError: A file of its log is missing or damaged.
    """
    return damage.opened(table_path(settings, full_name))


def current_version(settings: Settings, full_name: str) -> int:
    """The table's newest version; -1 when it does not exist."""
    delta = open_table(settings, full_name)
    return delta.version() if delta else -1


def property_of(settings: Settings, full_name: str, name: str) -> str | None:
    """A property of the table; None where it has no such one, or does not exist."""
    delta = open_table(settings, full_name)
    return delta.metadata().configuration.get(name) if delta else None


def query(settings: Settings, full_name: str, sql: str, version: int | None = None) -> pa.Table:
    """Run a query on one table.

    Args:
        settings: Tells where the lake is.
        full_name: For example `silver.events`.
        sql: A DataFusion query that names the table `t`.
        version: Which version of it; by default the newest. -1 is that in which there is no table.

    Returns:
        The result; without rows and columns when the table does not exist.

    Raises:
        DamagedDataError: A file of the table is missing or damaged.
    """
    delta = open_table(settings, full_name)
    if delta is None or version == -1:
        return pa.table({})
    with damage.reading(table_path(settings, full_name)):
        if version is not None and version != delta.version():
            delta.load_as_version(version)
        result = QueryBuilder().register("t", delta).execute(sql)
        return pa.table(result.read_all())


def count_rows(
    settings: Settings, full_name: str, where: str = "true", version: int | None = None
) -> int:
    """How many rows the table holds, in a version, that meet a DataFusion condition; 0 when it does not exist."""
    counted = query(settings, full_name, f"select count(*) as n from t where {where}", version)
    return int(counted["n"][0].as_py()) if counted.num_rows else 0


def read_changes(
    settings: Settings,
    full_name: str,
    after: int,
    upto: int,
    columns: Sequence[str] | None = None,
) -> pa.RecordBatchReader:
    """The rows that were inserted, updated or deleted in the versions `after` < version <= `upto`.

    To one who knows no version yet, all rows of `upto` are insertions of that version: what became of them before
    does not matter, and the feed may no longer reach back to the beginning.

    Args:
        settings: Tells where the lake is.
        full_name: For example `silver.events`.
        after: The last version that is already known; -1 for none.
        upto: The last version to read.
        columns: Columns wanted; None for all.

    Returns:
        Batches with the columns, `_change_type` (`insert`, `update_preimage`, `update_postimage`, `delete`) and
        `_commit_version`.

    Raises:
        ServiceError: The table, or one of the columns, does not exist. Also while the batches are read, as only then
            the files are opened: the change data feed no longer reaches back that far.
        DamagedDataError: A file of the table is missing or damaged; also while the batches are read.
    """
    delta = open_table(settings, full_name)
    if delta is None:
        raise ServiceError(f"{full_name} does not exist.", "Run `cinelake refresh`.")
    _require_columns(delta, full_name, columns or ())
    if after < 0:
        return _all_rows(settings, full_name, upto, columns)
    # Quoted: delta-rs reads them as SQL, where `offset` is a word of the language.
    wanted = [f'"{name}"' for name in (*columns, CHANGE_TYPE, COMMIT_VERSION)] if columns else None
    span = f"{full_name} from version {after + 1} to {upto}"
    path = table_path(settings, full_name)
    # An empty one would be passed over.
    damage.require_commits(path, after + 1, upto)
    with _service_errors(span, path):
        feed = delta.load_cdf(starting_version=after + 1, ending_version=upto, columns=wanted)
        reader = without_views(pa.RecordBatchReader.from_stream(feed))
    return pa.RecordBatchReader.from_batches(reader.schema, _read(reader, span, path))


def _require_columns(delta: DeltaTable, full_name: str, columns: Sequence[str]) -> None:
    held = {field.name for field in delta.schema().fields}
    lacking = ", ".join(name for name in columns if name not in held)
    if lacking:
        raise ServiceError(
            f"{full_name} in the lake has no column {lacking}.",
            "If its contract has it, run `cinelake refresh`, which adds it to the lake first.",
        )


def _read(reader: pa.RecordBatchReader, span: str, path: str) -> Iterator[pa.RecordBatch]:
    with _service_errors(span, path):
        yield from reader


@contextmanager
def _service_errors(span: str, path: str) -> Iterator[None]:
    try:
        with damage.reading(path):
            yield
    except (OSError, ValueError, DeltaError) as error:
        raise ServiceError(
            f"The changes of {span} cannot be read: {error}",
            "If old versions were vacuumed, load the table anew with `cinelake publish --full`.",
        ) from error


def _all_rows(
    settings: Settings, full_name: str, version: int, columns: Sequence[str] | None
) -> pa.RecordBatchReader:
    """The table as it was in a version, in the form of its change data feed."""
    wanted = ", ".join(f'"{name}"' for name in columns) if columns else "*"
    statement = f"select {wanted}, 'insert' as {CHANGE_TYPE}, cast({version} as bigint) as {COMMIT_VERSION} from t"
    path = table_path(settings, full_name)
    with damage.reading(path):
        delta = DeltaTable(path, version=version)
        result = QueryBuilder().register("t", delta).execute(statement)
        reader = without_views(pa.RecordBatchReader.from_stream(result))
    return pa.RecordBatchReader.from_batches(reader.schema, batches(reader, path))


def batches(reader: pa.RecordBatchReader, path: str) -> Iterator[pa.RecordBatch]:
    """The batches of a reader of a table, whose files are opened only now.

    Args:
        reader: Reads the table.
        path: Its folder or URI.

    Raises:
        DamagedDataError: A file of the table is missing or damaged.
    """
    with damage.reading(path):
        yield from reader


def without_views(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same batches with plain text and binary columns: Arrow's functions do not know its view types yet."""
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    fields = [field.with_type(plain.get(field.type, field.type)) for field in reader.schema]
    return reader.cast(pa.schema(fields))


def python_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values as Python has them; where it has none for one, as of a date before the year 1, all are texts."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        values = column.cast(pa.string()).to_pylist()
    return values


def python_rows(rows: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """Each row as a dictionary of `python_values`."""
    columns = map(python_values, rows.columns)
    return [
        dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)
    ]


def nameable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates and times beyond the years 1 to 9999, which Python and PostgreSQL's input do not have, at their edge.

    No contract allows the edge, so that such a value is still found to be wrong.

    Args:
        column: Of any type; what is neither a date nor a time with a zone stays as it is.
    """
    if kinds.is_date(column.type):
        first, last = pa.scalar(date.min, column.type), pa.scalar(date.max, column.type)
    elif kinds.is_timestamp(column.type) and column.type.tz:
        first = pa.scalar(datetime.min.replace(tzinfo=UTC), column.type)
        last = pa.scalar(datetime.max.replace(tzinfo=UTC), column.type)
    else:
        return column
    kept = pc.if_else(pc.less(column, first), first, column)
    return pc.if_else(pc.greater(kept, last), last, kept)
