"""The raw store (MongoDB): each TMDB movie as it was answered, and whether Kafka has it.

Collection `movies_raw`: `_id` (TMDB id), `payload`, `content_hash`, `fetched_at`, `version` (from 1, one more with
each new content), `etag` (of the answer; null when a file brought it), `deleted_at` (when TMDB was found to know it
no longer; null while it does), and `published_hash`, the hash that Kafka acknowledged for this content and this
`deleted_at`. It is null while that is still to be published: an outbox. `refused` tells since when and why Kafka will
never take this content, null while nothing speaks against it; it is not offered again until the content changes.

Collection `tmdb_reference`: TMDB's genres and configuration, with the same `payload`, `content_hash` and `fetched_at`.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import bson
import orjson
from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection as MongoCollection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.write_concern import WriteConcern

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from ingestion.batches import in_batches, no_progress

BATCH = 500
MOVIES = "movies_raw"
REFERENCE = "tmdb_reference"
ON_DISK = WriteConcern(w="majority", j=True)
"""Acknowledged must mean on disk: Kafka is told only what would be found again after a crash."""
MAX_MOVIE_BYTES = (16 * 1024 - 64) * 1024
"""Of an answer in BSON: MongoDB's limit of a document, less what stands beside the answer."""

_DUPLICATE_KEY = 11000
_TO_PUBLISH: dict[str, None] = {"published_hash": None, "refused": None}
"""The part of a document that is news to Kafka."""

Document = dict[str, Any]
Movie = Mapping[str, Any]
"""A movie in the shape of TMDB's `/movie/{id}` answer; `id` is a positive integer."""


class Upserted(NamedTuple):
    """What an upsert found: movies not known before, known with other content, and known as they are."""

    new: int
    changed: int
    unchanged: int


class Offered(NamedTuple):
    """A movie to store.

    Args:
        movie: TMDB's answer.
        fetched_at: When it was fetched.
        etag: Of the answer, None when it had none.
    """

    movie: Movie
    fetched_at: datetime
    etag: str | None = None


class StoredMovie(NamedTuple):
    """A movie as the raw store holds it."""

    movie_id: int
    payload: dict[str, Any]
    content_hash: str
    fetched_at: datetime
    deleted_at: datetime | None


class _Known(NamedTuple):
    content_hash: str
    is_deleted: bool


def content_hash(movie: Movie) -> str:
    """SHA-256 of the movie's JSON with sorted keys, hexadecimal."""
    return hashlib.sha256(orjson.dumps(movie, option=orjson.OPT_SORT_KEYS)).hexdigest()


def bytes_in_store(movie: Movie) -> int:
    """The bytes of BSON that a movie takes; the store holds `MAX_MOVIE_BYTES`."""
    return len(bson.encode(_with_keys(movie, _escape)))


class RawStore:
    """The collections of raw answers. Open it with `open_raw_store`.

    Args:
        database: Holds them.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._movies: MongoCollection[Document] = database[MOVIES].with_options(
            write_concern=ON_DISK
        )
        self._reference: MongoCollection[Document] = database[REFERENCE].with_options(
            write_concern=ON_DISK
        )
        # The outbox is looked through at each run, and almost always finds nothing among all movies.
        self._movies.create_index("published_hash")

    # --- Writing --------------------------------------------------------------------------------------------

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
        total = Upserted(0, 0, 0)
        for batch in in_batches(movies, BATCH):
            found = self.upsert_batch([Offered(movie, moment) for movie in batch])
            total = Upserted(*(a + b for a, b in zip(total, found, strict=True)))
            progress(len(batch))
        return total

    def upsert_batch(self, offered: Sequence[Offered]) -> Upserted:
        """Store at most `BATCH` movies at once; one whose content is known already is not touched.

        A movie that was marked deleted and is offered again counts as changed, whatever its content.

        Args:
            offered: The movies. Of two with one id the later stays.

        Returns:
            How many were new, changed and unchanged.
        """
        stored = self._known([each.movie["id"] for each in offered])
        known = dict(stored)
        new = changed = unchanged = 0
        writes: dict[int, Document] = {}
        for each in offered:
            movie_id, digest = each.movie["id"], content_hash(each.movie)
            before, after = known.get(movie_id), _Known(digest, is_deleted=False)
            new += before is None
            changed += before not in (None, after)
            unchanged += before == after
            known[movie_id] = after
            if after == stored.get(movie_id):
                writes.pop(movie_id, None)
            else:
                writes[movie_id] = _fields(each, digest)
        self._write(writes, stored)
        return Upserted(new, changed, unchanged)

    def _write(self, writes: Mapping[int, Document], stored: Mapping[int, _Known]) -> None:
        updates = {key: fields for key, fields in writes.items() if key in stored}
        inserts = {key: fields for key, fields in writes.items() if key not in stored}
        if inserts:
            try:
                # Several times faster than upserts, but another process may have inserted one meanwhile.
                self._movies.insert_many(
                    [
                        {"_id": key, **fields, "version": 1, **_TO_PUBLISH}
                        for key, fields in inserts.items()
                    ],
                    ordered=False,
                )
            except BulkWriteError as error:
                updates |= {key: inserts[key] for key in duplicate_ids(error, list(inserts))}
        if updates:
            self._movies.bulk_write(
                [
                    UpdateOne(
                        {"_id": key},
                        {"$set": {**fields, **_TO_PUBLISH}, "$inc": {"version": 1}},
                        upsert=True,
                    )
                    for key, fields in updates.items()
                ],
                ordered=False,
            )

    def mark_deleted(self, ids: Collection[int], deleted_at: datetime) -> int:
        """Remember that TMDB no longer knows these movies; what it last said of them stays.

        Args:
            ids: Those it does not know; others of them than the store's are left out.
            deleted_at: When that was found.

        Returns:
            How many were not marked before.
        """
        if not ids:
            return 0
        marked = self._movies.update_many(
            {"_id": {"$in": list(ids)}, "deleted_at": None},
            {"$set": {"deleted_at": deleted_at, **_TO_PUBLISH}},
        )
        return marked.modified_count

    def keep_reference(self, name: str, content: Any, fetched_at: datetime) -> bool:
        """Keep an answer that is not about one movie, for example the list of genres.

        Args:
            name: Of the answer.
            content: As it came.
            fetched_at: When it came.

        Returns:
            Whether it differs from what was kept before; only then is it written.
        """
        digest = content_hash({name: content})
        known = self._reference.find_one({"_id": name}, {"content_hash": 1})
        if known and known["content_hash"] == digest:
            return False
        document = {"payload": content, "content_hash": digest, "fetched_at": fetched_at}
        self._reference.replace_one({"_id": name}, document, upsert=True)
        return True

    # --- Reading --------------------------------------------------------------------------------------------

    def living_ids(self) -> Iterator[int]:
        """The ids of all movies that are not marked deleted."""
        for document in self._movies.find({"deleted_at": None}, {"_id": 1}):
            yield document["_id"]

    def living_movies(self, names: Collection[str], limit: int) -> Iterator[Document]:
        """Some fields of the movies that are not marked deleted, those with the smallest ids first.

        Args:
            names: Fields of TMDB's answer; those that an answer lacks are left out.
            limit: The most movies to give.
        """
        wanted = {f"payload.{name}": 1 for name in names}
        found = self._movies.find({"deleted_at": None}, wanted).sort("_id", 1).limit(limit)
        for document in found:
            yield {**document.get("payload", {}), "id": document["_id"]}

    def known_ids(self, ids: Collection[int]) -> set[int]:
        """Those of the ids that the store holds, marked deleted or not."""
        return {
            found["_id"] for found in self._movies.find({"_id": {"$in": list(ids)}}, {"_id": 1})
        }

    def etags(self, ids: Collection[int]) -> dict[int, str]:
        """The ETags of the answers that the store holds; those marked deleted have none."""
        found = self._movies.find({"_id": {"$in": list(ids)}, "deleted_at": None}, {"etag": 1})
        return {document["_id"]: document["etag"] for document in found if document.get("etag")}

    def describe(self, movie_id: int) -> Document | None:
        """What is known of a movie's answer beside the answer itself; None when there is none.

        `is_published` tells whether Kafka has acknowledged it as it is.
        """
        found = self._movies.find_one({"_id": movie_id}, {"payload": 0})
        if found is None:
            return None
        published_hash = found.get("published_hash")
        names = ("version", "content_hash", "fetched_at", "etag", "deleted_at")
        return {
            **{name: found.get(name) for name in names},
            "is_published": published_hash == found["content_hash"],
        }

    # --- The outbox -----------------------------------------------------------------------------------------

    def unpublished_movies(self, ids: Collection[int] | None = None) -> Iterator[list[StoredMovie]]:
        """Batches of the movies that Kafka does not have as they are, but those that it will never take.

        A batch may be marked published before the next one is asked for.

        Args:
            ids: Only of these. Default: of all.
        """
        query: Document = dict(_TO_PUBLISH)
        return self._batches(query if ids is None else {"_id": {"$in": list(ids)}, **query})

    def movies_since(self, moment: datetime | None) -> Iterator[list[StoredMovie]]:
        """Batches of the movies whose content or deletion was found at a moment or later.

        Args:
            moment: None for all movies.
        """
        if moment is None:
            return self._batches({})
        since = {"$gte": moment}
        return self._batches({"$or": [{"fetched_at": since}, {"deleted_at": since}]})

    def count_since(self, moment: datetime | None) -> int:
        """How many movies `movies_since` gives."""
        if moment is None:
            return self._movies.count_documents({})
        since = {"$gte": moment}
        return self._movies.count_documents({"$or": [{"fetched_at": since}, {"deleted_at": since}]})

    def mark_published(self, movies: Sequence[StoredMovie]) -> None:
        """Remember that Kafka has acknowledged these movies with this content.

        One that changed or was deleted meanwhile is left to be published again.
        """
        self._note(
            [(movie, {"published_hash": movie.content_hash, "refused": None}) for movie in movies]
        )

    def mark_refused(self, refused: Sequence[tuple[StoredMovie, str]], at: datetime) -> None:
        """Remember that Kafka will never take these movies with this content, so that they are not offered again.

        Args:
            refused: The movies, each with the reason.
            at: When Kafka said so.
        """
        self._note([(movie, {"refused": {"reason": said, "at": at}}) for movie, said in refused])

    def count_refused(self) -> int:
        """Movies that Kafka will never take as they are; `cinelake quarantine ls` lists them."""
        return self._movies.count_documents({"refused": {"$ne": None}})

    def _note(self, notes: Sequence[tuple[StoredMovie, Document]]) -> None:
        """Set fields of movies, unless their content or deletion is another by now."""
        writes = [
            UpdateOne(
                {
                    "_id": movie.movie_id,
                    "content_hash": movie.content_hash,
                    "deleted_at": movie.deleted_at,
                },
                {"$set": fields},
            )
            for movie, fields in notes
        ]
        if writes:
            self._movies.bulk_write(writes, ordered=False)

    def _batches(self, query: Document) -> Iterator[list[StoredMovie]]:
        with self._movies.find(query).batch_size(BATCH) as found:
            yield from in_batches(map(_stored, found), BATCH)

    def _known(self, ids: list[int]) -> dict[int, _Known]:
        found = self._movies.find({"_id": {"$in": ids}}, {"content_hash": 1, "deleted_at": 1})
        return {
            each["_id"]: _Known(each["content_hash"], each.get("deleted_at") is not None)
            for each in found
        }


def duplicate_ids(error: BulkWriteError, ids: Sequence[Any]) -> list[Any]:
    """Those ids of an unordered insert that were there already.

    Args:
        error: What the insert raised.
        ids: The `_id` of each document, in the order of the insert.

    Raises:
        BulkWriteError: Something else went wrong as well.
    """
    failures = error.details["writeErrors"]
    if error.details.get("writeConcernErrors") or any(
        failure["code"] != _DUPLICATE_KEY for failure in failures
    ):
        raise error
    return [ids[failure["index"]] for failure in failures]


@contextmanager
def open_database(settings: Settings) -> Iterator[Database[Document]]:
    """Connect to MongoDB for the length of a `with` block.

    Args:
        settings: `mongo_uri` is used; its path names the database.

    Raises:
        ServiceError: MongoDB is away or refuses, now or within the block.
    """
    client: MongoClient[Document] = MongoClient(
        settings.mongo, serverSelectionTimeoutMS=5000, tz_aware=True, appname="cinelake"
    )
    try:
        yield client.get_default_database()
    except PyMongoError as error:
        raise ServiceError(
            f"MongoDB failed: {error}", "Run `cinelake up`, or check MONGO_URI."
        ) from error
    finally:
        client.close()


@contextmanager
def open_raw_store(settings: Settings) -> Iterator[RawStore]:
    """Open the raw store for the length of a `with` block.

    Args:
        settings: `mongo_uri` is used; its path names the database.

    Raises:
        ServiceError: As `open_database`.
    """
    with open_database(settings) as database:
        yield RawStore(database)


def _fields(offered: Offered, digest: str) -> Document:
    return {
        "payload": _with_keys(offered.movie, _escape),
        "content_hash": digest,
        "fetched_at": offered.fetched_at,
        "etag": offered.etag,
        "deleted_at": None,
    }


def _stored(document: Document) -> StoredMovie:
    return StoredMovie(
        movie_id=document["_id"],
        payload=payload_of(document),
        content_hash=document["content_hash"],
        fetched_at=document["fetched_at"],
        deleted_at=document.get("deleted_at"),
    )


def payload_of(document: Document) -> dict[str, Any]:
    """The answer in a document of `movies_raw`, as it was stored."""
    payload: dict[str, Any] = _with_keys(document["payload"], _unescape)
    return payload


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
