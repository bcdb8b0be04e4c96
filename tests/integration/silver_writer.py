"""Writes silver in PostgreSQL as `publish` does, for tests of gold that need no lake."""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from psycopg import sql

from cinelake.settings import Settings
from pipeline.dbt import BUILD, DbtResult, Target, run_dbt

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

    def session(self, name: str, user_id: str, events: int = 1, **values: Any) -> None:
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
            **values,
        )

    def event(
        self,
        number: int,
        user_id: str | None,
        session: str,
        movie_id: int | None,
        at: str | datetime = NOON,
        **values: Any,
    ) -> None:
        row: dict[str, Any] = {
            "session_id": session_id(session),
            "event_type": "movie_view" if movie_id else "page_view",
            "user_id": user_id,
            "resolved_user_id": user_id,
            "visitor_id": f"u:{user_id}",
        }
        self.put(
            "events",
            "event_id",
            event_id=UUID(int=number),
            schema_version=1,
            occurred_at=at,
            received_at=at,
            movie_id=movie_id,
            is_late=False,
            kafka_topic="user_logs",
            kafka_partition=0,
            kafka_offset=number,
            **(row | values),
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

    def recommended(self, user_id: str, movie_id: int, rank: int, because: int | None) -> None:
        self.put(
            "movie_recommendations",
            "user_id,movie_id",
            user_id=user_id,
            movie_id=movie_id,
            rank=rank,
            score=1.0 / rank,
            predicted_rating=8.5,
            basis="taste",
            because_movie_id=because,
            model_id="a" * 64,
        )

    def alike(self, movie_id: int, other: int, rank: int) -> None:
        self.put(
            "similar_movies",
            "movie_id,similar_movie_id",
            movie_id=movie_id,
            similar_movie_id=other,
            rank=rank,
            score=0.9,
            basis="content",
            model_id="a" * 64,
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

    def play(
        self, name: str, user_id: str | None, session: str, movie_id: int, at: str = NOON
    ) -> None:
        self.put(
            "watch_history",
            "watch_id",
            watch_id=session_id(name),
            visitor_id=f"u:{user_id}" if user_id else "a:device",
            user_id=user_id,
            movie_id=movie_id,
            session_id=session_id(session),
            started_at=at,
            ended_at=NOON,
            seconds_watched=60.0,
            is_completed=False,
            event_count=1,
        )


def session_id(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def build(settings: Settings, *options: str, target: Target = "next") -> DbtResult:
    """Build the models and run their data tests, as a refresh does."""
    result = run_dbt(settings, [*BUILD, *options], target=target)
    assert result.success, result.failed
    return result


def rows_of(silver: Silver, schema: str, model: str) -> list[str]:
    query = sql.SQL("select r::text from {} as r order by 1").format(sql.Identifier(schema, model))
    return [row[0] for row in silver.connection.execute(query)]
