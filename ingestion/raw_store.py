"""The raw store (MongoDB): each TMDB movie as it was answered, and whether Kafka has it.

Collection `movies_raw`: `_id` (TMDB id), `payload`, `content_hash`, `fetched_at`, and `published_hash`, the
hash that Kafka last acknowledged. A movie whose two hashes differ is still to be published: an outbox.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.write_concern import WriteConcern

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from ingestion.batches import in_batches, no_progress

BATCH = 500
MOVIES = "movies_raw"

Movie = Mapping[str, Any]
"""A movie in the shape of TMDB's `/movie/{id}` answer; `id` is a positive integer."""


class Upserted(NamedTuple):
    """What an upsert found: movies not known before, known with other content, and known as they are."""

    new: int
    changed: int
    unchanged: int


class StoredMovie(NamedTuple):
    """A movie as the raw store holds it."""

    movie_id: int
    payload: dict[str, Any]
    content_hash: str
    fetched_at: datetime


def content_hash(movie: Movie) -> str:
    """SHA-256 of the movie's JSON with sorted keys, hexadecimal."""
    return hashlib.sha256(orjson.dumps(movie, option=orjson.OPT_SORT_KEYS)).hexdigest()


class RawStore:
    """The collections of raw answers. Open it with `open_raw_store`."""

    def __init__(self, movies: Collection[dict[str, Any]]) -> None:
        # Acknowledged must mean on disk: Kafka is told only what would be found again after a crash.
        self._movies = movies.with_options(write_concern=WriteConcern(w="majority", j=True))

    def upsert_movies(
        self,
        movies: Iterable[Movie],
        progress: Callable[[int], None] = no_progress,
        fetched_at: datetime | None = None,
    ) -> Upserted:
        """Store movies; one whose content is known already is not touched.

        Args:
            movies: The movies. Of two with one id the later stays.
            progress: Called with the number of movies just stored.
            fetched_at: When they were fetched. Default: now.

        Returns:
            How many were new, changed and unchanged.
        """
        moment = fetched_at or datetime.now(UTC)
        new = changed = unchanged = 0
        for batch in in_batches(movies, BATCH):
            stored = self._hashes([movie["id"] for movie in batch])
            known = dict(stored)
            writes: dict[int, dict[str, Any]] = {}
            for movie in batch:
                digest = content_hash(movie)
                before = known.get(movie["id"])
                new += before is None
                changed += before not in (None, digest)
                unchanged += before == digest
                known[movie["id"]] = digest
                if digest == stored.get(movie["id"]):
                    writes.pop(movie["id"], None)
                else:
                    writes[movie["id"]] = _fields(movie, digest, moment)
            self._write(writes, stored)
            progress(len(batch))
        return Upserted(new, changed, unchanged)

    def _write(self, writes: Mapping[int, dict[str, Any]], stored: Mapping[int, str]) -> None:
        updates = {key: fields for key, fields in writes.items() if key in stored}
        inserts = {key: fields for key, fields in writes.items() if key not in stored}
        if inserts:
            try:
                # Several times faster than upserts, but another process may have inserted one meanwhile.
                self._movies.insert_many(
                    [
                        {"_id": key, **fields, "published_hash": None}
                        for key, fields in inserts.items()
                    ],
                    ordered=False,
                )
            except BulkWriteError:
                updates |= inserts
        if updates:
            self._movies.bulk_write(
                [
                    UpdateOne(
                        {"_id": key},
                        {"$set": fields, "$setOnInsert": {"published_hash": None}},
                        upsert=True,
                    )
                    for key, fields in updates.items()
                ],
                ordered=False,
            )

    def unpublished_movies(self) -> Iterator[list[StoredMovie]]:
        """Batches of the movies that Kafka does not have as they are.

        A batch may be marked published before the next one is asked for.
        """
        found = self._movies.find({"$expr": {"$ne": ["$published_hash", "$content_hash"]}})
        with found.batch_size(BATCH):
            yield from in_batches(map(_stored, found), BATCH)

    def mark_published(self, movies: Sequence[StoredMovie]) -> None:
        """Remember that Kafka has acknowledged these movies with this content.

        When a movie changed meanwhile, its hashes differ afterwards, and it is published again.
        """
        writes = [
            UpdateOne({"_id": movie.movie_id}, {"$set": {"published_hash": movie.content_hash}})
            for movie in movies
        ]
        if writes:
            self._movies.bulk_write(writes, ordered=False)

    def _hashes(self, ids: list[int]) -> dict[int, str]:
        found = self._movies.find({"_id": {"$in": ids}}, {"content_hash": 1})
        return {document["_id"]: document["content_hash"] for document in found}


@contextmanager
def open_raw_store(settings: Settings) -> Iterator[RawStore]:
    """Connect to MongoDB for the length of a `with` block.

    Args:
        settings: `mongo_uri` is used; its path names the database.

    Raises:
        ServiceError: MongoDB is away or refuses, now or within the block.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(
        settings.mongo, serverSelectionTimeoutMS=5000, tz_aware=True, appname="cinelake"
    )
    try:
        yield RawStore(client.get_default_database()[MOVIES])
    except PyMongoError as error:
        raise ServiceError(
            f"MongoDB failed: {error}", "Run `cinelake up`, or check MONGO_URI."
        ) from error
    finally:
        client.close()


def _fields(movie: Movie, digest: str, fetched_at: datetime) -> dict[str, Any]:
    return {
        "payload": _with_keys(movie, _escape),
        "content_hash": digest,
        "fetched_at": fetched_at,
    }


def _stored(document: dict[str, Any]) -> StoredMovie:
    return StoredMovie(
        movie_id=document["_id"],
        payload=_with_keys(document["payload"], _unescape),
        content_hash=document["content_hash"],
        fetched_at=document["fetched_at"],
    )


def _with_keys(value: Any, rename: Callable[[str], str]) -> Any:
    """A copy in which each key, at any depth, is renamed."""
    if isinstance(value, Mapping):
        return {rename(key): _with_keys(item, rename) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_keys(item, rename) for item in value]
    return value


def _escape(key: str) -> str:
    # BSON ends a key at a NUL; dots and dollars inside a document are MongoDB's since version 5.
    return key.replace("~", "~~").replace("\0", "~0")


def _unescape(key: str) -> str:
    return re.sub("~([~0])", lambda found: "~" if found[1] == "~" else "\0", key)
