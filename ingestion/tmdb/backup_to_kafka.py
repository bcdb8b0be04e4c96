"""The outbox: movies go from the raw store to the topic `movie`, and are marked when Kafka has them.

Published first, marked after: a crash in between sends the same message again, which is harmless, and never
loses one.
"""

from collections.abc import Callable
from contextlib import closing

import orjson

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from ingestion.batches import no_progress
from ingestion.events import iso_utc
from ingestion.producer import EventProducer, Record
from ingestion.raw_store import RawStore, StoredMovie
from ingestion.topics import MOVIE


def publish_movies(
    settings: Settings, store: RawStore, progress: Callable[[int], None] = no_progress
) -> int:
    """Publish each movie whose content Kafka does not have yet.

    Args:
        settings: Kafka.
        store: The raw store.
        progress: Called with the number of movies just published.

    Returns:
        How many movies were published.

    Raises:
        ServiceError: Kafka did not take a movie; the next run publishes it.
    """
    published = 0
    with closing(EventProducer(settings)) as producer:
        for batch in store.unpublished_movies():
            outcomes = producer.publish([_record(movie) for movie in batch])
            pairs = list(zip(batch, outcomes, strict=True))
            store.mark_published([movie for movie, error in pairs if error is None])
            for movie, error in pairs:
                if error is not None:
                    raise ServiceError(f"Movie {movie.movie_id}: {error.message}", error.hint)
            published += len(batch)
            progress(len(batch))
    return published


def _record(movie: StoredMovie) -> Record:
    value = orjson.dumps(
        {
            "fetched_at": iso_utc(movie.fetched_at),
            "content_hash": movie.content_hash,
            "movie": movie.payload,
        }
    )
    return Record(MOVIE, str(movie.movie_id).encode(), value)
