"""A file of TMDB movies to the raw store and to Kafka.

CSV has the columns of the "TMDB 5000" set, with JSON in the nested ones. JSON lines hold one answer of
`/movie/{id}` a line and are taken as they are.
"""

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cinelake.errors import BadInputError
from cinelake.settings import Settings
from ingestion.batches import no_progress
from ingestion.raw_store import open_raw_store
from ingestion.tmdb.backup_to_kafka import publish_movies
from ingestion.topics import ensure_topics

JSON_LINES = {".jsonl", ".ndjson", ".json"}
_MAX_INTEGER = 2**53


@dataclass(frozen=True)
class CatalogResult:
    """What became of a catalogue file.

    Args:
        offered: Movies in the file.
        new: Of them, not known before.
        changed: Known with other content.
        unchanged: Known as they are.
        published: Movies that Kafka acknowledged; also those that an earlier, broken run had left.
    """

    offered: int
    new: int
    changed: int
    unchanged: int
    published: int


def load_catalog(
    settings: Settings, path: Path, progress: Callable[[int], None] = no_progress
) -> CatalogResult:
    """Bring the movies of a file to the raw store, and what is new or changed to the topic `movie`.

    Args:
        settings: MongoDB and Kafka.
        path: A TMDB-shaped `.csv`, `.jsonl`, `.ndjson` or `.json` (lines) file.
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
    return CatalogResult(new + changed + unchanged, new, changed, unchanged, published)


def count_movies(path: Path) -> int:
    """How many movies a file holds, for a progress bar; it is read as `load_catalog` reads it."""
    return sum(1 for _ in read_movies(path))


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
        if path.suffix.lower() in JSON_LINES:
            yield from _read_json_lines(path)
        elif path.suffix.lower() == ".csv":
            yield from _read_csv(path)
        else:
            raise BadInputError(
                f"{path} is neither CSV nor JSON lines.", "Name it .csv, .jsonl, .ndjson or .json."
            )
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror}", "Name a file that is there."
        ) from error


# --- JSON lines ---------------------------------------------------------------------------------------------


def _read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                movie = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise _bad_line(path, number, f"is not JSON: {error}") from None
            yield _with_id(movie, path, number)


# --- CSV ----------------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    return value


def _number(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _integer(value: str) -> int | float:
    # The set writes some runtimes as 162.0.
    number = _number(value)
    return int(number) if number.is_integer() else number


def _boolean(value: str) -> bool:
    return {"true": True, "false": False}[value.lower()]


def _json(value: str) -> Any:
    return orjson.loads(value)


def _keywords(value: str) -> dict[str, Any]:
    # TMDB appends keywords as an object around the list.
    return {"keywords": orjson.loads(value)}


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "adult": _boolean,
    "belongs_to_collection": _json,
    "budget": _integer,
    "genres": _json,
    "id": _integer,
    "keywords": _keywords,
    "popularity": _number,
    "production_companies": _json,
    "production_countries": _json,
    "revenue": _integer,
    "runtime": _integer,
    "spoken_languages": _json,
    "video": _boolean,
    "vote_average": _number,
    "vote_count": _integer,
}
"""How a column's text becomes TMDB's value; the others stay text. Blank is null everywhere."""

_REQUIRED_COLUMNS = ("id", "title")


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            missing = [name for name in _REQUIRED_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise _bad_line(path, 1, f"lacks the column {', '.join(missing)}")
            for row in reader:
                yield _with_id(_from_row(row, path, reader.line_num), path, reader.line_num)
        except csv.Error as error:
            raise _bad_line(path, reader.line_num, f"is not CSV: {error}") from None
        except UnicodeDecodeError as error:
            raise _bad_line(
                path, reader.line_num + 1, f"or one soon after is not UTF-8: {error}"
            ) from None


def _from_row(row: dict[str | Any, Any], path: Path, line: int) -> dict[str, Any]:
    if None in row or None in row.values():
        raise _bad_line(path, line, "has not as many fields as the header")
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
    movie_id = movie.get("id") if isinstance(movie, dict) else None
    if type(movie_id) is not int or not 0 < movie_id < _MAX_INTEGER:
        raise _bad_line(path, line, "is no movie: `id` should be a positive integer")
    try:
        orjson.dumps(movie, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError as error:
        raise _bad_line(path, line, f"cannot be stored: {error}") from None
    return dict(movie)


def _bad_line(path: Path, line: int, reason: str) -> BadInputError:
    return BadInputError(
        f"{path}, line {line} {reason}.",
        "Correct or remove that line and load the file again; what is loaded already is not loaded twice.",
    )
