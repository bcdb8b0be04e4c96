"""The gates on real components: gold in PostgreSQL, and the increments of the lake that each gate looks at."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from cinelake.errors import GateFailedError, SettingError
from cinelake.settings import Settings
from cinelake.stack.postgres import analyst_uri, bootstrap
from expectations.data_docs import build_data_docs
from expectations.gate import KEPT, run_gold_gate
from expectations.gold import gold_suites
from expectations.results import (
    GateResult,
    RuleResult,
    data_docs_folder,
    load_results,
    save_results,
)
from expectations.trends import trend_expectations
from lakehouse import changes, tables, watermarks
from lakehouse.as_of import Selection, read_as_of
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.publish import Scope, ensure_tables, publish
from pipeline import gates
from pipeline.gates import gate_bronze, gate_silver, require
from tests.integration.test_publish import NOON, USERS, remove, user, write

CLEAN = [
    *(
        f"create table gold_next.{name} as select * from (values (-1), (1), (2)) t ({key})"
        for name, key in (
            ("dim_movie", "movie_key"),
            ("dim_user", "user_key"),
            ("dim_user_personal", "user_key"),
            ("dim_session", "session_key"),
            ("dim_date", "date_key"),
            ("dim_genre", "genre_key"),
            ("dim_company", "company_key"),
            ("dim_country", "country_key"),
            ("dim_language", "language_key"),
            ("dim_keyword", "keyword_key"),
            ("dim_person", "person_key"),
        )
    ),
    *(
        f"create table gold_next.bridge_movie_{name} as"
        f" select * from (values (1, 1), (1, 2), (2, 1)) t (movie_key, {name}_key)"
        for name in ("genre", "company", "country", "language", "keyword")
    ),
    *(
        f"create table gold_next.bridge_movie_{name} as"
        " select * from (values ('a', 1, 1), ('b', 1, 2)) t (credit_id, movie_key, person_key)"
        for name in ("cast", "crew")
    ),
    "create table gold_next.fact_user_event as select gen_random_uuid() as event_id, n,"
    " 1 as movie_key, -1 as user_key, 2 as session_key, 1 as date_key,"
    " case when n = 1 then null else 0.5 end::float as rating, 'rating' as event_type, 13 as movie_id,"
    " now() as received_at"
    " from generate_series(1, 10) n",
    "create table gold_next.ratings as select 'user ' || n as user_id, 13 as movie_id,"
    " 1 as movie_key, 1 as user_key, 10.0::float as rating, n from generate_series(1, 5) n",
    *(
        f"create table gold_next.{name} as"
        f" select n, 1 as movie_key, 2 as user_key, -1 as session_key, 1 as genre_key, {columns}"
        " from generate_series(1, 5) n"
        for name, columns in (
            ("comments", "'comment ' || n as comment_id"),
            ("comment_votes", "'user ' || n as user_id, 'comment' as comment_id, 'up' as vote"),
            ("movie_reactions", "'user ' || n as user_id, 13 as movie_id, 'like' as reaction"),
            ("watchlist", "'user ' || n as user_id, 13 as movie_id"),
            ("watch_history", "'watch ' || n as watch_id"),
            ("movie_daily", "n as movie_id, date '2024-01-01' as date_day, 5.5::float as mean_rating"),
            ("movie_popularity", "n as movie_id, 5.5::float as weighted_rating"),
            ("user_activity", "date '2024-01-01' + n as date_day, 0.5::float as stickiness"),
            ("user_retention", "date '2024-01-01' as cohort_week, n as week_number, 1::float as retention_share"),
            ("session_funnel", "date '2024-01-01' + n as date_day, 'Mac' as device, 1::float as view_share,"
             " 1::float as play_share, 0::float as complete_share, null::float as rating_share"),
            ("genre_trends", "date '2024-01-01' + n as month_start, 0.5::float as play_share"),
            ("movie_recommendations", "'user ' || n as user_id, 13 as movie_id, 7.5::float as predicted_rating"),
            ("similar_movies", "n as movie_id, 13 as similar_movie_id"),
        )
    ),
]  # fmt: skip

# What breaks a rule: the statement, and the rule's table, name and column.
BROKEN = [
    ("update fact_user_event set rating = 10.5 where n = 2", "fact_user_event", "range", "rating"),
    ("update fact_user_event set movie_key = 9 where n = 2", "fact_user_event", "reference", "movie_key"),
    ("update fact_user_event set user_key = 9 where n = 3", "fact_user_event", "reference", "user_key"),
    ("update fact_user_event set session_key = 9 where n = 4", "fact_user_event", "reference", "session_key"),
    ("update fact_user_event set date_key = null where n = 5", "fact_user_event", "not_null", "date_key"),
    ("update fact_user_event set event_type = 'sneeze' where n = 6", "fact_user_event", "valid_values", "event_type"),
    ("update fact_user_event f set event_id = (select event_id from fact_user_event where n = 7) where n = 8",
     "fact_user_event", "unique", "event_id"),
    ("delete from fact_user_event where n = 10", "fact_user_event", "row_count", ""),
    ("update ratings set rating = 0 where n = 1", "ratings", "range", "rating"),
    ("update ratings set user_key = 9 where n = 2", "ratings", "reference", "user_key"),
    ("update ratings set user_id = 'user 4' where n = 3", "ratings", "unique", "user_id, movie_id"),
    ("update ratings set movie_key = null where n = 5", "ratings", "not_null", "movie_key"),
    ("insert into bridge_movie_genre values (9, 1)", "bridge_movie_genre", "reference", "movie_key"),
    ("insert into bridge_movie_genre values (1, 9)", "bridge_movie_genre", "reference", "genre_key"),
    ("insert into bridge_movie_genre values (2, 1)", "bridge_movie_genre", "unique", "movie_key, genre_key"),
    ("delete from dim_movie where movie_key = -1", "dim_movie", "one_unknown_member", "movie_key"),
    ("insert into dim_genre values (2)", "dim_genre", "unique", "genre_key"),
    ("insert into dim_session values (null)", "dim_session", "not_null", "session_key"),
    ("update comments set user_key = 9 where n = 1", "comments", "reference", "user_key"),
    ("update comments set comment_id = 'comment 2' where n = 3", "comments", "unique", "comment_id"),
    ("update comment_votes set vote = 'none' where n = 1", "comment_votes", "valid_values", "vote"),
    ("update movie_reactions set reaction = 'none' where n = 1", "movie_reactions", "valid_values", "reaction"),
    ("update watchlist set movie_key = 9 where n = 1", "watchlist", "reference", "movie_key"),
    ("update watch_history set session_key = 9 where n = 1", "watch_history", "reference", "session_key"),
    ("update movie_daily set mean_rating = 11 where n = 1", "movie_daily", "range", "mean_rating"),
    ("update movie_popularity set weighted_rating = 0 where n = 1", "movie_popularity", "range", "weighted_rating"),
    ("update movie_popularity set movie_key = 9 where n = 2", "movie_popularity", "reference", "movie_key"),
    ("update user_activity set stickiness = 1.5 where n = 1", "user_activity", "range", "stickiness"),
    ("update user_retention set week_number = 2 where n = 3", "user_retention", "unique", "cohort_week, week_number"),
    ("update session_funnel set play_share = -1 where n = 1", "session_funnel", "range", "play_share"),
    ("update genre_trends set genre_key = 9 where n = 1", "genre_trends", "reference", "genre_key"),
    ("update movie_recommendations set predicted_rating = 11 where n = 1", "movie_recommendations", "range", "predicted_rating"),
    ("update similar_movies set movie_key = 9 where n = 1", "similar_movies", "reference", "movie_key"),
    ("alter table dim_date rename date_key to other", "dim_date", "columns_exist", ""),
]  # fmt: skip


@pytest.fixture
def gold_next(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection to a `gold_next` that keeps every rule."""
    ensure_tables(settings)
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        connection.execute("set role transformer")
        connection.execute("set search_path = gold_next")
        for statement in CLEAN:
            connection.execute(statement.encode())
        yield connection


def check(settings: Settings, run_id: str = "run", rows: int = 10) -> GateResult:
    return run_gold_gate(settings, run_id, {"fact_user_event": rows})


def failed(result: GateResult) -> list[tuple[str, str, str]]:
    return sorted((rule.table, rule.rule, rule.column) for rule in result.failures)


def test_a_clean_gold_next_passes_and_its_results_are_kept(
    settings: Settings, gold_next: psycopg.Connection
) -> None:
    result = check(settings)
    broken = [*result.failures, *result.warnings]
    assert [(rule.table, rule.label, rule.observed) for rule in broken] == []
    assert len(result.rules) == sum(len(suite.expectations) for suite in gold_suites().values())

    save_results(settings, result)
    kept = gold_next.execute(
        "select table_name, rule, success, observed, expected, rows_checked"
        " from ops.gate_results where run_id = 'run' and gate = 'gold'"
    ).fetchall()
    assert sorted(kept) == sorted(
        (r.table, r.label, r.success, r.observed, r.expected, r.rows_checked) for r in result.rules
    )
    checked = {name: rows for name, *_, rows in kept}
    assert (checked["gold.fact_user_event"], checked["gold.ratings"]) == (10, 5)


def test_every_broken_rule_of_gold_is_caught_and_nothing_else(
    settings: Settings, gold_next: psycopg.Connection
) -> None:
    for statement, *_ in BROKEN:
        gold_next.execute(statement.encode())
    result = check(settings)
    expected = {(f"gold.{name}", rule, column) for _, name, rule, column in BROKEN}
    # Without its key, nothing about a dimension can be checked, and nothing refers to it.
    without_key = {
        ("gold.dim_date", rule, "date_key") for rule in ("not_null", "unique", "one_unknown_member")
    } | {("gold.fact_user_event", "reference", "date_key")}
    assert failed(result) == sorted(expected | without_key)
    by_rule = {(rule.table, rule.rule, rule.column): rule for rule in result.failures}
    assert by_rule["gold.fact_user_event", "row_count", ""].observed == "9"
    assert by_rule["gold.ratings", "range", "rating"].sample == (
        {"user_id": "user 1", "movie_id": 13, "rating": 0.0},
    )
    orphan = by_rule["gold.bridge_movie_genre", "reference", "genre_key"]
    assert (orphan.unexpected_count, orphan.observed) == (1, "1 rows break it")
    assert [row.keys() for row in orphan.sample] == [{"movie_key", "genre_key"}]
    unknown = by_rule["gold.dim_movie", "one_unknown_member", "movie_key"]
    assert unknown.observed == "none, or more than one"
    assert by_rule["gold.dim_date", "one_unknown_member", "date_key"].observed.startswith(
        "could not be checked"
    )
    with pytest.raises(GateFailedError, match="The gold gate refused the data"):
        require(result)


def test_an_unknown_member_too_many_and_a_row_too_many_are_caught(
    settings: Settings, gold_next: psycopg.Connection
) -> None:
    gold_next.execute("insert into dim_user values (-1)")
    result = check(settings, rows=9)
    assert failed(result) == [
        ("gold.dim_user", "one_unknown_member", "user_key"),
        ("gold.dim_user", "unique", "user_key"),
        ("gold.fact_user_event", "row_count", ""),
    ]


def test_what_a_constraint_keeps_is_not_asked_of_the_rows_until_the_constraint_has_gone(
    settings: Settings, gold_next: psycopg.Connection
) -> None:
    # None of these keeps what the rules ask.
    gold_next.execute("create unique index on ratings (user_id, movie_id) where movie_id > 12")
    gold_next.execute("create unique index on ratings (user_id, movie_id, n)")
    gold_next.execute("create unique index on ratings (upper(user_id), movie_id)")
    gold_next.execute("create index on ratings (user_id, movie_id)")
    assert [rule for rule in check(settings).rules if rule.observed == KEPT] == []
    gold_next.execute("alter table ratings add primary key (movie_id, user_id)")
    kept = [rule for rule in check(settings).rules if rule.observed == KEPT]
    assert {(rule.table, rule.label, rule.success, rule.rows_checked) for rule in kept} == {
        ("gold.ratings", "unique(user_id, movie_id)", True, 5),
        ("gold.ratings", "not_null(user_id)", True, 5),
        ("gold.ratings", "not_null(movie_id)", True, 5),
    }
    gold_next.execute("alter table ratings drop constraint ratings_pkey")
    gold_next.execute("alter table ratings alter movie_id drop not null")
    gold_next.execute("update ratings set movie_id = null, n = 0 where n = 2")
    assert failed(check(settings)) == [("gold.ratings", "not_null", "movie_id")]


USUAL = [
    "drop table fact_user_event",
    "create table fact_user_event as select gen_random_uuid() as event_id, n, 1 as movie_key, -1 as user_key,"
    " 2 as session_key, 1 as date_key, 7.5::float as rating, 'rating' as event_type, 13 as movie_id,"
    " now() - n * interval '1 hour' as received_at from generate_series(0, 191) n, generate_series(1, 10)",
    # Eight runs, the last of which had brought all but the newest hundred events.
    *(
        "set role loader; insert into ops.ledger (run_id, hop, rows, recorded_at) values"
        f" ('run {run}', 'published', {1020 + 100 * run}, now() - interval '{10 - run} days'); set role transformer"
        for run in range(1, 9)
    ),
]
"""Eight days of ten ratings an hour; seven runs brought a hundred events each, and the next one does."""
UNUSUAL = [
    ("update fact_user_event set received_at = received_at - interval '2 days'", "freshness"),
    ("delete from fact_user_event where ctid in (select ctid from fact_user_event where n = 100 or n > 186)", "volume"),
    ("update fact_user_event set event_type = 'play' where n > 23", "event_type_vanished"),
    ("update fact_user_event set movie_key = -1 where n > 90", "unknown_movies"),
    ("update fact_user_event set rating = 2 where n between 24 and 120", "mean_rating"),
    ("set local role loader; insert into silver.quarantine (kafka_topic, kafka_partition, kafka_offset, rule, reason,"
     " contract_version, first_seen_at, last_seen_at, attempts, _lake_version, _deleted) select 'user_logs', 0, n,"
     " 'not_json', 'x', '1.0.0', now(), now(), 1, 1, false from generate_series(1, 200) n; set local role transformer",
     "quarantined"),
]  # fmt: skip
FLOOD = [what for what, rule in UNUSUAL if rule == "quarantined"]
REBUILT = (
    "set role loader; insert into ops.watermarks (table_name, lake_version)"
    f" values ('{watermarks.SILVER_RULES}', 2); set role transformer"
)
REPEATED = (
    "insert into silver.duplicates (kafka_topic, kafka_partition, kafka_offset, event_id, detected_at, _lake_version, _deleted)"
    " select 'user_logs', 0, n, gen_random_uuid(), now(), 1, false from generate_series(1001, 1150) n"
)
REPEATED_LONG_AGO = "update silver.duplicates set detected_at = now() - interval '9 days'"
FEW_EVENTS = "set role transformer; delete from gold_next.fact_user_event where n > 18"


def flooded(connection: psycopg.Connection) -> list[Any]:
    """What the rule of quarantined events finds."""
    (query,) = (
        rule.unexpected_rows_query.format(batch="fact_user_event")
        for rule in trend_expectations("gold.fact_user_event")
        if rule.meta["rule"] == "quarantined"
    )
    return connection.execute(query.encode()).fetchall()


def test_what_is_unusual_is_told_by_the_rule_for_it_and_by_no_other(
    settings: Settings, gold_next: psycopg.Connection
) -> None:
    for statement in USUAL:
        gold_next.execute(statement.encode())
    queries = {
        rule.meta["rule"]: rule.unexpected_rows_query.format(batch="fact_user_event")
        for rule in trend_expectations("gold.fact_user_event")
    }

    def found() -> list[str]:
        return [name for name, query in queries.items() if gold_next.execute(query).fetchall()]

    assert found() == []
    for statement, rule in UNUSUAL:
        with gold_next.transaction(force_rollback=True):
            gold_next.execute(statement.encode())
            assert found() == [rule]
    with gold_next.transaction():
        for statement, rule in UNUSUAL:
            if rule in ("freshness", "quarantined"):
                gold_next.execute(statement.encode())
    result = check(settings, rows=1920)
    assert failed(result) == [("gold.fact_user_event", "quarantined", "")]
    assert [rule.label for rule in result.warnings] == ["freshness(received_at)"]
    # All events are older than is promised, and the rule tells so of all of them.
    (warning,) = result.warnings
    assert (warning.unexpected_count, warning.rows_checked) == (1920, 1920)
    assert warning.observed.startswith("1,920 rows break it: newest 20")
    (flood,) = result.failures
    assert (flood.unexpected_count, flood.observed) == (200, "200 rows break it: taken 100")
    save_results(settings, result)
    (kept,) = load_results(settings)
    assert kept.result.warnings == result.warnings


def test_what_a_rebuild_of_silver_set_aside_is_held_against_all_events(
    gold_next: psycopg.Connection,
) -> None:
    for statement in (*USUAL, *FLOOD):
        gold_next.execute(statement.encode())
    assert flooded(gold_next) == [(200, 100)]
    gold_next.execute(REBUILT.encode())
    assert flooded(gold_next) == []
    gold_next.execute(b"delete from fact_user_event where n > 18")
    assert flooded(gold_next) == [(200, 190)]


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["update silver.quarantine set kafka_topic = 'movie'"], []),
        (["update silver.quarantine set kafka_topic = 'movie' where kafka_offset > 100"], []),
        (["update silver.quarantine set kafka_topic = 'movie' where kafka_offset > 150"], [(150, 100)]),
        ([REPEATED], []),
        ([REPEATED, "update silver.duplicates set _deleted = true"], [(200, 100)]),
        ([REPEATED, "update silver.duplicates set _deleted = true where kafka_offset > 1050"], [(200, 150)]),
        ([REPEATED, REPEATED_LONG_AGO], [(200, 100)]),
        ([REPEATED, REPEATED_LONG_AGO, REBUILT, FEW_EVENTS], []),
        ([FEW_EVENTS, "delete from ops.ledger"], [(200, 190)]),
        ([REPEATED, REPEATED_LONG_AGO, FEW_EVENTS, "delete from ops.ledger"], []),
    ],
)  # fmt: skip
def test_a_flood_is_of_events_and_held_against_what_was_taken_of_them_repetitions_included(
    gold_next: psycopg.Connection, statements: list[str], found: list[tuple[int, int]]
) -> None:
    for statement in (*USUAL, *FLOOD):
        gold_next.execute(statement.encode())
    for statement in statements:
        gold_next.execute(f"set role loader; {statement}; set role transformer".encode())
    assert flooded(gold_next) == found


def test_stale_data_and_half_the_usual_volume_stop_a_run_where_that_is_asked_for(
    settings: Settings, gold_next: psycopg.Connection
) -> None:
    unusual = [what for what, rule in UNUSUAL if rule in ("freshness", "volume")]
    for statement in (*USUAL, *unusual):
        gold_next.execute(statement.encode())
    counted = gold_next.execute("select count(*) from fact_user_event").fetchone()
    assert counted is not None
    strict = settings.model_copy(update={"gate_block": "freshness,volume"})
    result = check(strict, rows=counted[0])
    assert failed(result) == [
        ("gold.fact_user_event", "freshness", "received_at"),
        ("gold.fact_user_event", "volume", ""),
    ]
    assert result.warnings == []
    with pytest.raises(
        GateFailedError, match=r"2 of \d+ rules failed .*freshness received_at.*volume"
    ):
        require(result)
    with pytest.raises(SettingError, match="names 'weather', which is no rule of trends"):
        check(settings.model_copy(update={"gate_block": "weather"}))


def test_a_missing_table_of_gold_is_named(
    settings: Settings, gold_next: psycopg.Connection
) -> None:
    gold_next.execute("drop table gold_next.ratings")
    with pytest.raises(GateFailedError, match=r"no table gold_next\.ratings"):
        check(settings)


def test_analysts_read_what_the_gates_found_and_not_the_rows_that_broke_a_rule(
    settings: Settings,
) -> None:
    rule = RuleResult(
        "silver.users",
        "pattern",
        "country",
        False,
        "1 row",
        "ISO",
        1,
        1,
        ({"user_id": "zoe"},),
        data_docs="validations/page.html",
    )
    save_results(settings, GateResult("silver", "run", 0.5, (rule,)))
    # As a second `cinelake up` does.
    bootstrap(settings)
    with psycopg.connect(analyst_uri(settings), autocommit=True) as analyst:
        found = analyst.execute(
            "select rule, unexpected_count, data_docs from ops.gate_results"
        ).fetchall()
        assert found == [("pattern(country)", 1, "validations/page.html")]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst.execute("select sample from ops.gate_results")


def test_the_page_of_a_rule_that_failed_is_named_by_the_command_and_is_there_once_built(
    settings: Settings, gold_next: psycopg.Connection, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"home": tmp_path / "home"})
    gold_next.execute("update ratings set rating = 0 where n = 1")
    save_results(own, check(own, "broken"))
    environment = os.environ | {"CINELAKE_HOME": str(own.home), "POSTGRES_URI": own.postgres}

    def gates(*options: str) -> str:
        command = [str(Path(sys.executable).with_name("cinelake")), "gates", *options]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=300
        ).stdout

    rules = {
        (rule["table"], rule["rule"]): rule for rule in json.loads(gates("--json"))[0]["rules"]
    }
    page = rules["gold.ratings", "range"]["data_docs"]
    assert len({rule["data_docs"] for rule in rules.values()}) == len(gold_suites())
    address = (data_docs_folder(own) / page).as_uri()
    assert f"Data Docs: {address} (`cinelake docs build` writes it" in gates()
    text = (build_data_docs(own) / page).read_text()
    assert "gold.ratings" in text and "broken" in text
    assert f"Data Docs: {address}\n" in gates()


def test_the_password_of_postgres_is_in_no_file_of_the_home(
    settings: Settings, gold_next: psycopg.Connection, tmp_path: Any
) -> None:
    own = settings.model_copy(update={"home": tmp_path / "home"})
    check(own)
    password = psycopg.conninfo.conninfo_to_dict(settings.postgres)["password"]
    files = [path for path in (own.home / "gx").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if str(password).encode() in path.read_bytes()] == []


def checked_rows(settings: Settings, run_id: str, gate: str = "silver") -> dict[str, int]:
    """How many rows of each table a gate looked at, as `ops.gate_results` says."""
    with psycopg.connect(settings.postgres) as connection:
        return dict(
            connection.execute(
                "select table_name, max(rows_checked) from ops.gate_results"
                " where run_id = %s and gate = %s group by 1",
                [run_id, gate],
            ).fetchall()
        )


def test_the_silver_gate_looks_at_changed_rows_only(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_spark = settings.model_copy(update={"gate_pandas_rows": 1})
    ways = ("pandas", "pieces", "spark")

    def gate(way: str, run_id: str) -> GateResult:
        with monkeypatch.context() as patch:
            if way == "pieces":
                patch.setattr(gates, "PIECE_BYTES", 1)
            return gate_silver(lambda: spark, on_spark if way == "spark" else settings, run_id)

    tables.ensure_table(lambda: spark, settings, USERS)
    write(spark, settings, USERS, user("ada"), user("bob"), user("eve"))

    def refuse() -> SparkSession:
        raise AssertionError("a small increment needs no Spark")

    for attempt in ("first", "again, as nothing was published"):
        assert gate_silver(refuse, settings, attempt).passed
        assert checked_rows(settings, attempt) == {"silver.users": 3}
    publish(settings)
    assert gate_silver(refuse, settings, "nothing new").rules == ()

    write(spark, settings, USERS, user("ada", name="Ada"))
    write(spark, settings, USERS, user("ada", name="Ada L."), user("zoe"))
    remove(spark, settings, "bob")
    for way in ways:
        assert gate(way, way).passed
        assert checked_rows(settings, way) == {"silver.users": 2}
    assert gate_silver(refuse, settings, "full", Scope(full=True)).passed
    assert checked_rows(settings, "full") == {"silver.users": 4 - 1}

    # A batch that comes twice, in two commits that know nothing of each other.
    path = tables.table_path(settings, "silver.users")
    for _ in range(2):
        row = frame_of(spark, [tuple(user("twin").values())], USERS.spark_schema())
        row.write.format("delta").mode("append").save(path)
    for way in ways:
        run_id = f"twice by {way}"
        result = gate(way, run_id)
        assert failed(result) == [("silver.users", "unique", "user_id")]
        assert checked_rows(settings, run_id) == {"silver.users": 4}
    DeltaTable.forPath(spark, path).delete("user_id = 'twin'")

    write(spark, settings, USERS, user("zoe", country="Oz"))
    for way in ways:
        run_id = f"broken by {way}"
        result = gate(way, run_id)
        assert failed(result) == [("silver.users", "pattern", "country")]
        (kept,) = load_results(settings)
        assert (kept.result.run_id, kept.result.failures) == (run_id, result.failures)
    assert [kept.result.passed for kept in load_results(settings, "full")] == [True]
    assert load_results(settings, "no such run") == []


def test_the_bronze_gate_goes_on_where_it_last_passed(
    spark: SparkSession, settings: Settings
) -> None:
    contract = table("bronze.rejected")
    tables.ensure_table(lambda: spark, settings, contract)

    def land(topic: str, offset: int) -> None:
        row = (topic, 0, offset)
        frame_of(spark, [row], "topic string, partition int, offset bigint").selectExpr(
            "*", "timestamp'2026-01-01' as timestamp", "cast(null as binary) as key",
            "cast('x' as binary) as value", "date'2026-01-01' as ingest_date",
        ).write.format("delta").mode("append").save(
            tables.table_path(settings, "bronze.rejected")
        )  # fmt: skip

    topic = next(c.valid_values[0] for c in contract.columns if c.name == "topic")
    land(topic, 0)
    assert gate_bronze(lambda: spark, settings, "one").passed
    assert checked_rows(settings, "one", "bronze") == {"bronze.rejected": 1}
    assert gate_bronze(lambda: spark, settings, "two").rules == ()

    passed = watermarks.read(settings, "gate of bronze.rejected")
    land("another", 1)
    land(topic, 2)
    for attempt in ("three", "four"):
        result = gate_bronze(lambda: spark, settings, attempt)
        assert failed(result) == [("bronze.rejected", "valid_values", "topic")]
        assert checked_rows(settings, attempt, "bronze") == {"bronze.rejected": 2}
    assert watermarks.read(settings, "gate of bronze.rejected") == passed


@pytest.mark.parametrize("year", ["-1", "12345"])
def test_a_date_that_python_has_no_name_for_is_refused_by_its_row_and_a_corrected_one_heals(
    spark: SparkSession, settings: Settings, year: str
) -> None:
    movies = table("silver.movies")
    tables.ensure_table(lambda: spark, settings, movies)
    known = {"movie_id": 13, "title": "Gump", "fetched_at": NOON, "content_hash": "0" * 64}
    row = {**dict.fromkeys(movies.column_names), **known, "is_deleted": False}
    write(spark, settings, movies, row, row | {"movie_id": 14})
    publish(settings)
    lake = DeltaTable.forPath(spark, tables.table_path(settings, movies.full_name))
    wrong = {"release_date": f"make_date({year}, 11, 30)", "popularity": "double('NaN')"}
    lake.update("movie_id = 13", wrong)
    on_spark = settings.model_copy(update={"gate_pandas_rows": 0})
    for run_id, how in (("pandas", settings), ("spark", on_spark)):
        result = gate_silver(lambda: spark, how, run_id)
        found = {rule.column: rule for rule in result.failures}
        assert found.keys() >= {"release_date"}
        if run_id == "pandas":
            assert found.keys() == {"release_date", "popularity"}
            assert found["release_date"].sample[0]["movie_id"] == 13
        save_results(settings, result)
    with pytest.raises(GateFailedError, match="beyond the limits"):
        publish(settings)
    moment = changes.current_version(settings, movies.full_name)
    (shown,) = changes.python_rows(
        read_as_of(settings, movies.full_name, moment, Selection("movie_id = 13"))
    )
    assert shown["release_date"].endswith("-11-30")
    lake.update("movie_id = 13", {"release_date": "date '1994-07-06'", "popularity": "1"})
    for run_id, how in (("healed", settings), ("healed on Spark", on_spark)):
        assert gate_silver(lambda: spark, how, run_id).passed
    publish(settings)
    with psycopg.connect(settings.postgres) as connection:
        healed = connection.execute(
            "select release_date::text from silver.movies where movie_id = 13"
        )
        assert healed.fetchall() == [("1994-07-06",)]
