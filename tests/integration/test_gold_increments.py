"""Gold by increments is gold built anew: late dimensions, moved events, removals and deletions included."""

from typing import Any
from uuid import UUID

import pytest

from cinelake.settings import Settings
from pipeline import gold, gold_sources, staging
from pipeline.dbt import BUILD, INCREMENT, DbtResult, Target, run_dbt
from pipeline.swap import swap_gold
from tests.integration.silver_writer import (
    ELEVEN,
    NINE,
    PAIRS,
    Silver,
    build,
    rows_of,
    session_id,
)

MODELS = (
    "dim_movie",
    "dim_user",
    "dim_user_personal",
    "dim_session",
    "dim_date",
    "dim_genre",
    "dim_company",
    "dim_country",
    "dim_language",
    "dim_keyword",
    "dim_person",
    "bridge_movie_genre",
    "bridge_movie_company",
    "bridge_movie_country",
    "bridge_movie_language",
    "bridge_movie_keyword",
    "bridge_movie_cast",
    "bridge_movie_crew",
    "fact_user_event",
    "ratings",
    "comments",
    "comment_votes",
    "movie_reactions",
    "watchlist",
    "watch_history",
    "int_user_days",
    "int_session_steps",
    "int_genre_months",
    "movie_daily",
    "movie_popularity",
    "user_activity",
    "user_retention",
    "session_funnel",
    "genre_trends",
    "movie_recommendations",
    "similar_movies",
)
EVENTS_ONLY = ("--select", "+fact_user_event", "--indirect-selection", "cautious")
"""The fact of events and what it is made of, for tests that look at nothing else."""
NAME = "Ada Plantagenet"
JANUARY = "2024-01-31T23:59:59Z"
FEBRUARY = "2024-02-01T00:00:01Z"


def first_publication(silver: Silver) -> None:
    silver.version = 1
    silver.named()
    for movie_id in (1, 2):
        silver.movie(movie_id)
    for user_id in ("ada", "bob"):
        silver.user(user_id)
        silver.session(f"{user_id} 1", user_id)
        silver.session(f"{user_id} 2", user_id)
    silver.event(1, "ada", "ada 1", 1)
    silver.event(2, "ada", "ada 2", 99)
    silver.event(3, "bob", "bob 1", 2)
    silver.event(4, "bob", "bob 2", None)
    silver.event(5, "eve", "eve 1", 1, at="2031-01-01T00:00:00Z")
    silver.rating(1, "ada", 1, 8.5)
    silver.rating(2, "ada", 99, 4.0)
    silver.rating(3, "bob", 2, 6.0)
    silver.rating(5, "eve", 1, 1.0)


def second_publication(silver: Silver) -> None:
    silver.version = 2
    # The movie, the user and the session that facts already point to arrive.
    silver.movie(99)
    silver.user("eve")
    silver.session("eve 1", "eve")
    # A late event bridges ada's two sessions: one goes, its event moves, the other grows.
    silver.event(6, "ada", "ada 1", 2)
    silver.event(2, "ada", "ada 1", 99)
    silver.delete("sessions", session_id=session_id("ada 2"))
    silver.session("ada 1", "ada", events=3)
    # One rating is changed, one taken back, one is new.
    silver.rating(1, "ada", 1, 9.0)
    silver.rating(3, "bob", 2, None)
    silver.rating(6, "ada", 2, 0.5)


def third_publication(silver: Silver) -> None:
    silver.version = 3
    # A session is gone while its event still names it, a movie is gone, a person is erased.
    silver.delete("sessions", session_id=session_id("bob 2"))
    for table in ("movies", "movie_versions", *PAIRS, "movie_cast", "movie_crew"):
        silver.delete(table, movie_id=1)
    for table in ("events", "sessions", "users", "ratings"):
        silver.delete(table, user_id="eve")
    # What was taken back is rated again.
    silver.rating(3, "bob", 2, 7.0)


def fourth_publication(silver: Silver) -> None:
    silver.version = 4
    # A movie has another title since before the events that gold holds of it.
    silver.movie_version(2, "Movie 2", since=NINE, until=ELEVEN)
    silver.movie_version(2, "Movie 2, the cut", since=ELEVEN)
    # An answer from before the first has come late, and looks the same: the version begins earlier.
    silver.delete("movie_versions", movie_id=99)
    silver.movie_version(99, "Movie 99", since="2024-02-01T00:00:00Z")
    # A company is renamed, a keyword no longer said of a movie.
    silver.put(
        "production_companies",
        "company_id",
        company_id=1,
        name="Another name",
        name_is_shared=False,
    )
    silver.delete("movie_keywords", movie_id=2)
    # An event from before the change arrives after it.
    silver.event(7, "ada", "ada 1", 2, at="2024-03-01T10:59:59Z")
    # With what ada said of herself at nine and at ten.
    silver.session("ada 1", "ada", events=6)


PUBLICATIONS = (first_publication, second_publication, third_publication, fourth_publication)


def first_conversation(silver: Silver) -> None:
    silver.profile(20, "ada", at=NINE, name="Ada", latest="Ada")
    silver.comment("one", "ada", answers=None, thread="one", depth=0)
    silver.comment("two", "bob", answers="one", thread="one", depth=1)
    # Of a user and below a comment that are not known yet.
    silver.comment("three", "eve", answers="late", thread="three", depth=None)
    silver.vote("bob", "one", "up")
    silver.vote("eve", "one", "down")
    silver.vote("ada", "late", "up")
    silver.reaction("ada", 1, "like")
    silver.reaction("bob", 99, "dislike")
    silver.listed("ada", 99, is_listed=True)
    silver.play("a", "ada", "ada 2", 99)
    silver.play("b", None, "nobody 1", 1)


def second_conversation(silver: Silver) -> None:
    # From eleven on ada has another name, so what happened at noon moves to that version.
    silver.profile(21, "ada", at=ELEVEN, name="Countess", latest="Countess")
    silver.comment("late", "ada", answers=None, thread="late", depth=0)
    silver.comment("three", "eve", answers="late", thread="late", depth=1)
    silver.vote("eve", "one", "none")
    silver.reaction("bob", 99, "none")
    silver.listed("ada", 99, is_listed=False)
    silver.play("a", "ada", "ada 1", 99)
    # An event of the play from the day before is late.
    silver.play("b", None, "nobody 1", 1, at="2024-02-29T12:00:00Z")


def third_conversation(silver: Silver) -> None:
    silver.profile(23, "bob", at=ELEVEN, name="Baron", latest="Baron")
    silver.profile(24, "bob", at="2024-03-01T11:30:00Z", name="Earl", latest="Earl")
    silver.session("bob 1", "bob", events=3)
    for table in ("comments", "comment_votes"):
        silver.delete(table, user_id="eve")
    silver.vote("ada", "two", "down")
    # A vote alone changes the score of a comment that itself stays as it was.
    silver.vote("bob", "late", "up")


def fourth_conversation(silver: Silver) -> None:
    # A profile from between the two comes late, and what began at eleven is gone.
    silver.profile(22, "ada", at="2024-03-01T10:00:00Z", name="Lady", latest="Lady")
    silver.delete("events", event_id=UUID(int=21))
    silver.reaction("bob", 99, "like")
    silver.delete("watch_history", watch_id=session_id("b"))
    # Other messages of three events come late that were received first: one profile is from another time, one was no
    # profile, and a comment answers nothing.
    silver.profile(23, "bob", at="2024-03-01T10:30:00Z", name="Baron", latest="Baron")
    silver.event(24, "bob", "bob 1", None, at="2024-03-01T11:30:00Z")
    silver.comment("two", "bob", answers=None, thread="two", depth=0)


def device(silver: Silver, number: int, event_type: str, **values: Any) -> None:
    """An event on a device whose user may be known."""
    silver.event(
        number,
        None,
        values.pop("session", "device"),
        values.pop("movie_id", 2),
        at=values.pop("at", JANUARY),
        event_type=event_type,
        **({"visitor_id": "a:device", "resolved_user_id": None, "device": "Mac"} | values),
    )


def first_visits(silver: Silver) -> None:
    device(silver, 40, "movie_view")
    device(silver, 41, "play")
    device(silver, 42, "rating", rating=7.5)
    device(silver, 43, "play", session="device too", movie_id=1)
    device(silver, 44, "page_view", session="bot", movie_id=None, is_bot=True)
    device(silver, 45, "play", session="alone", movie_id=99, visitor_id="a:gone", at=FEBRUARY)
    device(silver, 48, "play", session="early", movie_id=77, at="2023-11-30T12:00:00Z")


def second_visits(silver: Silver) -> None:
    # The device turns out to be ada's; what makes the way to the rating whole is late.
    for number, event_type in ((40, "movie_view"), (41, "play")):
        device(silver, number, event_type, resolved_user_id="ada")
    device(silver, 42, "rating", rating=7.5, resolved_user_id="ada")
    device(silver, 46, "play_complete", resolved_user_id="ada")
    # Another movie, another day and month, another session; and a bot after all.
    device(silver, 43, "play", session="device", movie_id=2, at=FEBRUARY)
    device(silver, 41, "play", resolved_user_id="ada", is_bot=True)


def third_visits(silver: Silver) -> None:
    # The last of a movie's day, of a user and of a session is gone; another changed first, then went.
    silver.delete("events", event_id=UUID(int=45))
    device(silver, 43, "play", session="device too", movie_id=1, at=JANUARY)
    silver.delete("events", event_id=UUID(int=43))


def fourth_visits(silver: Silver) -> None:
    device(silver, 41, "play", resolved_user_id="ada", is_bot=False)
    device(silver, 45, "movie_view", session="alone", movie_id=99, visitor_id="a:gone")
    silver.put("movie_genres", "movie_id,genre_id", movie_id=99, genre_id=2)
    silver.put("genres", "genre_id", genre_id=2, name="Another")
    # A movie is known at last, which was seen in a month in which no other of its genre was.
    silver.movie(77)


def first_recommendations(silver: Silver) -> None:
    silver.recommended("ada", 2, 1, because=1)
    # Of a movie that is not known yet, and for a user that is not.
    silver.recommended("ada", 99, 2, because=None)
    silver.recommended("eve", 2, 1, because=None)
    silver.alike(1, 2, 1)
    silver.alike(2, 1, 1)


def second_recommendations(silver: Silver) -> None:
    # Another model thinks otherwise of one, and no longer of another.
    silver.recommended("ada", 99, 1, because=2)
    silver.recommended("ada", 2, 2, because=1)
    silver.delete("movie_recommendations", user_id="eve", movie_id=2)


def third_recommendations(silver: Silver) -> None:
    # As its reason is gone.
    silver.recommended("ada", 2, 2, because=None)
    silver.delete("similar_movies", movie_id=1)
    silver.delete("similar_movies", movie_id=2)
    silver.alike(2, 99, 1)


def fourth_recommendations(silver: Silver) -> None:
    silver.recommended("bob", 99, 1, because=2)


VISITS = (first_visits, second_visits, third_visits, fourth_visits)
CONVERSATIONS = (first_conversation, second_conversation, third_conversation, fourth_conversation)
RECOMMENDATIONS = (
    first_recommendations,
    second_recommendations,
    third_recommendations,
    fourth_recommendations,
)


def test_increments_give_what_a_full_refresh_gives(settings: Settings, silver: Silver) -> None:
    strands = (PUBLICATIONS, CONVERSATIONS, VISITS, RECOMMENDATIONS)
    for number, changes in enumerate(zip(*strands, strict=True)):
        for change in changes:
            change(silver)
        run(settings, "next")
        # The first increment is built from nothing: there is nothing to compare it with.
        if number:
            run(settings, "dev", "--full-refresh")
            for model in MODELS:
                assert rows_of(silver, "gold_next", model) == rows_of(silver, "gold", model), model
            assert all(rows_of(silver, "gold", model) for model in MODELS)
    tested = run_dbt(settings, ["test", "--exclude-resource-type", "unit_test"])
    assert tested.success, tested.failed


def run(settings: Settings, target: Target, *options: str) -> None:
    built = run_dbt(settings, ["run", "--no-write-json", *options], target=target)
    assert built.success, built.failed


def unresolved(silver: Silver) -> dict[str, list[int]]:
    """Which events point to the unknown member of each dimension, although they name a member."""
    found = {}
    for key, named in (
        ("movie_key", "movie_id"),
        ("user_key", "user_id"),
        ("session_key", "session_id"),
    ):
        query = f"select event_id from gold_next.fact_user_event where {key} = -1 and {named} is not null"
        found[key] = sorted(row[0].int for row in silver.connection.execute(query.encode()))
    return found


def test_facts_are_never_lost_and_follow_their_dimensions(
    settings: Settings, silver: Silver
) -> None:
    first_publication(silver)
    build(settings, *EVENTS_ONLY)
    assert unresolved(silver) == {"movie_key": [2], "user_key": [5], "session_key": [5]}

    second_publication(silver)
    build(settings, *EVENTS_ONLY)
    assert unresolved(silver) == {"movie_key": [], "user_key": [], "session_key": []}
    assert count(silver, "fact_user_event") == 6

    third_publication(silver)
    build(settings, *EVENTS_ONLY)
    assert unresolved(silver) == {"movie_key": [1], "user_key": [], "session_key": [4]}
    assert count(silver, "fact_user_event") == 5


def test_facts_follow_the_versions_of_their_movie(settings: Settings, silver: Silver) -> None:
    for publication in PUBLICATIONS[:3]:
        publication(silver)
    build(settings, *EVENTS_ONLY)
    assert titles_of_events(silver) == {2: "Movie 99", 3: "Movie 2", 6: "Movie 2"}

    fourth_publication(silver)
    build(settings, *EVENTS_ONLY)
    assert titles_of_events(silver) == {
        2: "Movie 99",
        3: "Movie 2, the cut",
        6: "Movie 2, the cut",
        7: "Movie 2",
    }
    current = "select count(*) from gold_next.dim_movie where is_current and movie_key <> -1"
    assert silver.connection.execute(current).fetchone() == (2,)


def titles_of_events(silver: Silver) -> dict[int, str]:
    query = (
        "select event_id, title from gold_next.fact_user_event join gold_next.dim_movie using (movie_key)"
        " where movie_key <> -1"
    )
    return {row[0].int: row[1] for row in silver.connection.execute(query)}


def built_by(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> set[str] | None:
    """The models that a build of `gold_next` made; None where it did not call dbt."""
    results: list[DbtResult] = []

    def run(*arguments: Any, **options: Any) -> DbtResult:
        results.append(run_dbt(*arguments, **options))
        return results[-1]

    with monkeypatch.context() as patch:
        patch.setattr(gold, "run_dbt", run)
        gold.build_next(settings)
    if not results:
        return None
    assert {node.name for node in results[0].nodes if node.resource_type == "test"}
    return {node.name for node in results[0].nodes if node.resource_type == "model"}


def test_a_build_leaves_alone_what_no_changed_table_feeds_and_comes_to_the_same(
    settings: Settings, silver: Silver, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_publication(silver)
    assert built_by(settings, monkeypatch) >= set(MODELS) | {"stg_events"}  # type: ignore[operator]
    assert built_by(settings, monkeypatch) is None

    silver.version = 2
    silver.event(6, "ada", "ada 1", 1)
    silver.session("ada 1", "ada", events=2)
    of_events = built_by(settings, monkeypatch)
    assert of_events is not None
    assert {"fact_user_event", "dim_date", "movie_daily", "genre_trends"} <= of_events
    of_movies = {"dim_movie", "dim_genre", "dim_person", "bridge_movie_genre", "bridge_movie_cast"}
    assert not of_events & (of_movies | {"stg_events", "ledger"})

    silver.version = 3
    silver.movie(99)
    late = built_by(settings, monkeypatch)
    assert late is not None
    # The facts too, as they point to the movie that was late.
    assert {"dim_movie", "fact_user_event", "ratings", "movie_popularity"} <= late
    assert not late & {"dim_person", "dim_genre"}

    increments = {model: rows_of(silver, "gold_next", model) for model in MODELS}
    gold.build_next(settings, full_refresh=True)
    assert {model: rows_of(silver, "gold_next", model) for model in MODELS} == increments


def test_what_a_build_knows_of_gold_next_goes_with_its_tables(
    settings: Settings, silver: Silver, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_publication(silver)
    silver.connection.execute("update silver.users set name = %s where user_id = 'ada'", [NAME])
    silver.comment("planted", "ada", None, "planted", 0)
    gold.build_next(settings)
    assert_people_are_kept_apart(silver)
    assert not gold.standing(settings).is_published
    swap_gold(settings.postgres)
    assert_published_until_something_changes(settings, silver)
    # The other schema is empty: all of it is built.
    assert built_by(settings, monkeypatch) >= set(MODELS)  # type: ignore[operator]
    swap_gold(settings.postgres)
    assert_people_are_kept_apart(silver, "gold", "gold_next")
    for _ in ("to the gold of before", "and back"):
        swap_gold(settings.postgres, is_rollback=True)
        assert_people_are_kept_apart(silver, "gold", "gold_next")
        assert not gold.standing(settings).is_published
    assert built_by(settings, monkeypatch) is None

    # As the version before has left it.
    for statement in (
        "drop table gold_next.dim_user_personal, gold_next.int_user_versions",
        "alter table gold_next.dim_user add column name text, add column birth_year int",
        "grant select on all tables in schema gold_next to analyst",
    ):
        silver.connection.execute(statement)
    assert built_by(settings, monkeypatch) >= set(MODELS)  # type: ignore[operator]
    assert_people_are_kept_apart(silver)


def assert_published_until_something_changes(settings: Settings, silver: Silver) -> None:
    """Analysts see all of silver; a row more, another project, other rules or a view that is not its own, and they do not."""
    assert gold.standing(settings).is_published
    for of_project in ("PROJECT", "RULES"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gold_sources, of_project, ("dbt_project.yml",))
            assert not gold.standing(settings).is_published
    assert not gold.standing(settings.model_copy(update={"gate_block": "null_share"})).is_published
    for change, undoing in (
        (
            "update silver.genres set _lake_version = _lake_version + 1",
            "update silver.genres set _lake_version = _lake_version - 1",
        ),
        ("create view staging.one_more as select 1", "drop view staging.one_more"),
        ("create table gold.one_more ()", "drop table gold.one_more"),
    ):
        silver.connection.execute(change)
        assert not gold.standing(settings).is_published, change
        silver.connection.execute(undoing)
        assert gold.standing(settings).is_published, undoing


def assert_people_are_kept_apart(silver: Silver, *schemas: str) -> None:
    """Analysts read every mart but one, names stand in that one, and what a comment says in one of those they read."""
    for schema in schemas or ("gold_next",):
        read_by = {role: readable(silver, role, schema) for role in ("analyst", "analyst_pii")}
        marts = {name for name in readable(silver, "transformer", schema) if name[:4] != "int_"}
        assert len(marts) > 30
        assert read_by["analyst_pii"] == marts
        assert read_by["analyst"] == marts - {"dim_user_personal"}
        holding = {
            words: {
                name for name in marts if any(words in row for row in rows_of(silver, schema, name))
            }
            for words in (NAME, '"a text"')
        }
        assert holding == {NAME: {"dim_user_personal"}, '"a text"': {"comments"}}
        columns = "select * from {}.dim_user_personal where false"
        described = silver.connection.execute(columns.format(schema).encode()).description
        assert [column.name for column in described or ()] == ["user_key", "name", "birth_year"]


def readable(silver: Silver, role: str, schema: str) -> set[str]:
    """The tables and views of a schema that a role may read, once it may look into the schema."""
    query = (
        "select relname from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'v')"
        " and has_table_privilege(%s, oid, 'select')"
    )
    return {name for (name,) in silver.connection.execute(query, [schema, role])}


def test_a_second_build_changes_nothing_and_leaves_the_views_of_staging_alone(
    settings: Settings, silver: Silver
) -> None:
    first_publication(silver)
    assert not staging.is_current(settings)
    gold.build_next(settings)
    assert staging.is_current(settings)
    before = {model: rows_of(silver, "gold_next", model) for model in MODELS}
    again = build(settings, *INCREMENT)
    assert {model: rows_of(silver, "gold_next", model) for model in MODELS} == before
    messages = {node.name: node.message for node in again.nodes}
    assert messages["fact_user_event"] == messages["ratings"] == "MERGE 0"
    assert "silver_has_the_constraints_of_its_contracts" in messages
    assert "stg_events" not in messages
    silver.connection.execute("drop view staging.stg_genres")
    silver.connection.execute("create view staging.stg_genres as select * from silver.genres")
    assert not staging.is_current(settings)


def test_a_column_that_lacks_its_constraint_gets_it_from_an_increment_or_fails_it(
    settings: Settings, silver: Silver
) -> None:
    def lax() -> list[tuple[Any, ...]]:
        return silver.connection.execute(
            "select attname from pg_attribute where attrelid = 'gold_next.ratings'::regclass"
            " and attname = 'rating' and not attnotnull"
        ).fetchall()

    first_publication(silver)
    assert run_dbt(settings, ["run", "--select", "+ratings"]).success
    silver.connection.execute("alter table gold_next.ratings alter column rating drop not null")
    assert lax()
    assert run_dbt(settings, ["run", "--select", "ratings"]).success
    assert not lax()
    silver.connection.execute("alter table gold_next.ratings alter column rating drop not null")
    silver.connection.execute("update gold_next.ratings set rating = null")
    refused = run_dbt(settings, ["run", "--select", "ratings"])
    assert [node.name for node in refused.failed] == ["ratings"]
    assert "contains null values" in refused.failed[0].message


def test_each_constraint_that_is_declared_is_there_and_is_missed_when_it_is_not(
    settings: Settings, silver: Silver
) -> None:
    """Nothing else asks for what a constraint keeps, so that each of them counts."""
    tests = ["test_name:has_its_constraints", "silver_has_the_constraints_of_its_contracts"]
    first_publication(silver)
    assert run_dbt(settings, ["run"]).success
    assert run_dbt(settings, ["compile", "--select", *tests]).success
    folder = settings.home / "dbt" / "next" / "target" / "compiled" / "cinelake"
    queries = [path.read_text("utf-8") for path in folder.rglob("*_has_*constraints*.sql")]
    assert len(queries) > 40

    def missing() -> list[tuple[str, str, list[str]]]:
        rows = [row for query in queries for row in silver.connection.execute(query.encode())]
        return sorted((name.replace('"', ""), kind, sorted(names)) for name, kind, names in rows)

    assert missing() == []
    database = silver.connection.info.dbname
    found = silver.connection.execute(HELD).fetchall()
    assert len({name for name, *_ in found}) > 60
    for kind in ("check", "not_null", "unique"):
        of_kind = [row for row in found if row[1] == kind]
        with silver.connection.transaction(force_rollback=True):
            for *_, drop in of_kind:
                silver.connection.execute(drop)
            gone = missing()
        # Nothing is told of that is there, and a condition is told in PostgreSQL's words.
        expected = [
            (f"{database}.{name}", kind, [] if kind == "check" else sorted(columns))
            for name, _, names, _ in of_kind
            for columns in names or [()]
        ]
        told = [(name, of, [] if kind == "check" else columns) for name, of, columns in gone]
        assert told == sorted(expected)


HELD = """
    with found as (
        select pg_class.oid, nspname || '.' || relname as name
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname in ('gold_next', 'silver') and relkind = 'r'
    ),
    keys as (
        select oid, name, indexrelid, indisprimary,
            (select array_agg(attname::text) from pg_attribute where attrelid = oid and attnum = any(indkey)) as names
        from found join pg_index on indrelid = oid
        where indisunique
    )
    select name, 'not_null', array_agg(array[attname::text]),
        format('alter table %s ', name) || string_agg(format('alter %I drop not null', attname), ', ')
    from found join pg_attribute on attrelid = oid and attnum > 0 and attnotnull
    where not exists (select from keys where keys.oid = found.oid and indisprimary and attname = any(keys.names))
    group by name
    union all
    select name, 'unique', array[names], case
        when indisprimary then format('alter table %s drop constraint %I', name, (
            select conname from pg_constraint where conindid = indexrelid))
        else format('drop index %s', indexrelid::regclass)
    end
    from keys
    union all
    select name, 'check', null, format('alter table %s drop constraint %I', name, conname)
    from found join pg_constraint on conrelid = found.oid and contype = 'c'
    where name like 'gold_next.%' and cardinality(conkey) = 1
"""
"""Each table with its columns without nulls, its unique keys and the conditions of a column, and what drops them."""


def test_a_rating_off_the_scale_is_a_result_and_not_an_error(
    settings: Settings, silver: Silver
) -> None:
    first_publication(silver)
    silver.rating(1, "ada", 1, 8.3)
    of_ratings = ("--select", "+ratings", "+fact_user_event", "--indirect-selection", "cautious")
    result = run_dbt(settings, [*BUILD, *of_ratings])
    assert not result.success
    assert [node.name for node in result.failed] == ["ratings_are_half_steps_from_half_to_ten"]
    assert result.failed[0].failures == 1


def count(silver: Silver, model: str) -> int:
    return len(rows_of(silver, "gold_next", model))
