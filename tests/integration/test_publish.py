"""Silver to PostgreSQL: every change once, every text byte for byte, and no half of anything."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError, GateFailedError, ServiceError
from cinelake.settings import Settings
from lakehouse import tables, watermarks
from lakehouse.contract import Table, table
from lakehouse.frames import frame_of
from lakehouse.publish import Published, Scope, publish, publish_table
from pipeline import gates
from pipeline.steps import run_alone

USERS, RATINGS, GENRES = (table(f"silver.{name}") for name in ("users", "ratings", "genres"))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

TEXTS = [
    "plain",
    "",
    " spaces around ",
    'a "quoted" word',
    "it's",
    "one\ntwo\r\nthree\rfour",
    "tab\there",
    "comma, semicolon; pipe|",
    "\\.",
    "\\N",
    "\\n \\\\ \\x00",
    "NULL",
    "null",
    "Amélie 映画 🎬 \U0001d518\U0001d52b",
    "right \u202eto left",
    "e\u0301 is not é",
    "\x01\x7f\ufeff\u2028\ufffd",
    "'; drop table silver.users; --",
    "x" * (USERS.column("name").max_length or 0),
]


@pytest.fixture
def lakehouse(spark: SparkSession, settings: Settings) -> Settings:
    """A database and a lake of the test's own, with the tables that these tests write."""
    for contract in (USERS, RATINGS, GENRES):
        tables.ensure_table(lambda: spark, settings, contract)
    return settings


def user(user_id: str, **fields: Any) -> dict[str, Any]:
    known = dict.fromkeys(USERS.column_names)
    seen = {"first_seen_at": NOON, "last_seen_at": NOON, "event_count": 1}
    return {**known, **seen, "user_id": user_id, **fields}


def rating(user_id: str, value: float) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "movie_id": 13,
        "rating": value,
        "event_id": str(UUID(int=1)),
        "rated_at": NOON,
        "is_removed": False,
    }


def write(spark: SparkSession, settings: Settings, contract: Table, *rows: dict[str, Any]) -> None:
    frame = frame_of(spark, [tuple(row.values()) for row in rows], contract.spark_schema())
    tables.upsert(spark, settings, contract, frame)


def remove(spark: SparkSession, settings: Settings, *users: str) -> None:
    owners = frame_of(spark, [(name,) for name in users], "user_id string")
    nothing = frame_of(spark, [], USERS.spark_schema())
    tables.replace(spark, settings, USERS, nothing, owners)


def ask(settings: Settings, query: str) -> list[Any]:
    with psycopg.connect(settings.postgres) as connection:
        return connection.execute(query.encode()).fetchall()


def names(settings: Settings) -> dict[str, tuple[str | None, bool]]:
    rows = ask(settings, "select user_id, name, _deleted from silver.users")
    return {user_id: (name, deleted) for user_id, name, deleted in rows}


def merged(done: list[Published]) -> dict[str, int]:
    return {each.table: each.merged for each in done if each.merged}


def test_postgres_keeps_the_limits_of_the_contract_and_leaves_rows_from_before_them(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="x" * 256), user("bob"), user("eve"))
    publish(lakehouse)
    with psycopg.connect(lakehouse.postgres, autocommit=True) as connection:
        rules = "select conname from pg_constraint where conrelid = 'silver.users'::regclass and contype = 'c'"
        held = {name for (name,) in connection.execute(rules)}
        assert held == set(USERS.postgres_limits)
        # As a home was before its contract had limits, or had others.
        for name in held:
            connection.execute(f"alter table silver.users drop constraint {name}".encode())
        connection.execute(
            "alter table silver.users add constraint limits_of_name_0 check (name <> '')"
        )
        connection.execute("update silver.users set name = repeat('x', 257) where user_id = 'bob'")
        write(spark, lakehouse, USERS, user("eve", name="Eve"))
        publish(lakehouse)
        assert {name for (name,) in connection.execute(rules)} == held
    remove(spark, lakehouse, "bob")
    publish(lakehouse)
    assert names(lakehouse)["bob"] == ("x" * 257, True)
    write(spark, lakehouse, USERS, user("eve", name="x" * 257))
    with pytest.raises(
        GateFailedError, match=r"silver\.users is beyond the limits .*char_length\(name\) <= 256"
    ):
        publish(lakehouse)
    assert names(lakehouse)["eve"] == ("Eve", False)
    write(spark, lakehouse, USERS, user("eve", name="Eve L."))
    publish(lakehouse)
    assert names(lakehouse)["eve"] == ("Eve L.", False)


def test_changes_arrive_once_and_deletions_stay_as_tombstones(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="Ada"), user("bob"), user("eve", name="Eve"))
    assert merged(publish(lakehouse)) == {"silver.users": 3}
    assert names(lakehouse) == {"ada": ("Ada", False), "bob": (None, False), "eve": ("Eve", False)}

    write(spark, lakehouse, USERS, user("ada", name="Ada L."), user("bob"))
    remove(spark, lakehouse, "eve")
    assert merged(publish(lakehouse)) == {"silver.users": 2}
    assert names(lakehouse) == {
        "ada": ("Ada L.", False),
        "bob": (None, False),
        "eve": ("Eve", True),
    }

    before = ask(lakehouse, "select u::text from silver.users u order by 1")
    assert {(each.changes, each.merged) for each in publish(lakehouse)} == {(0, 0)}
    assert ask(lakehouse, "select u::text from silver.users u order by 1") == before

    write(spark, lakehouse, USERS, user("eve", name="Eve again"))
    publish(lakehouse)
    assert names(lakehouse)["eve"] == ("Eve again", False)


def test_of_several_changes_of_a_row_the_last_one_stands(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="first"), user("bob"), user("eve"))
    for name in ("second", "third"):
        write(spark, lakehouse, USERS, user("ada", name=name))
    remove(spark, lakehouse, "bob", "eve")
    write(spark, lakehouse, USERS, user("eve", name="back"))
    publish(lakehouse)
    assert names(lakehouse) == {"ada": ("third", False), "eve": ("back", False)}


def test_texts_arrive_byte_for_byte(spark: SparkSession, lakehouse: Settings) -> None:
    longest = USERS.column("user_id").max_length
    ids = [f"{number} {text}"[:longest] for number, text in enumerate(TEXTS)]
    rows = [user(user_id, name=text) for user_id, text in zip(ids, TEXTS, strict=True)]
    write(spark, lakehouse, USERS, *rows, user("nobody", name=None))
    publish(lakehouse)
    found = ask(lakehouse, "select user_id, convert_to(name, 'UTF8') from silver.users")
    assert dict(found) == {
        **{user_id: text.encode() for user_id, text in zip(ids, TEXTS, strict=True)},
        "nobody": None,
    }


def test_numbers_times_and_nulls_arrive_as_they_are(
    spark: SparkSession, lakehouse: Settings
) -> None:
    exact = datetime(2026, 1, 1, 23, 59, 59, 999999, tzinfo=UTC)
    whole = user("ada", birth_year=1915, event_count=2**53 - 1, last_seen_at=exact)
    write(spark, lakehouse, USERS, whole)
    write(spark, lakehouse, RATINGS, rating("ada", 1.1 + 2.2))
    publish(lakehouse)
    found = ask(
        lakehouse,
        "select birth_year, event_count, last_seen_at, country, name from silver.users",
    )
    assert found == [(1915, 2**53 - 1, exact, None, None)]
    assert ask(lakehouse, "select rating, event_id, is_removed from silver.ratings") == [
        (1.1 + 2.2, UUID(int=1), False)
    ]


def test_a_full_load_gives_the_same_and_keeps_tombstones(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="Ada"), user("bob"), user("eve"))
    publish(lakehouse)
    remove(spark, lakehouse, "bob")
    write(spark, lakehouse, USERS, user("ada", name="Ada L."), user("zoe"))
    publish(lakehouse)
    before = names(lakehouse)
    publish(lakehouse, scope=Scope(full=True))
    assert names(lakehouse) == before
    assert before["bob"][1]

    # What was deleted while nothing was published, or came in by another hand, is found as well.
    remove(spark, lakehouse, "eve")
    with psycopg.connect(lakehouse.postgres) as connection:
        connection.execute("update silver.users set name = 'by hand' where user_id = 'ada'")
    publish(lakehouse, scope=Scope(full=True))
    assert names(lakehouse) == {**before, "eve": (None, True)}


def test_after_a_vacuum_a_full_load_does_what_the_error_says(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="Ada"), user("bob"))
    publish(lakehouse)
    for name in ("second", "third"):
        write(spark, lakehouse, USERS, user("ada", name=name))
    path = Path(tables.table_path(lakehouse, "silver.users"))
    for feed in (path / "_change_data").glob("*.parquet"):
        feed.unlink()
    with pytest.raises(ServiceError, match="cinelake publish --full"):
        publish(lakehouse)
    assert names(lakehouse)["ada"] == ("Ada", False)
    publish(lakehouse, scope=Scope(full=True))
    assert names(lakehouse) == {"ada": ("third", False), "bob": (None, False)}
    assert {(each.changes, each.merged) for each in publish(lakehouse)} == {(0, 0)}


def test_rows_that_the_gate_refuses_never_arrive_even_in_a_full_load(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, RATINGS, rating("ada", 8.5))
    with structlog.contextvars.bound_contextvars(run_id="run"):
        run_alone(lambda: spark, lakehouse, "publish")
        write(spark, lakehouse, RATINGS, rating("ada", 99.0))
        for full in (False, True):
            with pytest.raises(GateFailedError, match=r"silver\.ratings: range rating"):
                run_alone(lambda: spark, lakehouse, "publish", scope=Scope(full=full))
            assert ask(lakehouse, "select rating, _deleted from silver.ratings") == [(8.5, False)]


CRASH = """
import os, signal
from cinelake.settings import load_settings
from lakehouse import publish, watermarks
from lakehouse.contract import table

watermarks.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
settings = load_settings()
publish.publish_table(settings, table("silver.users"))
"""


def test_a_crash_between_copy_and_commit_leaves_everything_where_it_was(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="Ada"))
    publish(lakehouse)
    before = watermarks.read(lakehouse, "silver.users")
    write(spark, lakehouse, USERS, user("ada", name="Ada L."), user("bob"))
    environment = os.environ | {
        "POSTGRES_URI": lakehouse.postgres,
        "LAKE_URI": lakehouse.lake_uri,
    }
    done = subprocess.run([sys.executable, "-c", CRASH], env=environment, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert watermarks.read(lakehouse, "silver.users") == before
    assert names(lakehouse) == {"ada": ("Ada", False)}
    assert publish_table(lakehouse, USERS).merged == 2
    assert names(lakehouse) == {"ada": ("Ada L.", False), "bob": (None, False)}


def test_two_publishers_at_once_publish_each_change_once(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, *(user(f"u{number}") for number in range(50)))
    together = threading.Barrier(4)
    done: list[dict[str, int]] = []

    def run() -> None:
        together.wait()
        done.append(merged(publish(lakehouse)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sorted(done, key=len) == [{}, {}, {}, {"silver.users": 50}]
    assert len(names(lakehouse)) == 50


def test_postgres_that_goes_away_in_the_middle_is_a_service_error(
    lakehouse: Settings, monkeypatch: pytest.MonkeyPatch, spark: SparkSession
) -> None:
    write(spark, lakehouse, USERS, user("ada"))

    def cut_off(connection: psycopg.Connection, *_: object) -> None:
        pid = connection.info.backend_pid
        ask(lakehouse, f"select pg_terminate_backend({pid})")
        connection.execute("select 1")

    with monkeypatch.context() as patch:
        patch.setattr(watermarks, "write", cut_off)
        with pytest.raises(ServiceError, match="PostgreSQL"):
            publish(lakehouse)
    assert names(lakehouse) == {}
    publish(lakehouse)
    assert list(names(lakehouse)) == ["ada"]


@pytest.fixture(autouse=True)
def _no_leftover_run_id() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()


def test_a_publication_takes_the_tables_and_versions_that_it_is_asked_for(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="Ada"))
    write(spark, lakehouse, RATINGS, rating("ada", 8.5))
    only_users = Scope(tables=["silver.users"])
    assert merged(publish(lakehouse, scope=only_users)) == {"silver.users": 1}
    newest = watermarks.read(lakehouse, "silver.users")

    again = Scope(tables=["silver.users"], from_version=newest)
    assert merged(publish(lakehouse, scope=again)) == {"silver.users": 1}
    # A version that is still to come leaves nothing out.
    write(spark, lakehouse, USERS, user("bob"))
    ahead = Scope(from_version=newest + 10)
    assert merged(publish(lakehouse, scope=ahead)) == {"silver.users": 1, "silver.ratings": 1}


def test_what_its_gate_has_not_passed_is_not_published(
    spark: SparkSession, lakehouse: Settings
) -> None:
    write(spark, lakehouse, USERS, user("ada", name="Ada"))
    with structlog.contextvars.bound_contextvars(run_id="run"):
        assert gates.gate_silver(lambda: spark, lakehouse, "run").passed
        passed = gates.passed_versions(lakehouse, "silver")
        assert gates.has_passed(lakehouse, "silver")
        write(spark, lakehouse, USERS, user("eve", name="Eve"))
        assert not gates.has_passed(lakehouse, "silver")
        assert merged(publish(lakehouse, upto=passed)) == {"silver.users": 1}
        assert set(names(lakehouse)) == {"ada"}
        run_alone(lambda: spark, lakehouse, "publish")
    assert set(names(lakehouse)) == {"ada", "eve"}


def test_a_table_that_silver_does_not_have_is_named(
    spark: SparkSession, lakehouse: Settings
) -> None:
    with (
        structlog.contextvars.bound_contextvars(run_id="run"),
        pytest.raises(BadInputError, match=r"Silver has no table silver\.rating\."),
    ):
        run_alone(lambda: spark, lakehouse, "publish", scope=Scope(tables=["silver.rating"]))


def test_a_table_that_was_made_anew_is_not_taken_for_one_without_changes(
    spark: SparkSession, lakehouse: Settings
) -> None:
    for name in ("first", "second"):
        write(spark, lakehouse, USERS, user("ada", name=name))
    publish(lakehouse)
    shutil.rmtree(tables.table_path(lakehouse, "silver.users"))
    tables.ensure_table(lambda: spark, lakehouse, USERS)
    with pytest.raises(ServiceError, match=r"silver\.users is at version 0, .* it was made anew"):
        publish(lakehouse)
    assert names(lakehouse) == {"ada": ("second", False)}
    publish(lakehouse, scope=Scope(full=True))
    assert names(lakehouse) == {"ada": ("second", True)}
