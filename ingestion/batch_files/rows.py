"""Reading CSV, Parquet and JSON lines, each also gzipped, row by row: a row that cannot be read does not end the file.

CSV is read with Python's own reader and not with pandas, which fills up a row that lacks fields and loses count of
the lines, and a bad row must be named by its line.
"""

import codecs
import csv
import gzip
import io
import re
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from shutil import copyfileobj
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from cinelake.errors import BadInputError
from ingestion.exact_json import parse

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

MAX_LINE_BYTES = 1024 * 1024
"""A longer line of JSON cannot be an event: the API takes no larger body."""
MAX_FIELD_CHARACTERS = 64 * 1024 * 1024
"""Python's own reader would take no field of CSV beyond 131,072 characters; without any limit, a quote that is never
closed would bring the rest of a file to memory."""
_PARQUET_ROWS = 10_000
_ROWS_TO_TELL = 100
"""Rows of JSON lines by which a file is known."""
_PIECE_CHARACTERS = 1024 * 1024
_INDEX = re.compile("__index_level_[0-9]+__")
"""What pandas calls the numbers of rows in Parquet; in CSV they have no name."""
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOT_UTF8 = "the row is not UTF-8"
DAMAGE = (OSError, EOFError, zlib.error, UnicodeError, pa.ArrowException)
"""What reading a file that is cut off or damaged raises."""
_UNREADABLE = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What Arrow raises of a value that Python's types do not hold, or that is not what its column says."""
_SUFFIXES = ".csv, .parquet, .jsonl and .ndjson, each also with .gz"


class Row(NamedTuple):
    """One row of a file.

    Args:
        line: The line on which it begins, or in Parquet its number; from 1.
        fields: Its values by column: text in CSV, any value of JSON or Parquet otherwise.
    """

    line: int
    fields: dict[str, Any]


class Refusal(NamedTuple):
    """One row that is no event.

    Args:
        line: As in `Row`.
        reason: What is wrong with it.
        original: What of it could be read.
    """

    line: int
    reason: str
    original: Any


Rows = Iterator[Row | Refusal]


def read_rows(path: Path) -> Rows:
    """The rows of a file, in its order; memory holds a few thousand.

    Args:
        path: Its name tells what it is.

    Raises:
        BadInputError: The file cannot be read, or cannot be read any further.
    """
    read = _reader_of(path)
    line = 0
    try:
        with opened(path) as file:
            for row in read(path, file):
                line = row.line
                yield row
    except DAMAGE as error:
        raise _unreadable(path, line, error) from error


def count_rows(path: Path) -> int:
    """How many rows `read_rows` gives; of a file that is damaged, those before that."""
    if _reader_of(path) is _read_parquet:
        try:
            with opened(path) as file:
                return int(pq.ParquetFile(file).metadata.num_rows)
        except DAMAGE as error:
            raise _unreadable(path, 0, error) from error
    return count_readable(read_rows(path))


def count_readable(rows: Iterable[Any]) -> int:
    """How many rows there are until one cannot be read: whoever reads them to use them is told why."""
    count = 0
    try:
        for _ in rows:
            count += 1
    except BadInputError:
        pass
    return count


def is_csv(path: Path) -> bool:
    """Whether the file is CSV, whose fields are all text and never null."""
    return _reader_of(path) is _read_csv


def is_json_lines(path: Path) -> bool:
    """Whether the file is JSON lines, each of which is an object of its own."""
    return _reader_of(path) is _read_json_lines


def _is_parquet(path: Path) -> bool:
    """Whether the file is Parquet, whose rows are at its end."""
    return path.name.lower().removesuffix(".gz").endswith(".parquet")


def columns_of(path: Path) -> list[str]:
    """The columns of a file that have a name: of the header or the schema; in JSON lines, of the first objects.

    Raises:
        BadInputError: The file cannot be read, or has no columns.
    """
    read = _reader_of(path)
    columns: list[str] = []
    if read is _read_json_lines:
        columns = _names_in_lines(path)
    else:
        try:
            with opened(path) as file:
                if read is _read_csv:
                    columns = _header_of(_csv_reader(file))
                else:
                    columns = list(pq.read_schema(file).names)
        except (*DAMAGE, csv.Error) as error:
            raise _unreadable(path, 0, error) from error
    columns = list(filter(_is_named, columns))
    if not columns:
        raise BadInputError(f"{path} has no columns.", "The first line of CSV names them.")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise BadInputError(
            f"{path} has the column {', '.join(twice)} twice.", "Rename one of the two."
        )
    return columns


def _names_in_lines(path: Path) -> list[str]:
    """The names in the first objects of JSON lines, each once."""
    first = list(islice(read_rows(path), _ROWS_TO_TELL))
    objects = [row.fields for row in first if isinstance(row, Row)]
    if first and not objects:
        bad = next(row for row in first if isinstance(row, Refusal))
        raise BadInputError(
            f"{path}, line {bad.line}: {bad.reason}.",
            "JSON lines have one object a line; `jq -c '.[]'` makes them of an array.",
        )
    return list(dict.fromkeys(name for fields in objects for name in fields))


def words_of(error: Exception) -> str:
    """What reading a file failed of, without the number and the path that an error of the system tells."""
    return str(getattr(error, "strerror", None) or error)


def _unreadable(path: Path, line: int, error: Exception) -> BadInputError:
    where = f"{path} is damaged after line {line}" if line else f"{path} cannot be read"
    return BadInputError(
        f"{where}: {words_of(error)}",
        "Fetch the file anew and run the same command again; what was sent is not counted twice.",
    )


def _reader_of(path: Path) -> Callable[[Path, BinaryIO], Rows]:
    name = path.name.lower().removesuffix(".gz")
    reader = _READERS.get(name[name.rfind(".") :])
    if reader is None:
        raise BadInputError(
            f"{path} has a name that does not tell what it is.", f"Cinelake reads {_SUFFIXES}."
        )
    return reader


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read: unpacked where it is gzip, whatever its name says, and in UTF-8 where a mark says that it is UTF-16.

    Raises:
        OSError: It cannot be read; also later, as its other errors.
    """
    with path.open("rb") as file, _unpacked(path, file) as plain:
        begins = plain.read(len(codecs.BOM_UTF16))
        plain.seek(0)
        if begins not in _UTF16:
            yield plain
            return
        with tempfile.TemporaryFile() as in_utf8:
            # Half of a surrogate pair becomes bytes that are no UTF-8, so that it costs its row and not the file.
            text = io.TextIOWrapper(plain, "utf-16", errors="surrogatepass", newline="")
            for piece in iter(lambda: text.read(_PIECE_CHARACTERS), ""):
                in_utf8.write(piece.encode(errors="surrogatepass"))
            in_utf8.seek(0)
            yield cast(BinaryIO, in_utf8)


@contextmanager
def _unpacked(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    looks_packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    if not looks_packed and not path.name.lower().endswith(".gz"):
        yield file
    elif _is_parquet(path):
        with gzip.open(file) as packed, tempfile.TemporaryFile() as unpacked:
            copyfileobj(cast(IO[bytes], packed), unpacked)
            unpacked.seek(0)
            yield cast(BinaryIO, unpacked)
    else:
        with gzip.open(file) as packed:
            yield cast(BinaryIO, packed)


def _csv_reader(file: BinaryIO) -> "CsvReader":
    # Bytes that are no UTF-8 become lone surrogates, so that they cost their row and not the file.
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    # Python has one limit for all readers of a process; only this module reads CSV.
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    return csv.reader(text, strict=True)


def _header_of(reader: "CsvReader") -> list[str]:
    """The names of the columns, without blanks around them."""
    return [name.strip() for name in next(reader, [])]


def _read_csv(path: Path, file: BinaryIO) -> Rows:
    reader = _csv_reader(file)
    try:
        header = _header_of(reader)
    except csv.Error as error:
        raise _unreadable(path, 1, error) from error
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Refusal(line, f"the row is not CSV: {error}", None)
            continue
        # Spreadsheets leave rows of nothing but separators at the end.
        if not any(map(str.strip, values)):
            continue
        if any(map(is_broken, values)):
            yield Refusal(line, _NOT_UTF8, [_with_codes(value) for value in values])
        elif len(values) != len(header):
            reason = f"the row has {len(values)} fields where the header has {len(header)}"
            yield Refusal(line, reason, values)
        else:
            fields = zip(header, values, strict=True)
            yield Row(line, {name: value for name, value in fields if _is_named(name)})


def is_broken(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, as which also a byte of CSV stands that is no UTF-8."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _with_codes(text: str) -> str:
    """A field of CSV with hexadecimal escapes in place of the bytes that are no UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _read_json_lines(path: Path, file: BinaryIO) -> Rows:
    line = 0
    while text := file.readline(MAX_LINE_BYTES + 1):
        line += 1
        if len(text) > MAX_LINE_BYTES and not text.endswith(b"\n"):
            _skip_line(file)
            yield Refusal(line, f"the line is longer than {MAX_LINE_BYTES} bytes", None)
            continue
        if line == 1:
            text = text.removeprefix(codecs.BOM_UTF8)
        if not text.strip():
            continue
        try:
            fields = parse(text).value
        except ValueError as error:
            yield Refusal(line, f"the line is not JSON: {error}", text.decode(errors="replace"))
            continue
        if isinstance(fields, dict):
            yield Row(line, fields)
        else:
            yield Refusal(line, "the line is not a JSON object", fields)


def _skip_line(file: BinaryIO) -> None:
    while (text := file.readline(MAX_LINE_BYTES)) and not text.endswith(b"\n"):
        pass


def _read_parquet(path: Path, file: BinaryIO) -> Rows:
    number = 0
    for batch in pq.ParquetFile(file).iter_batches(batch_size=_PARQUET_ROWS):
        columns: dict[str, list[Any]] = {}
        reasons: dict[int, list[str]] = defaultdict(list)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if not _is_named(name):
                continue
            columns[name], unreadable = _values_of(column)
            for place, reason in unreadable.items():
                reasons[place].append(f"{name}: {reason}")
        for place, values in enumerate(zip(*columns.values(), strict=True)):
            number += 1
            fields = _without_nulls(dict(zip(columns, values, strict=True)))
            if place in reasons:
                yield Refusal(number, "; ".join(reasons[place]), fields)
            else:
                yield Row(number, fields)


def _values_of(column: pa.Array) -> tuple[list[Any], dict[int, str]]:
    """The values of a column, and by their place the reasons why some, in whose place None stands, cannot be read."""
    try:
        return column.to_pylist(maps_as_pydicts="strict"), {}
    except _UNREADABLE:
        values, reasons = [], {}
    for place, value in enumerate(column):
        try:
            values.append(value.as_py(maps_as_pydicts="strict"))
        except _UNREADABLE as error:
            values.append(None)
            reasons[place] = _why(error)
    return values, reasons


def _why(error: Exception) -> str:
    """Why a value of Parquet cannot be read, without the value itself: reasons are counted."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(error, OverflowError):
        return "is a time outside of the years 1 to 9999"
    # Errors about a time zone that is unknown are a kind of it.
    if type(error) is KeyError:
        return "has a key twice"
    return f"cannot be read: {type(error).__name__}"


def _is_named(column: str) -> bool:
    """Whether a column is one of the table's: pandas writes the numbers of rows too, and spreadsheets empty columns."""
    return bool(column) and not _INDEX.fullmatch(column)


def _without_nulls(value: Any) -> Any:
    """A field that Parquet has as null was not there: its schema has every field in every row."""
    if isinstance(value, dict):
        return {k: _without_nulls(item) for k, item in value.items() if item is not None}
    return value


_READERS: dict[str, Callable[[Path, BinaryIO], Rows]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
