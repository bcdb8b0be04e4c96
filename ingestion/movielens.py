"""MovieLens: each line of `ratings.csv` becomes a `rating` event, each line of `tags.csv` a `comment`.

MovieLens: F. Maxwell Harper and Joseph A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4),
2015. Ratings of half a star to five stars are doubled, to be on TMDB's scale to 10.
"""

import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cinelake.errors import BadInputError
from cinelake.natural_keys import natural_key
from ingestion.batch_files.importing import Event, Mapping, Outcome, import_rows
from ingestion.batch_files.rows import Refusal, Row, columns_of, count_rows, read_rows
from ingestion.batches import no_progress
from ingestion.events import NAMESPACE
from ingestion.numbers import decimal_number, whole_number
from ingestion.sender import EventSender

NO_TMDB_ID = "the movie has no TMDB id in links.csv"
RATING_COLUMNS = ("userId", "movieId", "rating", "timestamp")
TAG_COLUMNS = ("userId", "movieId", "tag", "timestamp")
_LINK_COLUMNS = ("movieId", "tmdbId")
_AS_SHIPPED = "Use the files as GroupLens ships them."
_END_OF_TIME = 2**53
"""Seconds beyond every time that pandas has."""
_ISO = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class ReplayResult:
    """What became of the ratings.

    Args:
        offered: Lines of `ratings.csv`.
        accepted: Of them, events that the API accepted.
        refused: The others.
        refused_reasons: How often each reason was given.
    """

    offered: int
    accepted: int
    refused: int
    refused_reasons: dict[str, int]


def replay(
    sender: EventSender, folder: Path, progress: Callable[[int], None] = no_progress
) -> ReplayResult:
    """Send the ratings of a MovieLens folder to the API.

    An event's id follows from its content, so a second replay sends the same events.

    Args:
        sender: Where they go.
        folder: Holds `ratings.csv` and `links.csv`.
        progress: Called with the number of lines just finished, refused ones included.

    Raises:
        BadInputError: A file or a column is missing or malformed.
        ServiceError: The API stayed away.
    """
    ratings = folder / "ratings.csv"
    require_columns(ratings, RATING_COLUMNS)
    mapping = ratings_mapping(read_links(folder / "links.csv"))
    result = import_rows(sender, read_rows(ratings), mapping, progress)
    return ReplayResult(result.rows, result.accepted, result.refused, dict(result.reasons))


def count_ratings(folder: Path) -> int:
    """How many ratings a MovieLens folder holds, for a progress bar."""
    return count_rows(folder / "ratings.csv")


def require_columns(path: Path, columns: Sequence[str]) -> None:
    """Refuse a file that lacks a column.

    Raises:
        BadInputError: It does, or cannot be read; the message names both.
    """
    there = columns_of(path)
    missing = [column for column in columns if column not in there]
    if missing:
        raise BadInputError(
            f"{path} lacks the column {', '.join(missing)}.",
            _AS_SHIPPED,
        )


def read_links(path: Path) -> dict[str, int]:
    """The TMDB id of each MovieLens movie that has one.

    Raises:
        BadInputError: The file, a column or a value is missing or malformed.
    """
    require_columns(path, _LINK_COLUMNS)
    links = {}
    for row in read_rows(path):
        if isinstance(row, Refusal):
            raise BadInputError(f"{path}, line {row.line}: {row.reason}.", _AS_SHIPPED)
        tmdb_id = _text(row.fields.get("tmdbId")).strip()
        if tmdb_id:
            try:
                links[_written(row.fields.get("movieId"))] = whole_number(tmdb_id)
            except ValueError:
                raise BadInputError(
                    f"{path}, line {row.line} has a tmdbId that is no number: {tmdb_id[:60]!r}.",
                    _AS_SHIPPED,
                ) from None
    return links


def ratings_mapping(tmdb_ids: dict[str, int]) -> Mapping:
    """How rows of `ratings.csv` become events.

    Args:
        tmdb_ids: TMDB id by MovieLens id.
    """

    def mapping(rows: Sequence[Row]) -> list[Outcome]:
        frame = _frame(rows, RATING_COLUMNS, tmdb_ids)
        frame["value"] = [_value_of(text, decimal_number) * 2 for text in frame["rating"]]
        return [_rating(line) for line in frame.itertuples(index=False)]

    return mapping


def tags_mapping(tmdb_ids: dict[str, int]) -> Mapping:
    """How rows of `tags.csv` become events: a tag is the text of a comment on its movie.

    Args:
        tmdb_ids: TMDB id by MovieLens id.
    """

    def mapping(rows: Sequence[Row]) -> list[Outcome]:
        frame = _frame(rows, TAG_COLUMNS, tmdb_ids)
        return [_comment(line) for line in frame.itertuples(index=False)]

    return mapping


def _frame(rows: Sequence[Row], columns: Sequence[str], tmdb_ids: dict[str, int]) -> pd.DataFrame:
    """The rows as text, with `tmdb_id` (0 where the movie has none) and `occurred_at` (empty where it is no time)."""
    texts = [
        [_AS_TEXT.get(column, _text)(row.fields.get(column)) for column in columns] for row in rows
    ]
    frame = pd.DataFrame(texts, columns=list(columns), dtype=object)
    frame["tmdb_id"] = [tmdb_ids.get(movie, 0) for movie in frame["movieId"]]
    seconds = pd.Series(
        [_value_of(text, decimal_number) for text in frame["timestamp"]], dtype="float64"
    )
    # Pandas raises of numbers beyond 64 bits, whatever it is told to do with errors.
    seconds = seconds.where(seconds.abs() < _END_OF_TIME)
    moments = pd.to_datetime(seconds, unit="s", utc=True, errors="coerce")
    frame["occurred_at"] = moments.dt.strftime(_ISO).fillna("")
    return frame


def _rating(line: Any) -> Outcome:
    if pd.isna(line.value):
        return "rating: is no number"
    # Named by MovieLens's own movie id: two of its movies may be one at TMDB, and both ratings count.
    name = f"movielens:{_whose(line)}:{line.rating}:{line.timestamp}"
    return _event(line, "rating", name, {"rating": line.value})


def _comment(line: Any) -> Outcome:
    # The tag stands between parts that cannot hold the separator, so it may be as it is.
    name = f"movielens-tag:{_whose(line)}:{line.tag}:{line.timestamp}"
    comment = f"movielens-tag-{_uuid_of(f'comment:{name}')}"
    return _event(line, "comment", name, {"comment_id": comment, "text": line.tag})


def _whose(line: Any) -> str:
    """The user and the movie of a line, such that no other user and movie give the same text."""
    return natural_key(line.userId, line.movieId, separator=":")


def _event(line: Any, event_type: str, name: str, properties: Event) -> Outcome:
    if not line.tmdb_id:
        return NO_TMDB_ID
    if not line.occurred_at:
        return "timestamp: is no number of seconds since 1970"
    return {
        "event_id": _uuid_of(name),
        "event_type": event_type,
        "schema_version": 1,
        "occurred_at": line.occurred_at,
        "user_id": line.userId,
        "movie_id": line.tmdb_id,
        "properties": properties,
    }


def _uuid_of(name: str) -> str:
    """The UUIDv5 of a name; of one that is no Unicode text any, as the contract refuses its event."""
    return str(uuid.uuid5(NAMESPACE, name.encode(errors="backslashreplace").decode()))


def _text(value: object) -> str:
    """A value of any kind of file as CSV has it; nothing is an empty text, and so is an object or an array."""
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _written(value: object) -> str:
    """A whole number as GroupLens writes it, whatever its form is; other text as it is.

    So a file that went through pandas or a spreadsheet names the same movies and gives the same events.
    """
    text = _text(value)
    try:
        return str(whole_number(text))
    except ValueError:
        return text


def _written_rating(value: object) -> str:
    """The same of a rating, which GroupLens writes as `4.0`."""
    text = _text(value)
    try:
        return str(decimal_number(text))
    except ValueError:
        return text


_AS_TEXT = {
    "userId": _written,
    "movieId": _written,
    "rating": _written_rating,
    "timestamp": _written,
}


def _value_of(text: str, read: Callable[[str], float]) -> float:
    """The number that a text is, NaN where it is none."""
    try:
        return read(text)
    except ValueError:
        return math.nan
