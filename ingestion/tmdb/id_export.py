"""TMDB's daily file of all movie ids: gzip, one JSON object a line, without adult titles.

See https://developer.themoviedb.org/docs/daily-id-exports: made from about 7:00 UTC, there by 8:00, kept for
three months, no key needed.
"""

import gzip
import io
import zlib
from datetime import date, timedelta
from functools import partial

import orjson

from ingestion.tmdb.client import TmdbClient
from ingestion.tmdb.errors import BadAnswerError, NotFoundError

MAX_AGE_DAYS = 7
"""An older file would miss too much; TMDB makes one a day."""
MAX_LINE_BYTES = 64 * 1024
"""Of a line, an id with a title."""


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

    Args:
        content: The gzip file as it came.

    Returns:
        Ids in ascending order, each once; adult titles are left out.

    Raises:
        BadAnswerError: The file is cut off, is not gzip, or a line of it is no movie.
    """
    if not content:
        raise BadAnswerError("The file of movie ids is empty.")
    ids = set()
    try:
        with gzip.open(io.BytesIO(content)) as lines:
            for number, line in enumerate(iter(partial(lines.readline, MAX_LINE_BYTES), b""), 1):
                if line.strip():
                    movie = _read_line(line, number)
                    if movie.get("adult") is not True:
                        ids.add(movie["id"])
    except (OSError, EOFError, zlib.error) as error:
        raise BadAnswerError(f"The file of movie ids is not whole: {error}.") from None
    return sorted(ids)


def _read_line(line: bytes, number: int) -> dict[str, int]:
    try:
        movie = orjson.loads(line)
    except orjson.JSONDecodeError:
        movie = None
    movie_id = movie.get("id") if isinstance(movie, dict) else None
    if not isinstance(movie, dict) or type(movie_id) is not int or movie_id <= 0:
        raise BadAnswerError(f"The file of movie ids has no movie in line {number}.")
    return movie
