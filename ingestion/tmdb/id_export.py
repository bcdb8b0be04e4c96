"""TMDB's daily file of all movie ids: gzip, one JSON object a line, without adult titles.

See https://developer.themoviedb.org/docs/daily-id-exports: made from about 7:00 UTC, there by 8:00, kept for
three months, no key needed.
"""

import gzip
import io
import zlib
from datetime import date, timedelta
from functools import partial
from typing import Any

import orjson

from cinelake.log import get_logger
from ingestion.tmdb.client import TmdbClient
from ingestion.tmdb.errors import BadAnswerError, NotFoundError
from ingestion.tmdb.movie_ids import is_movie_id

MAX_AGE_DAYS = 7
"""An older file would miss too much; TMDB makes one a day."""
MAX_LINE_BYTES = 64 * 1024
"""Of a line, an id with a title."""
_GZIP = b"\x1f\x8b"

log = get_logger("tmdb")


def latest_ids(client: TmdbClient, folder: str, today: date) -> list[int]:
    """The ids of the newest file there is.

    Args:
        client: Fetches it.
        folder: The address of the files, without a trailing slash.
        today: The UTC day to begin with, going back.

    Returns:
        Ids in ascending order, each once.

    Raises:
        NotFoundError: There is no file of the last `MAX_AGE_DAYS` days.
        TmdbError: As `TmdbClient.get`.
    """
    for days in range(MAX_AGE_DAYS):
        try:
            return client.download(f"{folder}/{file_name(today - timedelta(days=days))}", read_ids)
        except NotFoundError:
            continue
    raise NotFoundError(
        f"{folder} has no file of movie ids of the last {MAX_AGE_DAYS} days.",
        "Check TMDB_EXPORT_URL, or use `cinelake tmdb sync --full --source discover`.",
    )


def file_name(day: date) -> str:
    """The name of a day's file, for example `movie_ids_05_15_2024.json.gz`."""
    return f"movie_ids_{day:%m_%d_%Y}.json.gz"


def read_ids(content: bytes) -> list[int]:
    """The ids in a file.

    A line that is no movie is left out, and a warning names the first: it should not keep the others from coming.

    Args:
        content: The file as it came: gzip, or what was in it where the way here has unpacked it.

    Returns:
        Ids in ascending order, each once; adult titles are left out.

    Raises:
        BadAnswerError: The file is cut off, a line of it is too long, or none is a movie.
    """
    if not content:
        raise BadAnswerError("The file of movie ids is empty.")
    is_packed = content.startswith(_GZIP)
    ids: set[int] = set()
    movies = skipped = 0
    first: tuple[int, bytes] | None = None
    line = b""
    try:
        with gzip.open(io.BytesIO(content)) if is_packed else io.BytesIO(content) as lines:
            for number, line in enumerate(iter(partial(lines.readline, MAX_LINE_BYTES), b""), 1):
                movie = _movie_of(line)
                if movie:
                    movies += 1
                    if movie.get("adult") is not True:
                        ids.add(movie["id"])
                elif len(line) == MAX_LINE_BYTES:
                    raise BadAnswerError(f"The file of movie ids has no movie in line {number}.")
                elif line.strip():
                    skipped += 1
                    first = first or (number, line)
        if first and not is_packed and not line.endswith((b"\n", b"}")):
            raise EOFError("its last line is cut off")
    except (OSError, EOFError, zlib.error) as error:
        raise BadAnswerError(f"The file of movie ids is not whole: {error}.") from None
    if first and not movies:
        raise BadAnswerError(f"The file of movie ids has no movie in line {first[0]}.")
    if first:
        log.warning(
            "lines that are no movie are left out",
            skipped=skipped,
            first=f"line {first[0]}: {first[1][:200]!r}",
        )
    return sorted(ids)


def _movie_of(line: bytes) -> dict[str, Any] | None:
    try:
        movie = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return movie if isinstance(movie, dict) and is_movie_id(movie.get("id")) else None
