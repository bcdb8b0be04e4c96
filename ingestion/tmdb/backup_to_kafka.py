"""The outbox: movies go from the raw store to the topic `movie`, and are marked when Kafka has them.

Published first, marked after: a crash in between sends the same message again, which is harmless, and never
loses one. A movie that Kafka will never take is marked as refused, and is not offered again until it changes.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime

import orjson

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from ingestion.batches import no_progress
from ingestion.events import iso_utc
from ingestion.producer import EventProducer, Record, RecordRefusedError
from ingestion.raw_store import RawStore, StoredMovie
from ingestion.topics import MOVIE


class NotTakenError(ServiceError):
    """Kafka took other movies, but not this one.

    Args:
        message: Which one, and why.
        hint: The next step.
        taken: How many others it took.
    """

    def __init__(self, message: str, hint: str, taken: int) -> None:
        super().__init__(message, hint)
        self.taken = taken


def publish_movies(
    settings: Settings, store: RawStore, progress: Callable[[int], None] = no_progress
) -> int:
    """Publish each movie whose content or deletion Kafka does not have yet.

    Args:
        settings: Kafka.
        store: The raw store.
        progress: Called with the number of movies just published.

    Returns:
        How many movies were published.

    Raises:
        ServiceError: Kafka is away, or did not take a movie (`NotTakenError`); the next run publishes it.
    """
    with closing(EventProducer(settings)) as producer:
        return publish_batches(producer, store, store.unpublished_movies(), progress)


def publish_again(
    settings: Settings,
    store: RawStore,
    since: datetime | None = None,
    progress: Callable[[int], None] = no_progress,
) -> int:
    """Publish movies whether or not Kafka has them, for example after the topic was lost.

    Args:
        settings: Kafka.
        store: The raw store.
        since: Only those whose content or deletion was found at that moment or later. Default: all.
        progress: Called with the number of movies just published.

    Returns:
        How many movies were published.

    Raises:
        ServiceError: As `publish_movies`.
    """
    with closing(EventProducer(settings)) as producer:
        return publish_batches(producer, store, store.movies_since(since), progress)


def publish_batches(
    producer: EventProducer,
    store: RawStore,
    batches: Iterable[list[StoredMovie]],
    progress: Callable[[int], None] = no_progress,
) -> int:
    """Publish batches of movies and mark them, also those that Kafka will never take.

    Args:
        producer: To the topic `movie`.
        store: Holds the movies.
        batches: What to publish.
        progress: Called with the number of movies just published.

    Returns:
        How many movies were published.

    Raises:
        NotTakenError: Kafka did not take a movie, and may take it another time; all the others were offered to it, and
            those it took are marked.
        ServiceError: Kafka is away; those it took before are marked.
    """
    published = 0
    not_taken: list[tuple[int, ServiceError]] = []
    for batch in batches:
        outcomes = producer.publish([_record(movie) for movie in batch])
        pairs = list(zip(batch, outcomes, strict=True))
        taken = [movie for movie, error in pairs if error is None]
        store.mark_published(taken)
        refused = [
            (movie, error.message)
            for movie, error in pairs
            if isinstance(error, RecordRefusedError)
        ]
        store.mark_refused(refused, datetime.now(UTC))
        not_taken += [
            (movie.movie_id, error)
            for movie, error in pairs
            if error is not None and not isinstance(error, RecordRefusedError)
        ]
        published += len(taken)
        progress(len(batch))
    if not_taken:
        movie_id, error = not_taken[0]
        raise NotTakenError(
            f"Kafka did not take {len(not_taken):,} movies, the first one {movie_id}: {error.message}",
            error.hint,
            published,
        )
    return published


def _record(movie: StoredMovie) -> Record:
    value = orjson.dumps(
        {
            "fetched_at": iso_utc(movie.fetched_at),
            "content_hash": movie.content_hash,
            "deleted_at": iso_utc(movie.deleted_at) if movie.deleted_at else None,
            "movie": movie.payload,
        }
    )
    return Record(MOVIE, str(movie.movie_id).encode(), value)
