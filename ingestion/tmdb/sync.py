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
from ingestion.tmdb.errors import MoviesLeftError, NotFoundError, TmdbError
from ingestion.tmdb.id_export import latest_ids
from ingestion.tmdb.listing import list_changes, list_discover, list_export
from ingestion.tmdb.sync_state import Kind, Run, SyncState
from ingestion.topics import ensure_topics

PUBLISH_EVERY = 25
"""Movies with news that wait for Kafka at most while a sync runs. Few, so that publishing them is done before those
under way are all answered, and no second is left unused."""
LOCK_PATIENCE = 5.0
_NAMED = 20
"""The most movies that an error names."""

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
        failures: Why movies could not be asked for, by id; every later sync asks for them again.
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

    Killed at any moment and started again, it goes on: at most `UNDER_WAY` movies are asked for twice. Those that could
    not be asked for are kept, and every sync asks for them after all others: they neither stop those nor the next run.

    Args:
        settings: TMDB's key and address, MongoDB, Kafka; `home` holds the lock.
        wanted: What to bring.
        progress: Told how far it is.
        workers: Requests at a time.

    Raises:
        BadInputError: Changes were asked for before any full sync.
        InvalidKeyError: TMDB does not take the key.
        MoviesLeftError: All others came. The next sync asks for these again.
        TmdbError: TMDB could not be asked; the next run goes on from there.
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
        kept = self._state.failed()
        run.enqueue(kept)
        result = SyncResult(resumed=run.resumed, published=published)
        total = run.waiting()
        log.info("sync", kind=run.kind, resumed=run.resumed, waiting=total)
        progress(0, total)
        self._ask(run, kept, result, total, progress, workers)
        taken, not_taken = self._publish(None)
        result.published += taken
        result.refused = self._store.count_refused()
        result.requests = self._client.sent
        run.finish()
        self._state.forget_checks(run.started_at - self._recheck)
        if result.failures:
            raise MoviesLeftError(
                f"{_named(result)} could not be asked for; all others came.",
                "The next sync of any kind asks for these again, last.",
            )
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
        self,
        run: Run,
        kept: set[int],
        result: SyncResult,
        total: int,
        progress: Progress,
        workers: int,
    ) -> None:
        """Ask for the whole queue.

        Args:
            run: Has the queue.
            kept: The movies of the queue that failed before: they come last, and say nothing of TMDB as a whole.
            result: Is kept up to date.
            total: How many movies the queue has.
            progress: Told how far it is.
            workers: Requests at a time.
        """
        done = failed_in_a_row = 0
        news: set[int] = set()
        for batch in ask_all(self._tmdb, self._waiting(run, kept), workers):
            news |= self._keep(run, kept, batch, result)
            done += len(batch)
            progress(done, total)
            for movie_id in (asked.movie_id for asked in batch if asked.movie_id not in kept):
                failed_in_a_row = failed_in_a_row + 1 if movie_id in result.failures else 0
            if failed_in_a_row >= UNDER_WAY:
                # Not some movies but TMDB itself: going on would only cost it and us time.
                raise TmdbError(
                    f"TMDB fails: {_named(result)} could not be asked for.",
                    "What came is stored. Run the same command again; it goes on where it stopped.",
                )
            if len(news) >= PUBLISH_EVERY:
                result.published += self._publish(news)[0]
                news.clear()

    def _waiting(self, run: Run, kept: set[int]) -> Iterator[tuple[int, str | None]]:
        for ids in run.queue(last=kept):
            etags = self._store.etags(ids)
            yield from ((movie_id, etags.get(movie_id)) for movie_id in ids)

    def _keep(self, run: Run, kept: set[int], batch: list[Asked], result: SyncResult) -> set[int]:
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
        failures = {
            asked.movie_id: asked.error.message
            for asked in batch
            if asked.error and asked.movie_id not in gone
        }
        for movie_id, reason in failures.items():
            log.warning("movie could not be asked for", movie_id=movie_id, reason=reason)
        self._state.keep_failed(failures, now)
        self._state.forget_failed(kept & (made_at.keys() | gone))
        run.settle([asked.movie_id for asked in batch])

        result.new += stored[0]
        result.changed += stored[1]
        result.unchanged += stored[2] + len(found) - len(offered)
        result.deleted += deleted
        result.unknown += len(gone) - deleted
        result.failures |= failures
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


def _named(result: SyncResult) -> str:
    """The movies that failed, and why the last one did."""
    movie_id, reason = next(reversed(result.failures.items()))
    named = ", ".join(map(str, sorted(result.failures)[:_NAMED]))
    if len(result.failures) > _NAMED:
        named += ", ..."
    return f"{len(result.failures):,} movies ({named}; of {movie_id}: {reason})"
