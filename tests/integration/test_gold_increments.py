"""Gold by increments is gold built anew: late dimensions, moved events, removals and deletions included."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
import pytest
from psycopg import sql

from cinelake.settings import Settings
from lakehouse.publish import ensure_tables
from pipeline.dbt import DbtResult, run_dbt

MODELS = (
    "dim_movie",
    "dim_user",
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
)
NINE = "2024-03-01T09:00:00Z"
ELEVEN = "2024-03-01T11:00:00Z"
NOON = "2024-03-01T12:00:00Z"
NAMED: dict[str, dict[str, Any]] = {
    "genres": {"genre_id": 1},
    "production_companies": {"company_id": 1},
    "countries": {"country_code": "FR"},
    "languages": {"language_code": "fr"},
    "keywords": {"keyword_id": 1},
    "people": {"person_id": 1},
}
PAIRS = {
    "movie_genres": NAMED["genres"],
    "movie_companies": NAMED["production_companies"],
    "movie_countries": NAMED["countries"],
    "movie_languages": NAMED["languages"],
    "movie_keywords": NAMED["keywords"],
}


class Silver:
    """Writes silver rows as `publish` does: each with the lake version of its change."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.version = 0

    def put(self, table: str, key: str, **values: Any) -> None:
        """Insert a row, or change the one with the same key (comma-separated column names)."""
        row = {**values, "_lake_version": self.version, "_deleted": False}
        self.connection.execute(
            sql.SQL(
                "insert into silver.{} ({}) values ({}) on conflict ({}) do update set {}"
            ).format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(map(sql.Placeholder, row)),
                sql.SQL(", ").join(sql.Identifier(name) for name in key.split(",")),
                sql.SQL(", ").join(
                    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(n)) for n in row
                ),
            ),
            row,
        )

    def delete(self, table: str, **key: Any) -> None:
        """Mark the rows with these values as gone."""
        condition = sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in key
        )
        self.connection.execute(
            sql.SQL("update silver.{} set _deleted = true, _lake_version = %(v)s where {}").format(
                sql.Identifier(table), condition
            ),
            {**key, "v": self.version},
        )

    def movie(self, movie_id: int) -> None:
        self.put(
            "movies",
            "movie_id",
            movie_id=movie_id,
            title=f"Movie {movie_id}",
            fetched_at=NOON,
            content_hash="0" * 64,
            is_deleted=False,
        )
        self.movie_version(movie_id, f"Movie {movie_id}", since=NINE)
        for table, member in PAIRS.items():
            self.put(table, ",".join(("movie_id", *member)), movie_id=movie_id, **member)
        for table in ("movie_cast", "movie_crew"):
            credit = {"movie_id": movie_id, "credit_id": f"c{movie_id}", "person_id": 1}
            self.put(table, "movie_id,credit_id", **credit)

    def movie_version(
        self, movie_id: int, title: str, since: str, until: str | None = None
    ) -> None:
        self.put(
            "movie_versions",
            "movie_id,valid_from",
            movie_id=movie_id,
            title=title,
            popularity_bucket="unknown",
            genre_ids="1",
            valid_from=since,
            valid_to=until,
            is_current=until is None,
        )

    def named(self) -> None:
        """What movies name: one genre, company, country, language, keyword and person."""
        flags = {"production_companies": {"name_is_shared": False}}
        flags |= {"countries": {"is_iso": True}, "languages": {"is_iso": True}}
        for table, key in NAMED.items():
            row = {"name": "Name"} | flags.get(table, {})
            self.put(table, next(iter(key)), **key, **row)

    def user(self, user_id: str) -> None:
        seen = {"first_seen_at": NOON, "last_seen_at": NOON, "event_count": 1}
        self.put("users", "user_id", user_id=user_id, **seen)

    def session(self, name: str, user_id: str, events: int = 1) -> None:
        self.put(
            "sessions",
            "session_id",
            session_id=session_id(name),
            visitor_id=f"u:{user_id}",
            user_id=user_id,
            is_given=False,
            started_at=NOON,
            ended_at=NOON,
            event_count=events,
        )

    def event(
        self, number: int, user_id: str, session: str, movie_id: int | None, at: str = NOON
    ) -> None:
        self.put(
            "events",
            "event_id",
            event_id=UUID(int=number),
            event_type="movie_view" if movie_id else "page_view",
            schema_version=1,
            occurred_at=at,
            received_at=at,
            user_id=user_id,
            visitor_id=f"u:{user_id}",
            session_id=session_id(session),
            movie_id=movie_id,
            is_late=False,
            kafka_topic="user_logs",
            kafka_partition=0,
            kafka_offset=number,
        )

    def rating(self, number: int, user_id: str, movie_id: int, rating: float | None) -> None:
        self.put(
            "ratings",
            "user_id,movie_id",
            user_id=user_id,
            movie_id=movie_id,
            rating=rating,
            event_id=UUID(int=number),
            rated_at=NOON,
            is_removed=rating is None,
        )

    def profile(self, number: int, user_id: str, at: str, name: str, latest: str) -> None:
        """The user says a name at a time; `latest` is the one that silver then knows."""
        self.event(number, user_id, f"{user_id} 1", None, at=at)
        self.connection.execute(
            "update silver.events set event_type = 'user_upsert', properties = %s where event_id = %s",
            (json.dumps({"name": name}), UUID(int=number)),
        )
        self.user(user_id)
        self.connection.execute(
            "update silver.users set name = %s, first_seen_at = %s where user_id = %s",
            (latest, NINE, user_id),
        )

    def comment(
        self, name: str, user_id: str, answers: str | None, thread: str, depth: int | None
    ) -> None:
        self.put(
            "comments",
            "comment_id",
            comment_id=name,
            user_id=user_id,
            movie_id=1,
            parent_comment_id=answers,
            thread_id=thread,
            depth=depth,
            text="a text",
            is_edited=False,
            is_deleted=False,
            event_id=uuid5(NAMESPACE_URL, f"comment {name}"),
            commented_at=NOON,
        )

    def vote(self, user_id: str, comment: str, vote: str) -> None:
        self.put(
            "comment_votes",
            "user_id,comment_id",
            user_id=user_id,
            comment_id=comment,
            vote=vote,
            event_id=uuid5(NAMESPACE_URL, f"vote {user_id} {comment}"),
            voted_at=NOON,
        )

    def reaction(self, user_id: str, movie_id: int, reaction: str) -> None:
        self.put(
            "movie_reactions",
            "user_id,movie_id",
            user_id=user_id,
            movie_id=movie_id,
            reaction=reaction,
            event_id=uuid5(NAMESPACE_URL, f"reaction {user_id} {movie_id}"),
            reacted_at=NOON,
        )

    def listed(self, user_id: str, movie_id: int, is_listed: bool) -> None:
        self.put(
            "watchlist",
            "user_id,movie_id",
            user_id=user_id,
            movie_id=movie_id,
            is_listed=is_listed,
            event_id=uuid5(NAMESPACE_URL, f"listed {user_id} {movie_id}"),
            changed_at=NOON,
        )

    def play(self, name: str, user_id: str | None, session: str, movie_id: int) -> None:
        self.put(
            "watch_history",
            "watch_id",
            watch_id=session_id(name),
            visitor_id=f"u:{user_id}" if user_id else "a:device",
            user_id=user_id,
            movie_id=movie_id,
            session_id=session_id(session),
            started_at=NOON,
            ended_at=NOON,
            seconds_watched=60.0,
            is_completed=False,
            event_count=1,
        )


def session_id(name: str) -> str:
    return sha256(name.encode()).hexdigest()


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


def third_conversation(silver: Silver) -> None:
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


CONVERSATIONS = (first_conversation, second_conversation, third_conversation, fourth_conversation)


@pytest.fixture
def silver(settings: Settings) -> Iterator[Silver]:
    ensure_tables(settings)
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        yield Silver(connection)


def build(settings: Settings, *options: str, target: Any = "next") -> DbtResult:
    result = run_dbt(settings, ["build", *options], target=target)
    assert result.success, result.failed
    return result


def test_increments_give_what_a_full_refresh_gives(settings: Settings, silver: Silver) -> None:
    for publication, conversation in zip(PUBLICATIONS, CONVERSATIONS, strict=True):
        publication(silver)
        conversation(silver)
        build(settings, target="next")
        build(settings, "--full-refresh", target="dev")
        for model in MODELS:
            assert rows_of(silver, "gold_next", model) == rows_of(silver, "gold", model), model
        assert all(rows_of(silver, "gold", model) for model in MODELS)


def rows_of(silver: Silver, schema: str, model: str) -> list[str]:
    query = sql.SQL("select r::text from {} as r order by 1").format(sql.Identifier(schema, model))
    return [row[0] for row in silver.connection.execute(query)]


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
    build(settings)
    assert unresolved(silver) == {"movie_key": [2], "user_key": [5], "session_key": [5]}

    second_publication(silver)
    build(settings)
    assert unresolved(silver) == {"movie_key": [], "user_key": [], "session_key": []}
    assert count(silver, "fact_user_event") == 6

    third_publication(silver)
    build(settings)
    assert unresolved(silver) == {"movie_key": [1], "user_key": [], "session_key": [4]}
    assert count(silver, "fact_user_event") == 5


def test_facts_follow_the_versions_of_their_movie(settings: Settings, silver: Silver) -> None:
    for publication in PUBLICATIONS[:3]:
        publication(silver)
    build(settings)
    assert titles_of_events(silver) == {2: "Movie 99", 3: "Movie 2", 6: "Movie 2"}

    fourth_publication(silver)
    build(settings)
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


def test_a_second_build_changes_nothing(settings: Settings, silver: Silver) -> None:
    first_publication(silver)
    build(settings)
    before = {model: rows_of(silver, "gold_next", model) for model in MODELS}
    again = build(settings)
    assert {model: rows_of(silver, "gold_next", model) for model in MODELS} == before
    messages = {node.name: node.message for node in again.nodes}
    assert messages["fact_user_event"] == messages["ratings"] == "MERGE 0"


def test_a_rating_off_the_scale_is_a_result_and_not_an_error(
    settings: Settings, silver: Silver
) -> None:
    first_publication(silver)
    silver.rating(1, "ada", 1, 8.3)
    result = run_dbt(settings, ["build"])
    assert not result.success
    assert [node.name for node in result.failed] == ["ratings_are_half_steps_from_half_to_ten"]
    assert result.failed[0].failures == 1


def count(silver: Silver, model: str) -> int:
    return len(rows_of(silver, "gold_next", model))
