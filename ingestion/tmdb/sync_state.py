"""How far a sync has come, in MongoDB, so that one that was killed goes on where it stopped.

Collection `tmdb_sync`: a document `run:<kind>` for each unfinished run, and `changes_since`. Collections
`tmdb_queue_<kind>`: the ids a run has still to ask for. Collection `tmdb_failed`: the movies that could not be asked for,
with the reason; every run asks for them again. Collection `tmdb_checks`: when a movie that TMDB listed as changed was
last asked for.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from pymongo import ReplaceOne, UpdateOne
from pymongo.collection import Collection as MongoCollection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from ingestion.batches import in_batches
from ingestion.raw_store import ON_DISK, Document, duplicate_ids

Kind = Literal["full", "changes", "ids"]

_ENQUEUE = 1000
_CHANGES_SINCE = "changes_since"


class SyncState:
    """What is remembered between runs.

    Args:
        database: Holds the collections.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._runs = _collection(database, "tmdb_sync")
        self._checks = _collection(database, "tmdb_checks")
        self._failed = _collection(database, "tmdb_failed")

    def changes_since(self) -> datetime | None:
        """All edits before this moment are in the raw store; None before the first full sync."""
        found = self._runs.find_one({"_id": _CHANGES_SINCE})
        return found["moment"] if found else None

    def begin(self, kind: Kind, started_at: datetime, what: str) -> "Run":
        """The unfinished run of this kind, or a new one.

        Args:
            kind: Of the run.
            started_at: When a new one starts.
            what: What it fetches. An unfinished run that fetches something else is given up.
        """
        key = f"run:{kind}"
        found = self._runs.find_one({"_id": key})
        if found and found["what"] == what:
            return Run(self, self._database, kind, found, resumed=True)
        _collection(self._database, f"tmdb_queue_{kind}").delete_many({})
        fresh: Document = {
            "_id": key,
            "what": what,
            "started_at": started_at,
            "covered_until": started_at,
            "is_listed": False,
            "ranges": {},
        }
        self._runs.replace_one({"_id": key}, fresh, upsert=True)
        return Run(self, self._database, kind, fresh, resumed=False)

    # --- Movies that failed ---------------------------------------------------------------------------------

    def failed(self) -> set[int]:
        """The movies that could not be asked for when that was last tried."""
        return {each["_id"] for each in self._failed.find({}, {"_id": 1})}

    def keep_failed(self, reasons: Mapping[int, str], failed_at: datetime) -> None:
        """Remember movies that could not be asked for, so that every run asks for them until one succeeds.

        Args:
            reasons: Why, by movie.
            failed_at: When that was.
        """
        if reasons:
            self._failed.bulk_write(
                [
                    ReplaceOne(
                        {"_id": movie_id}, {"reason": reason, "failed_at": failed_at}, upsert=True
                    )
                    for movie_id, reason in reasons.items()
                ],
                ordered=False,
            )

    def forget_failed(self, ids: Collection[int]) -> None:
        """Drop movies that have been answered."""
        if ids:
            self._failed.delete_many({"_id": {"$in": list(ids)}})

    # --- Checks ---------------------------------------------------------------------------------------------

    def checks(self, ids: Collection[int]) -> dict[int, tuple[datetime, datetime]]:
        """When each movie was last asked for, and when TMDB had made that answer."""
        found = self._checks.find({"_id": {"$in": list(ids)}})
        return {each["_id"]: (each["checked_at"], each["made_at"]) for each in found}

    def record_checks(self, made_at: Mapping[int, datetime], checked_at: datetime) -> None:
        """Remember that movies were asked for.

        Args:
            made_at: When TMDB had made the answer, by movie.
            checked_at: When it came.
        """
        if made_at:
            self._checks.bulk_write(
                [
                    UpdateOne(
                        {"_id": movie_id},
                        {"$set": {"checked_at": checked_at, "made_at": moment}},
                        upsert=True,
                    )
                    for movie_id, moment in made_at.items()
                ],
                ordered=False,
            )

    def forget_checks(self, before: datetime) -> None:
        """Drop the checks that are too old to spare a request."""
        self._checks.delete_many({"checked_at": {"$lt": before}})


class Run:
    """One run of a sync, this process's or one that an earlier process left unfinished.

    Args:
        state: Where the run belongs.
        database: Holds its queue.
        kind: Of the run.
        document: Of the run, as stored.
        resumed: Whether an earlier process began it.
    """

    def __init__(
        self,
        state: SyncState,
        database: Database[Document],
        kind: Kind,
        document: Document,
        resumed: bool,
    ) -> None:
        self.kind = kind
        self.resumed = resumed
        self.started_at: datetime = document["started_at"]
        self.is_listed: bool = document["is_listed"]
        self._key = document["_id"]
        self._ranges: dict[str, dict[str, int]] = document["ranges"]
        self._covered_until: datetime = document["covered_until"]
        self._runs = state._runs
        self._queue = _collection(database, f"tmdb_queue_{kind}")

    # --- Listing --------------------------------------------------------------------------------------------

    def pages_of(self, name: str) -> tuple[int, int] | None:
        """How many pages of a list are in the queue, and how many it has; None when none was asked for yet."""
        found = self._ranges.get(name)
        return (found["done"], found["total"]) if found else None

    def page_listed(self, name: str, done: int, total: int) -> None:
        """Remember that pages of a list are in the queue.

        Args:
            name: Of the list, without dots and dollars.
            done: How many pages of it are.
            total: How many it has.
        """
        self._ranges[name] = {"done": done, "total": total}
        self._set({f"ranges.{name}": self._ranges[name]})

    def enqueue(self, ids: Iterable[int]) -> None:
        """Add movies to the queue; one that waits there already stays there once."""
        for batch in in_batches(dict.fromkeys(ids), _ENQUEUE):
            try:
                self._queue.insert_many([{"_id": each} for each in batch], ordered=False)
            except BulkWriteError as error:
                duplicate_ids(error, batch)

    def all_listed(self) -> None:
        """Remember that the queue is complete."""
        self.is_listed = True
        self._set({"is_listed": True})

    # --- Asking ---------------------------------------------------------------------------------------------

    def waiting(self) -> int:
        """How many movies are in the queue."""
        return self._queue.count_documents({})

    def queue(self, last: Collection[int], size: int = 500) -> Iterator[list[int]]:
        """The queue in ascending order, in batches; what is settled meanwhile does not come again.

        Args:
            last: Movies of the queue that come after all others.
            size: Of a batch.
        """
        after = 0
        while True:
            found = self._queue.find({"_id": {"$gt": after}}).sort("_id", 1).limit(size)
            batch = [each["_id"] for each in found]
            if not batch:
                break
            yield [each for each in batch if each not in last]
            after = batch[-1]
        yield from in_batches(sorted(last), size)

    def settle(self, ids: Collection[int]) -> None:
        """Take movies out of the queue: what TMDB says of them is in the raw store, or that they failed is kept."""
        if ids:
            self._queue.delete_many({"_id": {"$in": list(ids)}})

    def covers(self, made_at: datetime) -> None:
        """Take note of an answer that may lack edits made after that moment."""
        if made_at < self._covered_until:
            self._covered_until = made_at
            self._set({"covered_until": made_at})

    # --- The end --------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """End the run, and remember up to when it brought all edits; called again after a kill, it does the same."""
        if self.kind != "ids":
            self._runs.update_one(
                {"_id": _CHANGES_SINCE}, {"$max": {"moment": self._covered_until}}, upsert=True
            )
        self._runs.delete_one({"_id": self._key})

    def _set(self, fields: Mapping[str, Any]) -> None:
        self._runs.update_one({"_id": self._key}, {"$set": dict(fields)})


def _collection(database: Database[Document], name: str) -> MongoCollection[Document]:
    return database[name].with_options(write_concern=ON_DISK)
