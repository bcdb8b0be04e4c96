"""The simulated people: who they are, what they watch on, and what they like."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ingestion.chance import chance_of
from ingestion.simulate import habits


class Movie(NamedTuple):
    """What a visitor has to know of a movie."""

    movie_id: int
    genres: frozenset[int]
    minutes: int


def movie_from(answer: dict[str, Any]) -> Movie:
    """A movie from TMDB's `/movie/{id}` answer; an unknown runtime counts as 95 minutes."""
    return Movie(
        movie_id=answer["id"],
        genres=frozenset(genre["id"] for genre in answer.get("genres") or ()),
        minutes=int(answer.get("runtime") or 95),
    )


@dataclass
class Visitor:
    """One simulated person.

    Args:
        number: The visitor's number, from 1.
        user_id: None for someone who never signs in.
        anonymous_id: The id that the browser keeps.
        place: Locale, country and time zone.
        devices: One or two.
        favourites: Movies of the visitor's favourite genres.
        names_sessions: Whether the client sends session ids.
        visits_a_day: On average.
        kindness: Added to each rating, in points.
        signed_up: Whether the first `user_upsert` was sent.
        rated: Movies the visitor has rated and not unrated.
        listed: Movies on the watchlist.
    """

    number: int
    user_id: str | None
    anonymous_id: str
    place: tuple[str, str, str]
    devices: Sequence[habits.Device]
    favourites: Sequence[Movie]
    names_sessions: bool
    visits_a_day: float
    kindness: float
    signed_up: bool = False
    rated: list[int] = field(default_factory=list)
    listed: list[int] = field(default_factory=list)


def make_visitors(count: int, seed: int, movies: Sequence[Movie]) -> list[Visitor]:
    """The visitors of a simulation; the first always signs in, so that there is a user even among one."""
    genres = sorted({genre for movie in movies for genre in movie.genres})
    return [_visitor(number, seed, movies, genres) for number in range(1, count + 1)]


def _visitor(number: int, seed: int, movies: Sequence[Movie], genres: Sequence[int]) -> Visitor:
    chance = chance_of("visitor", seed, number)
    liked = set(chance.sample(genres, min(2, len(genres))))
    anonymous = number > 1 and chance.random() < habits.ANONYMOUS_SHARE
    return Visitor(
        number=number,
        user_id=None if anonymous else f"user-{number:05d}",
        anonymous_id=f"anon-{chance.getrandbits(64):016x}",
        place=chance.choice(habits.PLACES),
        devices=chance.sample(habits.DEVICES, chance.choice((1, 1, 2))),
        favourites=[movie for movie in movies if movie.genres & liked],
        names_sessions=chance.random() < habits.NAMES_SESSIONS_SHARE,
        visits_a_day=chance.choice((0.3, 0.7, 1.0, 1.5, 2.5)),
        kindness=chance.gauss(0, 1),
    )
