"""Publishing gold: readers neither fail, nor wait long, nor see tables of two versions in one query."""

import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import psycopg
import pytest
import structlog
from psycopg.conninfo import make_conninfo

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from lakehouse.publish import ensure_tables
from pipeline import gold_versions, runs, steps
from pipeline.gold_versions import NoRollbackError, NotGatedError
from pipeline.stages import Work
from pipeline.swap import swap_gold

SWAPS = 20
READERS = 8


@pytest.fixture
def database(postgres_uri: str) -> str:
    """A database with two small tables, and a view of what is not gold's, in `gold` and `gold_next`."""
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("set role transformer")
        for schema in ("gold", "gold_next"):
            for table in ("left_side", "right_side"):
                connection.execute(
                    f"create table {schema}.{table} as"
                    " select 0 as version, cast(7 as bigint) as lake_version".encode()
                )
            connection.execute(f"create view {schema}.runs as select * from ops.ledger".encode())
    return postgres_uri


def as_analyst(uri: str) -> str:
    return make_conninfo(uri, options="-c role=analyst -c search_path=gold")


def build_next(connection: psycopg.Connection, version: int) -> None:
    """Stand in for dbt: give every table of `gold_next` the same new version."""
    for table in ("left_side", "right_side"):
        connection.execute(f"update gold_next.{table} set version = %s".encode(), [version])


def read_gold(uri: str) -> int:
    with psycopg.connect(as_analyst(uri)) as connection:
        row = connection.execute("select version from left_side").fetchone()
    assert row is not None
    return int(row[0])


@dataclass(eq=False)
class Reader(threading.Thread):
    """An analyst who asks the same question again and again."""

    uri: str
    stop: threading.Event
    reconnects: bool
    seen: list[tuple[int, int]] = field(default_factory=list)
    error: BaseException | None = None
    longest: float = 0.0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                with psycopg.connect(as_analyst(self.uri), autocommit=True) as connection:
                    self.ask(connection)
                    while not self.reconnects and not self.stop.is_set():
                        self.ask(connection)
        except psycopg.Error as error:
            self.error = error

    def ask(self, connection: psycopg.Connection) -> None:
        started = time.monotonic()
        row = connection.execute(
            "select left_side.version, right_side.version from left_side cross join right_side"
            " where not exists (select from runs)"
        ).fetchone()
        self.longest = max(self.longest, time.monotonic() - started)
        assert row is not None
        self.seen.append((row[0], row[1]))


def test_readers_never_fail_and_never_see_a_mix(database: str) -> None:
    stop = threading.Event()
    readers = [Reader(database, stop, reconnects=number % 2 == 0) for number in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        with psycopg.connect(database, autocommit=True) as connection:
            for version in range(1, SWAPS + 1):
                build_next(connection, version)
                swap_gold(database, run_id=f"run-{version}")
                assert read_gold(database) == version
    finally:
        stop.set()
        for reader in readers:
            reader.join(timeout=30)

    assert [reader.error for reader in readers if reader.error] == []
    seen = [pair for reader in readers for pair in reader.seen]
    assert {left for left, _ in seen} >= set(range(1, SWAPS)), (
        "every version was read while it stood"
    )
    assert [pair for pair in seen if pair[0] != pair[1]] == []
    for reader in readers:
        assert reader.seen == sorted(reader.seen), "no reader went back in time"
    assert max(reader.longest for reader in readers) < 2.0


def test_a_swap_that_waits_too_long_leaves_gold_as_it_was(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        build_next(connection, 1)
    with psycopg.connect(as_analyst(database)) as analyst:
        analyst.execute("select * from right_side")
        with pytest.raises(ServiceError, match="in use"):
            swap_gold(database, patience_seconds=0.5)
        assert read_gold(database) == 0
    swap_gold(database)
    assert read_gold(database) == 1


def test_each_publication_is_recorded_with_its_lake_versions(database: str) -> None:
    result = swap_gold(database, run_id="run-1")
    assert result.lake_versions == {"left_side": 7, "right_side": 7}
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select swapped_at, run_id, lake_versions from ops.gold_version"
        ).fetchall()
    assert rows == [(result.swapped_at, "run-1", result.lake_versions)]


def test_a_swap_can_be_taken_back_until_the_next_build_begins(
    settings: Settings, database: str
) -> None:
    with pytest.raises(NoRollbackError, match="there was none"):
        swap_gold(database, is_rollback=True)
    swap_gold(database, run_id="first")
    with pytest.raises(NoRollbackError):
        swap_gold(database, is_rollback=True)
    with psycopg.connect(database, autocommit=True) as connection:
        build_next(connection, 1)
    swap_gold(database, run_id="bad")
    assert read_gold(database) == 1

    swap_gold(database, run_id="back", is_rollback=True)
    assert read_gold(database) == 0
    seen = gold_versions.current(settings)
    assert seen is not None
    assert (seen.run_id, seen.is_rollback, seen.refusal) == ("back", True, None)
    swap_gold(database, run_id="forth", is_rollback=True)
    assert read_gold(database) == 1

    gold_versions.note_build(settings, "next")
    with pytest.raises(NoRollbackError, match="a build has begun"):
        swap_gold(database, is_rollback=True)
    assert read_gold(database) == 1


def test_a_version_tells_why_there_is_no_newer_one(settings: Settings, database: str) -> None:
    assert gold_versions.current(settings) is None
    swap_gold(database, run_id="good")
    runs.record(settings, "good", runs.PUBLISHED, [])
    seen = gold_versions.current(settings)
    assert seen is not None
    assert (seen.run_id, seen.lake_versions) == ("good", {"left_side": 7, "right_side": 7})
    assert seen.refusal is None

    runs.record(settings, "bad", "dbt refused gold_next", [])
    later = gold_versions.current(settings)
    assert later is not None and later.refusal is not None
    assert (later.refusal.run_id, later.refusal.reason) == ("bad", "dbt refused gold_next")
    assert replace(later, refusal=None) == seen


def test_analysts_see_gold_and_not_what_is_being_built(database: str) -> None:
    for _ in range(2):
        swap_gold(database)
        with psycopg.connect(as_analyst(database), autocommit=True) as analyst:
            analyst.execute("select * from gold.left_side")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute("select * from gold_next.left_side")


def test_an_empty_gold_next_is_not_published(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("drop table gold_next.left_side, gold_next.right_side")
        connection.execute("drop view gold_next.runs")
    with pytest.raises(ServiceError, match="nothing to publish"):
        swap_gold(database)
    assert read_gold(database) == 0


def _run_alone(settings: Settings, run_id: str, stage: str, **options: Any) -> Work:
    with structlog.contextvars.bound_contextvars(run_id=run_id):
        return steps.run_alone(
            lambda: pytest.fail("needs no Spark"),
            settings.model_copy(update={"run_id": run_id}),
            stage,
            **options,
        )


def test_a_run_that_finds_gold_to_hold_all_of_silver_builds_nothing_and_is_over(
    settings: Settings, database: str
) -> None:
    as_run = partial(_run_alone, settings)
    ensure_tables(settings)
    with psycopg.connect(database, autocommit=True) as connection:
        for schema in ("gold", "gold_next"):
            connection.execute(f"create table {schema}.fact_user_event ()".encode())
            connection.execute(
                f"alter table {schema}.fact_user_event owner to transformer".encode()
            )
        assert not as_run("one", "gold prepare").analysts_see_all
        gold_versions.note_gate(settings, "one")
        swapped = as_run("one", "swap").swapped
        assert swapped is not None and swapped.run_id == "one"
        for again in ("one", "two"):
            assert as_run(again, "gold prepare").analysts_see_all
            last = runs.latest(settings)
            assert last is not None
            assert (last.run_id, last.is_published) == (again, True)
        assert not as_run("three", "gold prepare", full_refresh=True).analysts_see_all
        # What was begun is not what analysts see: they still see all of silver.
        assert as_run("four", "gold prepare").analysts_see_all
        connection.execute(
            "insert into silver.genres (genre_id, name, _lake_version) values (1, 'Drama', 8)"
        )
        assert not as_run("five", "gold prepare").analysts_see_all


def test_a_run_swaps_in_what_it_has_built_and_gated_and_nothing_else(
    settings: Settings, database: str
) -> None:
    as_run = partial(_run_alone, settings)
    ensure_tables(settings)
    assert not as_run("one", "gold prepare").analysts_see_all
    with pytest.raises(NotGatedError, match="nothing of run one that passed"):
        as_run("one", "swap")
    gold_versions.note_gate(settings, "one")

    as_run("two", "gold prepare")
    with pytest.raises(NotGatedError, match="run one"):
        as_run("one", "swap")
    with pytest.raises(NotGatedError, match="run one"):
        gold_versions.note_gate(settings, "one")
    assert read_gold(database) == 0

    with psycopg.connect(database, autocommit=True) as connection:
        build_next(connection, 2)
    gold_versions.note_gate(settings, "two")
    swapped = as_run("two", "swap").swapped
    assert swapped is not None and swapped.run_id == "two"
    assert read_gold(database) == 2
    # Tried again after it was done, it swaps nothing back.
    assert as_run("two", "swap").swapped is None
    assert read_gold(database) == 2
    with pytest.raises(NotGatedError):
        as_run("one", "swap")
