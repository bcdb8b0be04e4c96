"""Which movies a sync asks for: all, the changed ones, or those somebody names."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from cinelake.log import get_logger
from ingestion.raw_store import RawStore
from ingestion.tmdb.endpoints import MAX_CHANGES_DAYS, MAX_PAGE, Page, Tmdb
from ingestion.tmdb.sync_state import Run, SyncState

FIRST_FILM = date(1870, 1, 1)
"""No movie at TMDB was released before."""
YEARS_AHEAD = 20
"""Some are announced; none so far ahead."""
CLOCK_DIFFERENCE = timedelta(hours=1)
"""Changes are asked for from that much earlier on: TMDB's clock, and so its midnight, is not ours."""

log = get_logger("tmdb")

AskPage = Callable[[date, date, int], Page]


def list_export(run: Run, store: RawStore, ids: list[int]) -> None:
    """Queue every movie of the daily id file, and those of the store that it lacks: they may be gone.

    Args:
        run: Gets the movies.
        store: Holds what is known.
        ids: The file's ids.
    """
    run.enqueue(ids)
    _queue_known(run, store)


def list_discover(
    run: Run, store: RawStore, tmdb: Tmdb, today: date, max_page: int = MAX_PAGE
) -> None:
    """Queue every movie that `/discover/movie` lists, and those of the store that it lacks.

    Up to `max_page` pages are read as they are. When there are more, the years are cut in halves until each part
    has no more; then movies without a release date are out of reach, and a warning says how many there are.

    Args:
        run: Gets the movies, and remembers the pages.
        store: Holds what is known.
        tmdb: Is asked.
        today: The UTC day.
        max_page: TMDB serves no page beyond this one.
    """
    everything = _Pages(run, "all", lambda page: tmdb.discover(page=page))
    if everything.total_pages <= max_page:
        everything.queue(max_page)
    else:
        end = date(today.year + YEARS_AHEAD, 12, 31)
        _list_range(run, tmdb.discover, (FIRST_FILM, end), max_page, "released", apart=1)
        log.warning(
            "movies without a release date are not listed; the id export has them",
            listed=run.waiting(),
            total_results=everything.total_results,
        )
    _queue_known(run, store)


def list_changes(
    run: Run,
    state: SyncState,
    store: RawStore,
    tmdb: Tmdb,
    since: datetime,
    recheck: timedelta,
    max_page: int = MAX_PAGE,
) -> None:
    """Queue every movie that was edited since a moment.

    TMDB says only on which days. A movie that was asked for a moment ago, and is listed again for the same
    day, is left out for a while; the run then covers only what was edited before that answer, so that the next
    run lists it again.

    Args:
        run: Gets the movies, and remembers the pages.
        state: Knows when a listed movie was last asked for.
        store: Holds what is known.
        tmdb: Is asked.
        since: All earlier edits are in the store.
        recheck: How long a movie is left out.
        max_page: TMDB serves no page beyond this one.
    """

    def choose(page: Page) -> list[int]:
        adult = {each["id"] for each in page.results if each.get("adult") is True}
        # The id file has no adult titles; one that was no such title when it came is followed.
        adult -= store.known_ids(adult) if adult else set()
        ids = [each["id"] for each in page.results if each["id"] not in adult]
        return _due(run, state, ids, recheck)

    for days in windows(since - CLOCK_DIFFERENCE, run.started_at + CLOCK_DIFFERENCE):
        _list_range(run, tmdb.changes, days, max_page, "changed", apart=0, choose=choose)


def windows(since: datetime, until: datetime) -> Iterator[tuple[date, date]]:
    """The days between two moments, in windows that `/movie/changes` takes.

    Each window begins with the last day of the one before, and the last one ends after the last day, so that
    no edit is missed whether or not TMDB counts the end in.

    Args:
        since: The first moment, UTC.
        until: The last moment, UTC.

    Yields:
        First and last day, at most `MAX_CHANGES_DAYS` apart, the earliest window first.
    """
    start, end = since.date(), until.date() + timedelta(days=1)
    while start < end:
        stop = min(start + timedelta(days=MAX_CHANGES_DAYS), end)
        yield start, stop
        start = stop


def _due(run: Run, state: SyncState, ids: list[int], recheck: timedelta) -> list[int]:
    checks = state.checks(ids)
    due = []
    for movie_id in ids:
        checked_at, made_at = checks.get(movie_id, (None, None))
        if checked_at and made_at and run.started_at - checked_at < recheck:
            run.covers(made_at)
        else:
            due.append(movie_id)
    return due


def _queue_known(run: Run, store: RawStore) -> None:
    # Read to the end first: the store's cursor should not wait for the queue's writes.
    run.enqueue(list(store.living_ids()))


def _all_ids(page: Page) -> list[int]:
    return [each["id"] for each in page.results]


def _list_range(
    run: Run,
    ask: AskPage,
    days: tuple[date, date],
    max_page: int,
    name: str,
    apart: int,
    choose: Callable[[Page], list[int]] = _all_ids,
) -> None:
    """Queue what is listed between two days, cut in halves while that is more than TMDB serves.

    Args:
        run: Gets the movies, and remembers the pages.
        ask: Asks for a page of the list between two days.
        days: The first and the last day.
        max_page: TMDB serves no page beyond this one.
        name: Of the list.
        apart: Days between the halves: 0 when it is not known whether the last day counts.
        choose: The ids of a page to queue.
    """
    start, end = days
    pages = _Pages(run, f"{name} {start} {end}", lambda page: ask(start, end, page), choose)
    if pages.total_pages > max_page and (end - start).days > 1 - apart:
        middle = start + (end - start) // 2
        later = (middle + timedelta(days=apart), end)
        _list_range(run, ask, (start, middle), max_page, name, apart, choose)
        _list_range(run, ask, later, max_page, name, apart, choose)
        return
    if pages.total_pages > max_page:
        log.warning(
            "more movies than TMDB lists",
            first_day=str(start),
            last_day=str(end),
            pages=pages.total_pages,
            listed_pages=max_page,
        )
    pages.queue(max_page)


class _Pages:
    """The pages of one list, of which a run remembers those that are in its queue.

    Args:
        run: Gets the movies.
        name: Of the list.
        ask: Asks for a page.
        choose: The ids of a page to queue.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        ask: Callable[[int], Page],
        choose: Callable[[Page], list[int]] = _all_ids,
    ) -> None:
        self._run, self._name, self._ask, self._choose = run, name, ask, choose
        self._first: Page | None = None
        listed = run.pages_of(name)
        if listed is None:
            self._first = ask(1)
            listed = (0, self._first.total_pages)
            run.page_listed(name, *listed)
        self._done, self.total_pages = listed

    @property
    def total_results(self) -> int | None:
        """How many movies the list has, None when an earlier process asked for its first page."""
        return self._first.total_results if self._first else None

    def queue(self, max_page: int) -> None:
        """Queue the pages that are not yet in the queue."""
        while self._done < min(self.total_pages, max_page):
            number = self._done + 1
            page = self._first if number == 1 and self._first else self._ask(number)
            self._run.enqueue(self._choose(page))
            # The list may grow while it is read.
            self._done, self.total_pages = number, page.total_pages
            self._run.page_listed(self._name, self._done, self.total_pages)
