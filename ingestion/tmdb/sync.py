"""Bring the raw store, and Kafka after it, up to date with TMDB: all of it, what changed, or what is named."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from pymongo.database import Database

from cinelake.errors import BadInputError
from cinelake.log import get_logger
from cinelake.settings import Settings
from cinelake.stack.lock import file_lock
from ingestion.producer import EventProducer
from ingestion.raw_store import Document, Offered, RawStore, open_database
from ingestion.tmdb.asking import UNDER_WAY, WORKERS, Asked, ask_all
from ingestion.tmdb.backup_to_kafka import NotTakenError, publish_batches
from ingestion.tmdb.client import TmdbClient
from ingestion.tmdb.endpoints import Tmdb
from ingestion.tmdb.errors import NotFoundError, TmdbError
from ingestion.tmdb.id_export import latest_ids
from ingestion.tmdb.listing import list_changes, list_discover, list_export
from ingestion.tmdb.sync_state import Kind, Run, SyncState
from ingestion.topics import ensure_topics

PUBLISH_EVERY = 25
"""Movies with news that wait for Kafka at most while a sync runs. Few, so that publishing them is done before those
under way are all answered, and no second is left unused."""
LOCK_PATIENCE = 5.0
_HOW_TO_GO_ON = "Run the same command again; it goes on where it stopped."

Source = Literal["export", "discover"]
Progress = Callable[[int, int], None]
"""Called with how many movies are done and how many there are."""

log = get_logger("tmdb")


@dataclass(frozen=True)
class Wanted:
    """What a sync is to bring.

    Args:
        kind: `full`, `changes` or `ids`.
        source: Where a full sync finds the ids.
        ids: The movies of kind `ids`.
    """

    kind: Kind
    source: Source = "export"
    ids: Sequence[int] = ()

    @property
    def what(self) -> str:
        """A short text that differs for syncs that are not one another's continuation."""
        named = ",".join(map(str, sorted(set(self.ids))))
        return f"{self.kind} {self.source} {hashlib.sha256(named.encode()).hexdigest()[:16]}"


@dataclass
class SyncResult:
    """What a sync did, in this process.

    Args:
        resumed: Whether it went on with a run that an earlier process left unfinished.
        new: Movies not known before.
        changed: Known with other content, or as deleted.
        unchanged: Known as they are.
        deleted: Movies of the store that TMDB knows no longer.
        unknown: Movies that neither TMDB nor the store knows.
        published: Movies that Kafka acknowledged.
        refused: Movies of the raw store that Kafka will never take as they are.
        requests: Requests sent, those sent again included.
        failures: Why movies could not be asked for, by id; they stay in the queue.
    """

    resumed: bool
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    unknown: int = 0
    published: int = 0
    refused: int = 0
    requests: int = 0
    failures: dict[int, str] = field(default_factory=dict)


def sync(
    settings: Settings,
    wanted: Wanted,
    progress: Progress = lambda done, total: None,
    workers: int = WORKERS,
) -> SyncResult:
    """Ask TMDB for movies, keep what it says, publish what is new.

    Killed at any moment and started again, it goes on: at most `UNDER_WAY` movies are asked for twice.

    Args:
        settings: TMDB's key and address, MongoDB, Kafka; `home` holds the lock.
        wanted: What to bring.
        progress: Told how far it is.
        workers: Requests at a time.

    Raises:
        BadInputError: Changes were asked for before any full sync.
        InvalidKeyError: TMDB does not take the key.
        TmdbError: TMDB could not be asked, or a movie of it; the next run goes on from there.
        ServiceError: MongoDB or Kafka is away, or another sync runs; the same.
    """
    with (
        file_lock(settings.home / "locks" / "tmdb", patience=LOCK_PATIENCE),
        closing(TmdbClient(settings)) as client,
        open_database(settings) as database,
        closing(EventProducer(settings)) as producer,
    ):
        # Also shows, before a 404 could be taken for a deleted movie, that this is TMDB and takes the key.
        Tmdb(client).configuration()
        ensure_topics(settings)
        return _Sync(settings, client, database, producer, wanted).run(progress, workers)


class _Sync:
    """One sync, with everything it uses open."""

    def __init__(
        self,
        settings: Settings,
        client: TmdbClient,
        database: Database[Document],
        producer: EventProducer,
        wanted: Wanted,
    ) -> None:
        self._settings = settings
        self._client = client
        self._tmdb = Tmdb(client)
        self._store = RawStore(database)
        self._state = SyncState(database)
        self._producer = producer
        self._wanted = wanted

    def run(self, progress: Progress, workers: int) -> SyncResult:
        # What an earlier process stored and did not publish goes first.
        published, _ = self._publish(None)
        run = self._listed()
        result = SyncResult(resumed=run.resumed, published=published)
        total = run.waiting()
        log.info("sync", kind=run.kind, resumed=run.resumed, waiting=total)
        progress(0, total)
        self._ask(run, result, total, progress, workers)
        taken, not_taken = self._publish(None)
        result.published += taken
        result.refused = self._store.count_refused()
        result.requests = self._client.sent
        if result.failures:
            raise _failed(result)
        run.finish()
        self._state.forget_checks(run.started_at - self._recheck)
        if not_taken:
            raise not_taken
        return result

    @property
    def _recheck(self) -> timedelta:
        return timedelta(minutes=self._settings.tmdb_recheck_minutes)

    def _listed(self) -> Run:
        wanted = self._wanted
        since = self._state.changes_since()
        if wanted.kind == "changes" and since is None:
            raise BadInputError(
                "There was no full sync yet, so there is no moment to take changes from.",
                "Run `cinelake tmdb sync --full` first.",
            )
        run = self._state.begin(wanted.kind, datetime.now(UTC), wanted.what)
        if run.is_listed:
            return run
        if wanted.kind == "full":
            self._keep_reference(run.started_at)
        today = run.started_at.date()
        if wanted.kind == "ids":
            run.enqueue(wanted.ids)
        elif wanted.kind == "changes" and since is not None:
            list_changes(run, self._state, self._store, self._tmdb, since, self._recheck)
        elif wanted.source == "export":
            list_export(
                run, self._store, latest_ids(self._client, self._settings.tmdb_exports, today)
            )
        else:
            list_discover(run, self._store, self._tmdb, today)
        run.all_listed()
        return run

    def _keep_reference(self, now: datetime) -> None:
        """Keep what movies refer to: genres by id, and where images are."""
        self._store.keep_reference("configuration", self._tmdb.configuration(), now)
        self._store.keep_reference("genres", self._tmdb.genres(), now)

    def _ask(
        self, run: Run, result: SyncResult, total: int, progress: Progress, workers: int
    ) -> None:
        done = failed_in_a_row = 0
        news: set[int] = set()
        for batch in ask_all(self._tmdb, self._waiting(run), workers):
            news |= self._keep(run, batch, result)
            done += len(batch)
            progress(done, total)
            for asked in batch:
                failed_in_a_row = failed_in_a_row + 1 if asked.movie_id in result.failures else 0
            if failed_in_a_row >= UNDER_WAY:
                # Not some movies but TMDB itself: going on would only cost it and us time.
                raise _failed(result)
            if len(news) >= PUBLISH_EVERY:
                result.published += self._publish(news)[0]
                news.clear()

    def _waiting(self, run: Run) -> Iterator[tuple[int, str | None]]:
        for ids in run.queue():
            etags = self._store.etags(ids)
            yield from ((movie_id, etags.get(movie_id)) for movie_id in ids)

    def _keep(self, run: Run, batch: list[Asked], result: SyncResult) -> set[int]:
        """Store what came, then take it out of the queue; returns the ids that may be news to Kafka."""
        now = datetime.now(UTC)
        found = [asked for asked in batch if asked.answer]
        gone = {asked.movie_id for asked in batch if isinstance(asked.error, NotFoundError)}
        offered = [
            Offered(asked.answer.content, now, asked.answer.etag)
            for asked in found
            if asked.answer and asked.answer.content is not None
        ]
        stored = self._store.upsert_batch(offered) if offered else (0, 0, 0)
        deleted = self._store.mark_deleted(gone, now)
        made_at = {asked.movie_id: asked.answer.made_at for asked in found if asked.answer}
        if made_at:
            run.covers(min(made_at.values()))
        if run.kind == "changes":
            self._state.record_checks(made_at | dict.fromkeys(gone, now), now)
        run.settle([*made_at, *gone])

        result.new += stored[0]
        result.changed += stored[1]
        result.unchanged += stored[2] + len(found) - len(offered)
        result.deleted += deleted
        result.unknown += len(gone) - deleted
        for asked in batch:
            if asked.error and asked.movie_id not in gone:
                result.failures[asked.movie_id] = asked.error.message
        return {each.movie["id"] for each in offered} | gone

    def _publish(self, ids: set[int] | None) -> tuple[int, NotTakenError | None]:
        """Publish what is in the outbox, of these movies or of all.

        Returns:
            How many Kafka took, and what to say of those it did not take: one such movie should not keep the others
            from coming.
        """
        batches = self._store.unpublished_movies(ids)
        try:
            return publish_batches(self._producer, self._store, batches), None
        except NotTakenError as error:
            return error.taken, error


def _failed(result: SyncResult) -> TmdbError:
    movie_id, reason = next(reversed(result.failures.items()))
    return TmdbError(
        f"{len(result.failures):,} movies could not be asked for, the last one {movie_id}: {reason}",
        f"What came is stored. {_HOW_TO_GO_ON}",
    )
