"""Quarantine, recovery, trace, as-of and upkeep on the real lake and PostgreSQL."""

import hmac
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from ingestion.raw_store import open_raw_store
from lakehouse import changes, tables
from lakehouse.mapping import read_mapping
from lakehouse.publish import publish
from lakehouse.recover import Selection
from pipeline import locks
from pipeline.gates import gate_silver
from pipeline.locks import only_one
from pipeline.recovery import run_recover
from pipeline.streams import run_silver
from pipeline.upkeep import BUSY, run_maintain
from tests.integration.conftest import CommandLine
from tests.unit.silver.conftest import answer, message, rows_of_messages

MAPPING = """
- rename: {from: movie, to: movie_id}
- cast: {field: movie_id, type: int}
"""


@pytest.fixture
def lakehouse(settings: Settings, empty_lake: Settings) -> Settings:
    """A database and a lake of the test's own, with every table."""
    return settings.model_copy(update={"lake": empty_lake.lake})


@pytest.fixture
def cinelake(lakehouse: Settings) -> CommandLine:
    """The command line on the test's own lake and database."""
    places = {
        "CINELAKE_HOME": str(lakehouse.home),
        "POSTGRES_URI": lakehouse.postgres,
        "LAKE_URI": lakehouse.lake_uri,
    }
    return CommandLine(os.environ | places)


def land(messages: DataFrame, settings: Settings, name: str) -> None:
    messages.write.format("delta").mode("append").save(tables.table_path(settings, name))


def told(cinelake: CommandLine, *arguments: str) -> Any:
    return json.loads(cinelake.here(*arguments, "--json").stdout)


def test_a_renamed_field_is_quarantined_mended_published_and_traced(
    spark: SparkSession,
    lakehouse: Settings,
    cinelake: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    movie_id = uuid4().int % 10**9 + 10**6
    event_id, other = str(uuid4()), str(uuid4())
    events = [
        message(event_id=other, key_id="0123456789ab", user_id="Ada@example.org"),
        message(
            event_id=event_id, key_id="0123456789ab", event_type="rating", movie=str(movie_id),
            properties={"rating": 8.5},
        ),
        message(event_id=other),
        b"\xff\xfe not an event",
    ]  # fmt: skip
    land(rows_of_messages(spark, events, "user_logs"), lakehouse, "bronze.user_logs")
    with open_raw_store(lakehouse) as store:
        store.upsert_movies([{"id": movie_id, "title": "Forrest Gump"}])
    land(rows_of_messages(spark, [answer(id=movie_id)], "movie"), lakehouse, "bronze.movie")
    run_silver(lambda: spark, lakehouse)
    publish(lakehouse)

    counted = {(row["rule"], row["messages"]) for row in told(cinelake, "quarantine", "stats")}
    assert counted == {("missing_field", 1), ("text_not_storable", 1)}
    (listed,) = told(cinelake, "quarantine", "ls", "--rule", "missing_field")
    assert (listed["place"], listed["event_id"]) == ("user_logs/0/1", event_id)
    shown = cinelake.here("quarantine", "show", "user_logs/0/3").stdout
    assert "fffe206e6f7420616e206576656e74" in shown
    before = Counter(hop["hop"] for hop in told(cinelake, "trace", event_id))
    assert before == {"api": 1, "kafka": 1, "bronze": 1, "silver": 1}

    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(MAPPING)
    selection = Selection("missing_field", "user_logs", read_mapping(mapping))
    (dry,) = run_recover(spark, lakehouse, selection, is_applied=False)
    assert (dry.held, dry.passing) == (1, 1)
    monkeypatch.setattr("pipeline.recovery.current_run_id", lambda: "a-run")
    (done,) = run_recover(spark, lakehouse, selection, is_applied=True)
    assert done.recovered == 1
    assert gate_silver(lambda: spark, lakehouse, "after recovery").passed
    publish(lakehouse)
    with psycopg.connect(lakehouse.postgres) as connection:
        rows = connection.execute(
            "select movie_id, rating, not _deleted from silver.events where event_id = %s",
            [event_id],
        ).fetchall()
        assert rows == [(movie_id, 8.5, True)]
        gone = connection.execute(
            "select _deleted from silver.quarantine where kafka_offset = 1"
        ).fetchall()
        assert gone == [(True,)]

    hops = {hop["hop"]: hop for hop in told(cinelake, "trace", "event", event_id.upper())}
    assert list(hops) == ["api", "kafka", "bronze", "silver", "recovered", "postgres"]
    assert hops["api"]["key_id"] == "0123456789ab"
    assert (hops["kafka"]["partition"], hops["kafka"]["offset"]) == (0, 1)
    file = Path(tables.table_path(lakehouse, "bronze.user_logs")) / hops["bronze"]["file"]
    assert (hops["bronze"]["delta_version"], file.is_file()) == (1, True)
    assert hops["silver"]["state"] == "counted"
    assert hops["silver"]["delta_version"] == hops["postgres"]["lake_version"]
    assert hops["postgres"]["watermark"] == changes.current_version(lakehouse, "silver.events")
    assert hops["recovered"]["run_id"] == "a-run"
    states = [hop["state"] for hop in told(cinelake, "trace", other) if hop["hop"] == "silver"]
    assert sorted(states) == ["a repetition, noted and not counted", "counted"]

    user, silver, postgres = told(cinelake, "trace", "user", "ada%40EXAMPLE.org")
    key = lakehouse.pseudonym_secret.encode()
    assert user["user_id"] == hmac.new(key, b"ada@example.org", "sha256").hexdigest()
    assert (silver["event_count"], postgres["is_deleted"]) == (1, False)
    nobody = cinelake.run("trace", "user", "bob@example.org", check=False)
    assert (nobody.returncode, "silver.users" in nobody.stderr) == (1, True)
    assert "bob@" not in nobody.stderr

    movie = told(cinelake, "trace", "movie", str(movie_id))
    assert Counter(hop["hop"] for hop in movie) == dict.fromkeys(
        ("mongodb", "kafka", "bronze", "silver", "silver.movie_versions", "postgres"), 1
    )
    assert movie[0]["version"] == 1
    nowhere = cinelake.here("trace", str(uuid4()), check=False)
    assert nowhere.returncode == 1
    assert "bronze.user_logs" in nowhere.stderr

    as_of = told_as_of(cinelake, "0")
    assert as_of["rows"] == []
    newest = told_as_of(cinelake, str(hops["silver"]["delta_version"]))
    assert {row["event_id"] for row in newest["rows"]} == {event_id, other}
    refused = cinelake.here("as-of", "silver.events", "--version", "99", check=False)
    assert refused.returncode == 2
    assert "has no version 99" in refused.stderr


def told_as_of(cinelake: CommandLine, version: str) -> Any:
    where = ("--columns", "event_id", "--format", "json")
    return json.loads(cinelake.here("as-of", "silver.events", "--version", version, *where).stdout)


def test_upkeep_beside_new_data_keeps_publication_and_silver_going(
    spark: SparkSession, lakehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*offsets: int) -> None:
        events = [message(event_id=str(uuid4())) for _ in range(max(offsets) + 1)]
        rows = rows_of_messages(spark, events, "user_logs")
        land(rows.where(rows["offset"].isin(*offsets)), lakehouse, "bronze.user_logs")

    def published() -> int:
        publish(lakehouse)
        with psycopg.connect(lakehouse.postgres) as connection:
            row = connection.execute("select count(*) from silver.events where not _deleted")
            return int((row.fetchone() or (0,))[0])

    send(0)
    send(1)
    run_silver(lambda: spark, lakehouse)
    assert published() == 2
    # Landed, and not read by silver when the files below it are replaced.
    send(2)
    send(3)
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.2)
    with only_one(lakehouse, "silver"):
        held = run_maintain(lambda: spark, lakehouse, None, False, lambda _: lambda _: None)
    assert {each.skipped for each in held if each.table.startswith("silver.")} == {BUSY}
    logs = next(each for each in held if each.table == "bronze.user_logs")
    assert (logs.small_files_before, logs.small_files_after) == (4, 1)
    assert logs.oldest_unread is not None

    silver = run_maintain(lambda: spark, lakehouse, None, False, lambda _: lambda _: None)
    assert {each.skipped for each in silver} == {""}
    assert run_silver(lambda: spark, lakehouse)["silver from bronze.user_logs"] > 0
    assert published() == 4
    # Neither what was read nor files that were only put together are anything to start Spark for.
    run_maintain(lambda: spark, lakehouse, None, False, lambda _: lambda _: None)
    assert set(run_silver(lambda: pytest.fail("Spark was started"), lakehouse).values()) == {0}
    assert {each.changes for each in publish(lakehouse)} == {0}
    assert gate_silver(lambda: spark, lakehouse, "after upkeep").passed


def test_recovery_does_not_run_beside_a_daemon(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.2)
    with only_one(settings, "silver"), pytest.raises(ServiceError, match=r"locks/silver"):
        run_recover(spark, settings, Selection("not_json"), is_applied=True)
