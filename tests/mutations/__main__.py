"""Breaks a row for each data test of dbt and sees that test fail: `python -m tests.mutations`.

Builds gold of a little generated behaviour in a PostgreSQL of its own. For each test it puts an unconstrained copy in the place
of the table that the test looks at, breaks what the test is about, runs the test's own query, and rolls back. It ends with 1
when a test finds nothing, finds something before anything was broken, or has nobody who could break it.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cinelake.settings import Settings, load_settings
from cinelake.stack import local
from cinelake.stack.postgres import POSTGRES
from expectations.results import GateResult, RuleResult, save_results
from lakehouse import ledger, watermarks
from lakehouse.publish import ensure_tables
from pipeline.dbt import run_dbt
from tests.integration.behaviour import generate, write
from tests.integration.silver_writer import NINE, Silver

STRANGE = {"text": "'mutant'", "date": "date '1900-01-01'", "uuid": "gen_random_uuid()"}
"""A value that no dimension has and no list allows, by type; of numbers it is 424242."""

BY_NAME: dict[str, str | tuple[str, ...]] = {
    "int_user_days_holds_no_empty_day": "update int_user_days set event_count = 0",
    "int_session_steps_has_no_step_without_the_one_before": "update int_session_steps set has_movie_view = false, has_play = true",
    "movie_daily_holds_no_empty_day": "update movie_daily set event_count = 0, watch_count = 0",
    "movie_daily_has_a_mean_where_it_has_ratings": "update movie_daily set mean_rating = 5, rating_count = 0",
    "movie_daily_counts_an_event_once": "update movie_daily set view_count = event_count + 1",
    "movie_popularity_has_a_mean_where_it_has_ratings": "update movie_popularity set mean_rating = 5, rating_count = 0",
    "similar_movies_are_others": "update similar_movies set similar_movie_id = movie_id",
    "user_activity_grows_with_the_window": "update user_activity set dau = wau + 1",
    "user_retention_starts_with_everybody": "update user_retention set active_user_count = cohort_size - 1",
    "session_funnel_narrows": "update session_funnel set play_session_count = view_session_count + 1",
    "bridge_movie_genre_has_no_orphans": "update bridge_movie_genre set movie_key = 424242",
    "silver_has_the_constraints_of_its_contracts": "delete from silver.ratings",
    "current_users_are_those_of_silver": "delete from dim_user where user_key <> -1",
    "dim_date_has_whole_years": "delete from dim_date where date_day = '2024-05-05'",
    "dimension_keys_follow_from_natural_keys": "update dim_movie set movie_key = 424242 where movie_id = 1",
    "each_dimension_has_one_unknown_member": "delete from dim_movie where movie_key = -1",
    "each_member_has_one_current_version": "update dim_movie set is_current = false where movie_id = 1",
    "facts_point_to_the_version_of_their_time": "update ratings set movie_key = -1",
    "marts_of_a_day_agree_with_the_facts": (
        "update movie_daily set seconds_watched = seconds_watched + 1 where watch_count > 0",
        "update movie_daily set rating_count = rating_count + 1",
        "delete from int_user_days where activity_date = (select min(activity_date) from int_user_days)",
        "update user_activity set dau = dau + 1",
        "update session_funnel set date_day = date_day + 400",
        "update int_genre_months set event_count = event_count + 1",
    ),
    "ratings_are_half_steps_from_half_to_ten": "update ratings set rating = 8.3",
    "sessions_agree_with_their_events_and_plays": (
        "update dim_session set event_count = event_count + 1 where session_key <> -1",
        "update dim_session set play_count = 7 where play_count = 1",
        "update dim_session set is_bounce = not is_bounce where is_bounce",
        "update dim_session set seconds_watched = 61 where seconds_watched = 60",
        "delete from fact_user_event where event_type = 'play' and user_id = 'watcher'",
        "delete from watch_history where user_id = 'watcher'",
    ),
    "versions_follow_each_other": "update dim_movie set version_number = 5 where movie_id = 1",
}
"""What breaks a test that no rule of its kind tells how to break; of several statements, each by itself."""


def main() -> int:
    """Build, break and print."""
    with tempfile.TemporaryDirectory(prefix="cinelake-mutations-") as folder:
        # As root, PostgreSQL runs as another account, which has to get in.
        Path(folder).chmod(0o755)
        places = {"CINELAKE_HOME": f"{folder}/home", "DBT_PROFILES_DIR": f"{folder}/dbt"}
        try:
            local.up(load_settings(**places), with_api=False, stores=(POSTGRES,))
            return mutate(load_settings(**places))
        finally:
            local.down(load_settings(**places))


def mutate(settings: Settings) -> int:
    """Break each test's table in turn; 1 when a test did not see it."""
    fill(settings)
    for command in ("run", "compile"):
        done = run_dbt(settings, [command], target="dev")
        assert done.success, done.failed
    manifest = settings.home / "dbt" / "dev" / "target" / "manifest.json"
    nodes = json.loads(manifest.read_text("utf-8"))["nodes"]
    tests = [node for node in nodes.values() if node["resource_type"] == "test"]
    problems = []
    with psycopg.connect(settings.postgres) as connection:
        connection.execute("set search_path = gold, staging")
        connection.commit()
        for test in tests:
            known = BY_NAME.get(test["name"])
            for statement in known if isinstance(known, tuple) else (known,):
                problem = _problem(connection, nodes, test, statement)
                connection.rollback()
                if problem:
                    problems.append(f"{test['name']}: {problem}: {statement}")
    print("\n".join([*problems, f"{len(tests)} tests, {len(problems)} of them not seen to fail"]))
    return int(bool(problems))


def fill(settings: Settings) -> None:
    """Rows in every table that a test looks at."""
    ensure_tables(settings)
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        silver = Silver(connection)
        write(silver, generate(settings))
        silver.named()
        for number in range(8):
            silver.profile(9000 + number, f"user {number}", NINE, "Name", "Name")
            silver.session(f"user {number} 1", f"user {number}")
            silver.comment(f"comment {number}", f"user {number}", None, f"comment {number}", 0)
            silver.vote(f"user {number}", "comment 1", "up")
            silver.reaction(f"user {number}", 1, "like")
            silver.listed(f"user {number}", 1, is_listed=True)
            silver.recommended(f"user {number}", 1, 1, None)
            silver.recommended(f"user {number}", 2, 2, because=1)
        silver.session(
            "watched",
            "watcher",
            events=2,
            play_count=1,
            is_bounce=False,
            seconds_watched=60.0,
        )
        silver.session("short", "watcher", page_view_count=1, is_bounce=True, seconds_watched=0.0)
        silver.event(9100, "watcher", "watched", 1, event_type="play")
        silver.event(9101, "watcher", "watched", 1)
        silver.event(9102, "watcher", "short", None)
        silver.play("watched", "watcher", "watched", 1)
        silver.alike(1, 2, 1)
        silver.alike(2, 1, 1)
        watermarks.write(connection, "silver.events", 1)
    ledger.record(settings, ledger.Ledger(5, 1, 5, 0, 0, 5, 5, 5), "run 1")
    rule = RuleResult("gold.ratings", "not_null", "user_id", True, "no null", "none", 9)
    save_results(settings, GateResult("gold", "run 1", 0.5, (rule,)))


def _problem(
    connection: psycopg.Connection,
    nodes: dict[str, Any],
    test: dict[str, Any],
    statement: str | None,
) -> str | None:
    if _failures(connection, test):
        return "fails before anything is broken"
    attached = test.get("attached_node")
    name = nodes[attached]["name"] if attached else None
    if statement and name is None:
        name = statement.split(" set ")[0].split(" where ")[0].split()[-1]
    if name is None:
        return "nobody knows how to break it"
    _unconstrain(connection, name)
    statement = statement or _breaking(connection, test, name)
    if statement is None:
        return "nobody knows how to break it"
    changed = connection.execute(statement.encode()).rowcount
    if not changed:
        return "there is no row to break"
    return None if _failures(connection, test) else "does not see it"


def _failures(connection: psycopg.Connection, test: dict[str, Any]) -> int:
    row = connection.execute(
        f"select count(*) from ({test['compiled_code']}) as failures".encode()
    ).fetchone()
    assert row is not None, "an aggregate has one row"
    return int(row[0])


def _unconstrain(connection: psycopg.Connection, name: str) -> None:
    """Put a copy without constraints in the place of a table or view."""
    row = connection.execute(
        "select relnamespace::regnamespace::text, relname::text, relkind::text from pg_class where oid = %s::regclass",
        [name],
    ).fetchone()
    assert row is not None, f"{name} is there"
    schema, table, kind = row
    statement = sql.SQL("alter {} {} rename to kept; create table {} as select * from {}").format(
        sql.SQL("view" if kind == "v" else "table"),
        sql.Identifier(schema, table),
        sql.Identifier(schema, table),
        sql.Identifier(schema, "kept"),
    )
    connection.execute(statement)


def _breaking(connection: psycopg.Connection, test: dict[str, Any], name: str) -> str | None:
    """The statement that breaks a generic test."""
    metadata = test["test_metadata"]
    arguments = metadata["kwargs"]
    column = arguments.get("column_name")
    match metadata["name"]:
        case "not_null":
            return f"update {name} set {column} = null"
        case "unique":
            return f"insert into {name} select * from {name} where {column} is not null limit 1"
        case "unique_combination":
            return f"insert into {name} select * from {name} limit 1"
        case "accepted_values" | "relationships":
            return f"update {name} set {column} = {_strange(connection, name, column)}"
        case "accepted_range":
            if arguments.get("highest") is not None:
                return f"update {name} set {column} = {arguments['highest'] + 1}"
            return f"update {name} set {column} = {arguments['lowest'] - 1}"
        case "has_its_constraints":
            return f"delete from {name}"
        case "follows_silver":
            return f"delete from {name} where lake_version >= 0"
        case _:
            return None


def _strange(connection: psycopg.Connection, name: str, column: str) -> str:
    row = connection.execute(
        "select format_type(atttypid, null) from pg_attribute"
        " where attrelid = %s::regclass and attname = %s",
        [name, column],
    ).fetchone()
    assert row is not None, f"{name} has a column {column}"
    return STRANGE.get(row[0], "424242")


if __name__ == "__main__":
    sys.exit(main())
