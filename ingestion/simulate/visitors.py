"""The simulated people: who they are, what they watch on, and what they like."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ingestion.chance import chance_of
from ingestion.raw_store import RawStore
from ingestion.simulate import habits

_REMEMBERED = 40
"""Of what a visitor did, this many of each kind are remembered, to be changed or taken back later."""
_USUAL_MINUTES = 95
_LONGEST_MINUTES = 24 * 60
MOST_MOVIES = 20_000
"""Each visitor keeps a list of their favourites among them."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Movie(NamedTuple):
    """What a visitor has to know of a movie."""

    movie_id: int
    genres: frozenset[int]
    minutes: int


def movie_from(answer: dict[str, Any]) -> Movie:
    """A movie from TMDB's `/movie/{id}` answer; a runtime that is unknown or no film's counts as 95 minutes."""
    genres, runtime = answer.get("genres"), answer.get("runtime")
    if not (isinstance(runtime, int | float) and 1 <= runtime <= _LONGEST_MINUTES):
        runtime = _USUAL_MINUTES
    return Movie(
        movie_id=answer["id"],
        genres=frozenset(
            genre["id"]
            for genre in (genres if isinstance(genres, list) else ())
            if isinstance(genre, dict) and isinstance(genre.get("id"), int)
        ),
        minutes=int(runtime),
    )


def loaded_movies(store: RawStore) -> list[Movie]:
    """The movies that are loaded, at most `MOST_MOVIES` of them, by id; none where there are none."""
    return list(map(movie_from, store.living_movies(("genres", "runtime"), MOST_MOVIES)))


def _memory() -> "deque[Any]":
    return deque(maxlen=_REMEMBERED)


@dataclass
class Visitor:
    """One simulated person.

    Args:
        number: The visitor's number, from 1.
        user_id: None for someone who never signs in.
        anonymous_id: The id that the browser keeps.
        converts: Whether they come as nobody and sign in one day: until then their events carry the anonymous
            id alone, the one with which they sign in carries both, and all later ones the user id alone.
        place: Locale, country and time zone.
        devices: One or two.
        favourites: Movies of the visitor's favourite genres.
        names_sessions: Whether the client sends session ids.
        visits_a_day: On average.
        kindness: Added to each rating, in points.
        signed_in: Whether they are signed in by now.
        signed_up: Whether the first `user_upsert` was sent.
        free_from: When the last visit was over.
        rated: Movies the visitor has rated.
        listed: Movies on the watchlist.
        written: Ids and texts of the visitor's comments.
        unfinished: Movies left before their end, and the position in seconds.
    """

    number: int
    user_id: str | None
    anonymous_id: str
    converts: bool
    place: habits.Place
    devices: Sequence[habits.Device]
    favourites: Sequence[Movie]
    names_sessions: bool
    visits_a_day: float
    kindness: float
    signed_in: bool
    signed_up: bool = False
    free_from: datetime = _LONG_AGO
    rated: deque[Movie] = field(default_factory=_memory)
    listed: deque[Movie] = field(default_factory=_memory)
    written: deque[tuple[str, str]] = field(default_factory=_memory)
    unfinished: deque[tuple[Movie, float]] = field(default_factory=_memory)

    @property
    def ids(self) -> dict[str, str | None]:
        """The ids that the visitor's events carry now."""
        return {
            "user_id": self.user_id if self.signed_in else None,
            "anonymous_id": None if self.signed_in and self.converts else self.anonymous_id,
        }


def make_visitors(count: int, seed: int, movies: Sequence[Movie]) -> list[Visitor]:
    """The visitors of a simulation; the first always signs in, so that there is a user even among one."""
    genres = sorted({genre for movie in movies for genre in movie.genres})
    return [_visitor(number, seed, movies, genres) for number in range(1, count + 1)]


def _visitor(number: int, seed: int, movies: Sequence[Movie], genres: Sequence[int]) -> Visitor:
    chance = chance_of("visitor", seed, number)
    liked = set(chance.sample(genres, min(2, len(genres))))
    kind = 1.0 if number == 1 else chance.random()
    anonymous = kind < habits.ANONYMOUS_SHARE
    converts = not anonymous and kind < habits.ANONYMOUS_SHARE + habits.CONVERT_SHARE
    return Visitor(
        number=number,
        user_id=None if anonymous else f"user-{number:05d}",
        anonymous_id=f"anon-{chance.getrandbits(64):016x}",
        converts=converts,
        place=chance.choice(habits.PLACES),
        devices=chance.sample(habits.DEVICES, chance.choice((1, 1, 2))),
        favourites=[movie for movie in movies if movie.genres & liked],
        names_sessions=chance.random() < habits.NAMES_SESSIONS_SHARE,
        visits_a_day=chance.choice((0.3, 0.7, 1.0, 1.5, 2.5)),
        kindness=chance.gauss(0, 1),
        signed_in=not anonymous and not converts,
    )
