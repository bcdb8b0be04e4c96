"""A file of TMDB movies to the raw store and to Kafka.

CSV has the columns of the "TMDB 5000" set, with JSON in the nested ones. JSON lines hold one answer of
`/movie/{id}` a line and are taken as they are.
"""

import codecs
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cinelake.errors import BadInputError
from cinelake.settings import Settings
from ingestion.batch_files.rows import (
    DAMAGE,
    Refusal,
    columns_of,
    count_readable,
    is_broken,
    opened,
    read_rows,
    words_of,
)
from ingestion.batches import no_progress
from ingestion.exact_json import parse
from ingestion.json_limits import printable
from ingestion.numbers import decimal_number, number, whole_number
from ingestion.raw_store import open_raw_store
from ingestion.tmdb.backup_to_kafka import publish_movies
from ingestion.tmdb.movie_ids import is_movie_id
from ingestion.topics import ensure_topics

JSON_LINES = {".jsonl", ".ndjson", ".json"}
_MAX_INTEGER = 2**53
_MAX_BYTES = 12 * 1024 * 1024
"""MongoDB holds no document of more than 16 MiB, and BSON is longer than JSON at times."""
_BROKEN = "contains half of a surrogate pair, which is not Unicode text"
_MAX_LEVELS = 90
"""MongoDB promises to hold documents of 100 levels; a movie is a part of one."""


@dataclass(frozen=True)
class CatalogResult:
    """What became of a catalogue file.

    Args:
        offered: Movies in the file.
        new: Of them, not known before.
        changed: Known with other content.
        unchanged: Known as they are.
        published: Movies that Kafka acknowledged; also those that an earlier, broken run had left.
        refused: Movies of the raw store that Kafka will never take as they are.
    """

    offered: int
    new: int
    changed: int
    unchanged: int
    published: int
    refused: int


def load_catalog(
    settings: Settings, path: Path, progress: Callable[[int], None] = no_progress
) -> CatalogResult:
    """Bring the movies of a file to the raw store, and what is new or changed to the topic `movie`.

    Args:
        settings: MongoDB and Kafka.
        path: A TMDB-shaped `.csv`, `.jsonl`, `.ndjson` or `.json` (lines) file, also with `.gz`.
        progress: Called with the number of movies just stored.

    Raises:
        BadInputError: The file or a line of it cannot be read; the movies before that line are stored and
            are published by the next run.
        ServiceError: MongoDB or Kafka is away; the next run goes on from there.
    """
    ensure_topics(settings)
    with open_raw_store(settings) as store:
        new, changed, unchanged = store.upsert_movies(read_movies(path), progress)
        published = publish_movies(settings, store)
        refused = store.count_refused()
    return CatalogResult(new + changed + unchanged, new, changed, unchanged, published, refused)


def count_movies(path: Path) -> int:
    """How many movies a file holds before its first bad line, for a progress bar."""
    return count_readable(read_movies(path))


def read_movies(path: Path) -> Iterator[dict[str, Any]]:
    """The movies of a file in the shape of TMDB's `/movie/{id}` answer.

    Args:
        path: The file; its suffix tells the format.

    Yields:
        One movie after the other; `id` is a positive integer.

    Raises:
        BadInputError: Names the file and the line.
    """
    try:
        suffix = Path(path.name.lower().removesuffix(".gz")).suffix
        if suffix in JSON_LINES:
            yield from _read_json_lines(path)
        elif suffix == ".csv":
            yield from _read_csv(path)
        else:
            raise BadInputError(
                f"{path} is neither CSV nor JSON lines.",
                "Name it .csv, .jsonl, .ndjson or .json, each also with .gz.",
            )
    except DAMAGE as error:
        raise BadInputError(
            f"{path} cannot be read: {words_of(error)}",
            "Name a file that is there and whole.",
        ) from error


# --- JSON lines ---------------------------------------------------------------------------------------------


def _read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with opened(path) as file:
        for place, line in enumerate(file, start=1):
            text = line.removeprefix(codecs.BOM_UTF8) if place == 1 else line
            if not text.strip():
                continue
            try:
                movie = parse(text).value
            except ValueError as error:
                raise _bad_line(path, place, f"is not JSON: {error}") from None
            yield _with_id(movie, path, place)


# --- CSV ----------------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    return value


def _boolean(value: str) -> bool:
    return {"true": True, "false": False}[value.strip().lower()]


def _json(value: str) -> Any:
    return parse(value.encode()).value


def _keywords(value: str) -> dict[str, Any]:
    # TMDB appends keywords as an object around the list.
    return {"keywords": _json(value)}


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "adult": _boolean,
    "belongs_to_collection": _json,
    "budget": number,
    "genres": _json,
    "id": number,
    "keywords": _keywords,
    "popularity": decimal_number,
    "production_companies": _json,
    "production_countries": _json,
    "revenue": number,
    "runtime": number,
    "spoken_languages": _json,
    "video": _boolean,
    "vote_average": decimal_number,
    "vote_count": number,
}
"""How a column's text becomes TMDB's value; the others stay text. Blank is null everywhere."""

_REQUIRED_COLUMNS = ("id", "title")


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    columns = columns_of(path)
    missing = [name for name in _REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise _bad_line(path, 1, f"lacks the column {', '.join(missing)}")
    for row in read_rows(path):
        if isinstance(row, Refusal):
            raise _bad_line(path, row.line, f"cannot be read: {row.reason}")
        yield _with_id(_from_row(row.fields, path, row.line), path, row.line)


def _from_row(row: dict[str, str], path: Path, line: int) -> dict[str, Any]:
    movie: dict[str, Any] = {}
    for column, value in row.items():
        try:
            movie[column] = _CONVERTERS.get(column, _text)(value) if value.strip() else None
        except (ValueError, KeyError, OverflowError):
            raise _bad_line(
                path, line, f"has a {column} that cannot be read: {value[:60]!r}"
            ) from None
    return movie


# --- Both ---------------------------------------------------------------------------------------------------


def _with_id(movie: Any, path: Path, line: int) -> dict[str, Any]:
    movie_id = _id_of(movie.get("id")) if isinstance(movie, dict) else None
    if not is_movie_id(movie_id):
        raise _bad_line(path, line, "is no movie: `id` should be a positive integer")
    problem = _unstorable(movie)
    if problem:
        raise _bad_line(path, line, f"cannot be stored: {problem}")
    size = len(orjson.dumps(movie))
    if size > _MAX_BYTES:
        raise _bad_line(path, line, f"cannot be stored: it has {size:,} bytes of JSON")
    return {**movie, "id": movie_id}


def _unstorable(movie: dict[str, Any]) -> str | None:
    """The place of a value that no store holds as it is, and what is wrong there; None where there is none."""
    places: list[tuple[str, Any, int]] = [("", movie, 0)]
    for field, value, level in places:
        if isinstance(value, dict | list) and level <= _MAX_LEVELS:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            places += [(f"{field}.{name}", item, level + 1) for name, item in items]
        reason = _reason(value, level) or (is_broken(field) and _BROKEN)
        if reason:
            return f"{printable(field[1:])} {reason}"
    return None


def _reason(value: Any, level: int) -> str | None:
    if isinstance(value, str):
        return _BROKEN if is_broken(value) else None
    if isinstance(value, dict | list):
        return f"nests deeper than {_MAX_LEVELS} levels" if level > _MAX_LEVELS else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    is_long = value is not None and abs(value) >= _MAX_INTEGER
    return "is an integer beyond 53 bits" if is_long else None


def _id_of(value: Any) -> int | None:
    """An id as TMDB has it; other programs write whole numbers as `862.0` or as text."""
    if type(value) is int:
        return value
    if not isinstance(value, str | float):
        return None
    try:
        return whole_number(str(value))
    except ValueError:
        return None


def _bad_line(path: Path, line: int, reason: str) -> BadInputError:
    return BadInputError(
        f"{path}, line {line} {reason}.",
        "Correct or remove that line and load the file again; what is loaded already is not loaded twice.",
    )
