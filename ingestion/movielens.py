"""Replaying MovieLens: each line of `ratings.csv` becomes a `rating` event, sent through the API.

MovieLens: F. Maxwell Harper and Joseph A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4),
2015. Ratings of half a star to five stars are doubled, to be on TMDB's scale to 10.
"""

import csv
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from cinelake.errors import BadInputError
from ingestion.batches import no_progress
from ingestion.client import MAX_BATCH, WORKERS, Batch, Event, EventSender
from ingestion.events import NAMESPACE, iso_utc

NO_TMDB_ID = "the movie has no TMDB id in links.csv"


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
        BadInputError: A file, a column or a value is missing or malformed.
        ServiceError: The API stayed away.
    """
    tmdb_ids = read_links(folder / "links.csv")
    refused: Counter[str] = Counter()

    def refuse(reason: str) -> None:
        refused[reason] += 1
        progress(1)

    ratings = folder / "ratings.csv"
    totals = sender.send_all(_batches(read_ratings(ratings, tmdb_ids, refuse)), WORKERS, progress)
    offered = totals.sent + refused.total()
    return ReplayResult(
        offered=offered,
        accepted=totals.accepted,
        refused=totals.rejected + refused.total(),
        refused_reasons=dict(refused + totals.reasons),
    )


def count_ratings(folder: Path) -> int:
    """How many ratings a MovieLens folder holds, for a progress bar."""
    return sum(1 for _ in _rows(folder / "ratings.csv", ("userId",)))


def read_links(path: Path) -> dict[str, int]:
    """The TMDB id of each MovieLens movie that has one.

    Raises:
        BadInputError: The file, a column or a value is missing or malformed.
    """
    links = {}
    for line, (movie, tmdb_id) in _rows(path, ("movieId", "tmdbId")):
        if tmdb_id:
            try:
                links[movie] = int(tmdb_id)
            except ValueError:
                raise _bad_value(path, line, "tmdbId", tmdb_id) from None
    return links


def read_ratings(
    path: Path, tmdb_ids: dict[str, int], refuse: Callable[[str], None]
) -> Iterator[Event]:
    """The ratings as events, in the order of the file.

    Args:
        path: `ratings.csv`.
        tmdb_ids: TMDB id by MovieLens id.
        refuse: Called with the reason for each line that cannot be an event.

    Raises:
        BadInputError: The file, a column or a value is missing or malformed.
    """
    columns = ("userId", "movieId", "rating", "timestamp")
    for line, (user, movie, rating, timestamp) in _rows(path, columns):
        if movie not in tmdb_ids:
            refuse(NO_TMDB_ID)
            continue
        try:
            value = float(rating) * 2
        except ValueError:
            raise _bad_value(path, line, "rating", rating) from None
        try:
            occurred_at = iso_utc(datetime.fromtimestamp(int(timestamp), UTC))
        except (ValueError, OverflowError, OSError):
            raise _bad_value(path, line, "timestamp", timestamp) from None
        # Named by MovieLens's own movie id: two of its movies may be one at TMDB, and both ratings count.
        name = f"movielens:{user}:{movie}:{rating}:{timestamp}"
        yield {
            "event_id": str(uuid.uuid5(NAMESPACE, name)),
            "event_type": "rating",
            "schema_version": 1,
            "occurred_at": occurred_at,
            "user_id": user,
            "movie_id": tmdb_ids[movie],
            "properties": {"rating": value},
        }


def _batches(events: Iterator[Event]) -> Iterator[Batch]:
    """Full batches in which each user's events keep the order of the file, because a user has one lane."""
    open_batches: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        lane = crc32(event["user_id"].encode()) % WORKERS
        open_batches[lane].append(event)
        if len(open_batches[lane]) == MAX_BATCH:
            yield Batch(open_batches.pop(lane), lane=lane)
    for lane, batch in open_batches.items():
        yield Batch(batch, lane=lane)


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            missing = [column for column in columns if column not in header]
            if missing:
                raise BadInputError(
                    f"{path} lacks the column {', '.join(missing)}.",
                    "Use ratings.csv and links.csv as GroupLens ships them.",
                )
            places = [header.index(column) for column in columns]
            for row in reader:
                if len(row) != len(header):
                    raise BadInputError(
                        f"{path}, line {reader.line_num} has not as many fields as the header."
                    )
                yield reader.line_num, tuple(row[place] for place in places)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror}",
            "Name a folder that holds ratings.csv and links.csv, as GroupLens ships them.",
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} is not CSV in UTF-8: {error}") from error


def _bad_value(path: Path, line: int, column: str, value: str) -> BadInputError:
    return BadInputError(f"{path}, line {line} has a {column} that is no number: {value[:60]!r}.")
