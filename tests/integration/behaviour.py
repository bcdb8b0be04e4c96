"""Behaviour of a few visitors over some months, the same every time, as rows of silver."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cinelake.settings import Settings
from tests.integration.silver_writer import Silver, session_id

MOVIES = range(1, 13)
UNKNOWN_MOVIE = 99
GENRES_OF = {movie: sorted({1 + movie % 4, 1 + movie % 3}) for movie in MOVIES if movie != 5}
"""Genres of each movie; one has none."""
FIRST = datetime(2024, 1, 3, tzinfo=UTC)
DEVICES = ("iPhone", "Mac", None)
LATER = ("play", "play_complete", "rating", "comment", "movie_reaction", "watchlist_add", "play")


@dataclass
class Behaviour:
    """Rows by table, without the bookkeeping columns.

    Args:
        settings: Tell in which database `gold` was built from them.
    """

    settings: Settings
    events: list[dict[str, Any]] = field(default_factory=list)
    ratings: list[dict[str, Any]] = field(default_factory=list)
    plays: list[dict[str, Any]] = field(default_factory=list)


def generate(settings: Settings, sessions: int = 160) -> Behaviour:
    """Sessions of users, of devices whose user is known later or never, and of bots."""
    chance = random.Random(20240101)
    behaviour = Behaviour(settings)
    for number in range(sessions):
        _session(behaviour, chance, number)
    return behaviour


def _session(behaviour: Behaviour, chance: random.Random, number: int) -> None:
    person = chance.randrange(14)
    user_id = f"user {person}" if person < 8 else None
    resolved = user_id or (f"user {person - 8}" if person < 10 else None)
    at = FIRST + timedelta(minutes=chance.randrange(100 * 24 * 60))
    common = {
        "user_id": user_id,
        "resolved_user_id": resolved,
        "visitor_id": f"u:{user_id}" if user_id else f"a:device {person}",
        "device": chance.choice(DEVICES),
        "is_bot": chance.choice((None, False, False, False, True)),
        "session_id": session_id(f"session {number}"),
    }
    movie_id = chance.choice([*MOVIES, UNKNOWN_MOVIE])
    for step in range(chance.randint(1, 9)):
        at += timedelta(seconds=chance.randint(1, 3600))
        if chance.random() < 0.15:
            movie_id = chance.choice([*MOVIES, UNKNOWN_MOVIE])
        # Mostly in the order of the funnel, now and then out of it.
        usual = ("page_view", "movie_view", *LATER)[min(step, 7)]
        event_type = usual if chance.random() < 0.75 else chance.choice(LATER)
        row = common | {
            "event_type": event_type,
            "occurred_at": at,
            "movie_id": None if event_type == "page_view" else movie_id,
            "rating": chance.randint(1, 20) / 2 if event_type == "rating" else None,
        }
        behaviour.events.append(row)
        if event_type == "play":
            seconds = chance.randrange(7200) / 10
            behaviour.plays.append(
                common | {"movie_id": movie_id, "started_at": at, "seconds_watched": seconds}
            )
        if event_type == "rating" and user_id:
            _rate(behaviour, user_id, movie_id, row)


def _rate(behaviour: Behaviour, user_id: str, movie_id: int, event: dict[str, Any]) -> None:
    key = (user_id, movie_id)
    behaviour.ratings = [
        row for row in behaviour.ratings if (row["user_id"], row["movie_id"]) != key
    ]
    behaviour.ratings.append({"user_id": user_id, "movie_id": movie_id, "rating": event["rating"]})


def write(silver: Silver, behaviour: Behaviour) -> None:
    """Put the rows into silver, with the movies and genres they are about."""
    silver.version = 1
    for genre in range(1, 5):
        silver.put("genres", "genre_id", genre_id=genre, name=f"Genre {genre}")
    for movie in MOVIES:
        silver.movie(movie)
        silver.delete("movie_genres", movie_id=movie)
        for genre in GENRES_OF.get(movie, []):
            silver.put("movie_genres", "movie_id,genre_id", movie_id=movie, genre_id=genre)
    for number, row in enumerate(behaviour.events):
        values = {name: row[name] for name in ("event_type", "rating", "device", "is_bot")}
        people = {name: row[name] for name in ("user_id", "resolved_user_id", "visitor_id")}
        silver.event(
            number,
            session="",
            movie_id=row["movie_id"],
            at=row["occurred_at"],
            session_id=row["session_id"],
            **values,
            **people,
        )
    for number, row in enumerate(behaviour.ratings):
        silver.rating(number, row["user_id"], row["movie_id"], row["rating"])
    for number, row in enumerate(behaviour.plays):
        silver.put(
            "watch_history",
            "watch_id",
            watch_id=session_id(f"play {number}"),
            visitor_id=row["visitor_id"],
            user_id=row["user_id"],
            movie_id=row["movie_id"],
            session_id=row["session_id"],
            started_at=row["started_at"],
            ended_at=row["started_at"],
            seconds_watched=row["seconds_watched"],
            is_completed=False,
            event_count=1,
        )
