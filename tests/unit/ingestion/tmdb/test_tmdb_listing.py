"""A list is read whole: windows cover every day, ranges are cut until TMDB serves them, no page is read twice."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import structlog
from conftest import MakeClient, MakeSandbox
from hypothesis import given
from hypothesis import strategies as st

from ingestion.generated_catalog import FIRST_ID
from ingestion.tmdb import errors
from ingestion.tmdb.endpoints import MAX_PAGE, Tmdb
from ingestion.tmdb.listing import list_changes, list_discover, windows

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


class RunInMemory:
    """A run whose queue and pages are in memory."""

    def __init__(self) -> None:
        self.started_at = datetime.now(UTC)
        self.covered_until = self.started_at
        self.ids: list[int] = []
        self.ranges: dict[str, tuple[int, int]] = {}

    def pages_of(self, name: str) -> tuple[int, int] | None:
        return self.ranges.get(name)

    def page_listed(self, name: str, done: int, total: int) -> None:
        self.ranges[name] = (done, total)

    def enqueue(self, ids: Iterable[int]) -> None:
        self.ids += ids

    def waiting(self) -> int:
        return len(set(self.ids))

    def covers(self, made_at: datetime) -> None:
        self.covered_until = min(self.covered_until, made_at)


class StoreInMemory:
    def __init__(self, *ids: int) -> None:
        self.ids = set(ids)

    def living_ids(self) -> Iterable[int]:
        return iter(self.ids)

    def known_ids(self, ids: Iterable[int]) -> set[int]:
        return self.ids & set(ids)


class ChecksInMemory:
    def __init__(self, **checks: tuple[datetime, datetime]) -> None:
        self._checks = {int(name[1:]): check for name, check in checks.items()}

    def checks(self, ids: Iterable[int]) -> dict[int, tuple[datetime, datetime]]:
        return {each: self._checks[each] for each in ids if each in self._checks}


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_windows_cover_every_day_and_are_never_too_long(since: datetime, gap: timedelta) -> None:
    until = since + gap
    covered = set()
    for start, end in windows(since, until):
        assert timedelta(0) < end - start <= timedelta(days=14)
        # As if TMDB did not count the last day in.
        covered |= {start + timedelta(days=number) for number in range((end - start).days)}
    days = (until.date() - since.date()).days
    assert covered == {since.date() + timedelta(days=number) for number in range(days + 1)}


def test_a_gap_of_less_than_two_weeks_is_one_window() -> None:
    now = datetime(2026, 5, 20, 12, tzinfo=UTC)
    assert list(windows(now - timedelta(days=13), now)) == [(date(2026, 5, 7), date(2026, 5, 21))]


def test_discover_lists_every_movie_also_those_without_a_date(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(130)
    run: Any = RunInMemory()
    tmdb = Tmdb(make_client(sandbox.address))
    list_discover(run, StoreInMemory(7), tmdb, run.started_at.date())
    assert sorted(run.ids) == [7, *range(FIRST_ID, FIRST_ID + 130)]
    assert sandbox.replies["discover 200"] == 7


def test_discover_cuts_the_years_when_there_are_too_many_pages(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(200)
    dated = {entry["id"] for entry in sandbox.catalogue.discover("", "") if entry["release_date"]}
    run: Any = RunInMemory()
    tmdb = Tmdb(make_client(sandbox.address))
    with structlog.testing.capture_logs() as logs:
        list_discover(run, StoreInMemory(), tmdb, run.started_at.date(), max_page=2)
    assert set(run.ids) == dated
    assert all(done <= 2 for done, _ in run.ranges.values())
    (warning,) = [line for line in logs if line["log_level"] == "warning"]
    assert (warning["listed"], warning["total_results"]) == (len(dated), 200)


class KilledRun(RunInMemory):
    """A run that dies when it is given one page more than `pages`, and leaves what it had."""

    pages = 0

    def enqueue(self, ids: Iterable[int]) -> None:
        if self.pages == 0:
            raise KeyboardInterrupt
        self.pages -= 1
        super().enqueue(ids)


def test_a_killed_listing_asks_for_no_page_that_is_in_the_queue(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(200)
    run: Any = KilledRun()
    tmdb = Tmdb(make_client(sandbox.address))
    today = run.started_at.date()
    for pages in (3, 5):
        run.pages = pages
        with pytest.raises(KeyboardInterrupt):
            list_discover(run, StoreInMemory(), tmdb, today)
    run.pages = 99
    list_discover(run, StoreInMemory(), tmdb, today)
    assert sorted(run.ids) == list(range(FIRST_ID, FIRST_ID + 200))
    assert sandbox.replies["discover 200"] == 10 + 2


def test_changes_are_cut_when_a_window_has_too_many_pages(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(900)
    today = datetime.now(UTC).date()
    edited = set()
    for days in range(9):
        edited |= set(sandbox.catalogue.edit(150, today - timedelta(days=days)))
    run: Any = RunInMemory()
    since = run.started_at - timedelta(days=9)
    tmdb = Tmdb(make_client(sandbox.address))
    nothing: Any = ChecksInMemory()
    list_changes(run, nothing, StoreInMemory(), tmdb, since, timedelta(0), max_page=4)
    assert set(run.ids) == edited
    assert max(done for done, _ in run.ranges.values()) <= 4


def test_adult_titles_are_left_out_unless_they_are_known(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(10)
    for movie_id in (FIRST_ID, FIRST_ID + 1):
        sandbox.catalogue._movies[movie_id]["adult"] = True
    sandbox.catalogue.edit_these([FIRST_ID, FIRST_ID + 1, FIRST_ID + 2])
    run: Any = RunInMemory()
    store: Any = StoreInMemory(FIRST_ID + 1)
    nothing: Any = ChecksInMemory()
    tmdb = Tmdb(make_client(sandbox.address))
    list_changes(run, nothing, store, tmdb, run.started_at, timedelta(0))
    assert set(run.ids) == {FIRST_ID + 1, FIRST_ID + 2}


def test_a_movie_asked_for_a_moment_ago_is_left_out_and_not_called_covered(
    make_sandbox: MakeSandbox, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(10)
    sandbox.catalogue.edit_these([FIRST_ID, FIRST_ID + 1, FIRST_ID + 2])
    run: Any = RunInMemory()
    recent, old = (run.started_at - timedelta(minutes=each) for each in (5, 20))
    checks: Any = ChecksInMemory(
        **{f"_{FIRST_ID}": (recent, recent), f"_{FIRST_ID + 1}": (old, old)}
    )
    tmdb = Tmdb(make_client(sandbox.address))
    list_changes(run, checks, StoreInMemory(), tmdb, run.started_at, timedelta(minutes=15))
    assert set(run.ids) == {FIRST_ID + 1, FIRST_ID + 2}
    # What was edited after that answer is for the next run to find.
    assert run.covered_until == recent


@pytest.mark.parametrize("page", [0, MAX_PAGE + 1])
def test_the_sandbox_serves_no_page_that_tmdb_would_not(
    make_sandbox: MakeSandbox, make_client: MakeClient, page: int
) -> None:
    tmdb = Tmdb(make_client(make_sandbox().address))
    with pytest.raises(errors.InvalidPageError):
        tmdb.discover(page=page)
    with pytest.raises(errors.InvalidPageError):
        tmdb.changes(date(2026, 1, 1), date(2026, 1, 2), page)


@pytest.mark.parametrize(("start", "end"), [(1, 16), (2, 1)])
def test_the_sandbox_refuses_dates_that_tmdb_would_refuse(
    make_sandbox: MakeSandbox, make_client: MakeClient, start: int, end: int
) -> None:
    tmdb = Tmdb(make_client(make_sandbox().address))
    with pytest.raises(errors.InvalidDateRangeError):
        tmdb.changes(date(2026, 1, start), date(2026, 1, end))
