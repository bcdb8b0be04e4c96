"""One visit of one simulated person, as the events a client would send."""

import random
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ingestion.events import SCHEMA_VERSION
from ingestion.generated_catalog import FIRST_ID
from ingestion.simulate import habits
from ingestion.simulate.visitors import Movie, Visitor

_UNKNOWN_FROM = FIRST_ID + 8_000_000
_UNKNOWN_MOVIES = 50
_PROGRESS_STEPS = 5


class Step(NamedTuple):
    """One thing that happened: an event without its id and its time as text."""

    at: datetime
    user_agent: str
    event: dict[str, Any]


class Visit:
    """Tells the story of one visit, step by step.

    Args:
        visitor: Who visits; what they rate and list is remembered there.
        movies: The catalogue.
        comments: Ids of earlier comments, with their movies, to answer and vote on.
        start: When the visit begins.
        chance: The only source of chance.
    """

    def __init__(
        self,
        visitor: Visitor,
        movies: Sequence[Movie],
        comments: Sequence[tuple[str, int]],
        start: datetime,
        chance: random.Random,
    ) -> None:
        self.new_comments: list[tuple[str, int]] = []
        self._visitor = visitor
        self._movies = movies
        self._comments = comments
        self._now = start
        self._chance = chance
        self._device = chance.choice(visitor.devices)
        self._referrer = chance.choice(habits.REFERRERS)
        self._session = f"s-{chance.getrandbits(96):024x}" if visitor.names_sessions else None

    def steps(self) -> Iterator[Step]:
        """The events of the visit, in the order of time."""
        if self._session:
            yield self._step("session_start")
        path, title = self._chance.choice(habits.PAGES)
        yield self._step("page_view", properties={"path": path, "title": title})
        if self._visitor.user_id:
            yield from self._profile()
        for _ in range(self._chance.randint(1, 4)):
            yield from self._one_movie()
        if self._session:
            yield self._step("session_end")

    def _profile(self) -> Iterator[Step]:
        visitor = self._visitor
        if visitor.signed_up and not self._happens(habits.CHANGE_PROFILE):
            return
        visitor.signed_up = True
        locale, country, timezone = visitor.place
        yield self._step(
            "user_upsert",
            properties={
                "name": self._chance.choice(habits.NAMES),
                "email": f"visitor{visitor.number}@mail.example",
                "country": country,
                "locale": locale,
                "birth_year": 1950 + visitor.number * 7 % 58,
                "timezone": timezone,
            },
        )

    def _one_movie(self) -> Iterator[Step]:
        if self._happens(habits.SEARCH):
            yield self._step("search", properties={"query": self._chance.choice(habits.QUERIES)})
        movie = self._choose()
        yield self._step("movie_view", movie)
        if self._happens(habits.PLAY):
            finished = yield from self._watch(movie)
            if finished and self._visitor.user_id and self._happens(habits.RATE):
                yield self._rate(movie)
        if self._visitor.user_id:
            yield from self._opinions(movie)
            yield from self._talk(movie)

    def _watch(self, movie: Movie) -> Generator[Step, None, bool]:
        """Watch a movie; returns whether to its end."""
        play = {"play_id": f"p-{self._chance.getrandbits(64):016x}"}
        yield self._step("play", movie, {**play, "position_seconds": 0})
        # Steps well below half an hour, so that watching never looks like having left.
        minutes = min(movie.minutes, 110)
        for step in range(1, _PROGRESS_STEPS):
            if not self._happens(habits.KEEP_WATCHING):
                return False
            self._now += timedelta(minutes=minutes / _PROGRESS_STEPS)
            position = round(movie.minutes * 60 * step / _PROGRESS_STEPS, 1)
            yield self._step("play_progress", movie, {**play, "position_seconds": position})
        self._now += timedelta(minutes=minutes / _PROGRESS_STEPS)
        yield self._step("play_complete", movie, play)
        return True

    def _rate(self, movie: Movie) -> Step:
        points = self._chance.gauss(7 + self._visitor.kindness, 1.5)
        rating = min(max(round(points * 2) / 2, 0.5), 10.0)
        self._visitor.rated.append(movie.movie_id)
        return self._step("rating", movie, {"rating": rating})

    def _opinions(self, movie: Movie) -> Iterator[Step]:
        visitor = self._visitor
        if self._happens(habits.REACT):
            reaction = self._chance.choices(("like", "dislike", "none"), (8, 2, 1))[0]
            yield self._step("movie_reaction", movie, {"reaction": reaction})
        if self._happens(habits.WATCHLIST):
            visitor.listed.append(movie.movie_id)
            yield self._step("watchlist_add", movie)
        elif visitor.listed and self._happens(habits.WATCHLIST_REMOVE):
            yield self._step("watchlist_remove", visitor.listed.pop(0))
        if visitor.rated and self._happens(habits.REMOVE_RATING):
            yield self._step("rating_removed", visitor.rated.pop(0))

    def _talk(self, movie: Movie) -> Iterator[Step]:
        if self._happens(habits.COMMENT):
            yield from self._write_comment(movie)
        if self._comments and self._happens(habits.VOTE):
            comment, _ = self._chance.choice(self._comments)
            vote = self._chance.choices(("up", "down", "none"), (7, 2, 1))[0]
            yield self._step("comment_vote", properties={"comment_id": comment, "vote": vote})

    def _write_comment(self, movie: Movie) -> Iterator[Step]:
        comment = f"c-{self._chance.getrandbits(64):016x}"
        properties: dict[str, Any] = {"comment_id": comment}
        about = movie.movie_id
        if self._comments and self._happens(0.4):
            parent, about = self._chance.choice(self._comments)
            properties |= {"text": self._chance.choice(habits.REPLIES), "parent_comment_id": parent}
        else:
            properties |= {"text": self._chance.choice(habits.COMMENTS)}
        yield self._step("comment", about, properties)
        if self._happens(habits.COMMENT_EDIT):
            edit = {"comment_id": comment, "text": f"{properties['text']} (edited)"}
            yield self._step("comment_edit", properties=edit)
        if self._happens(habits.COMMENT_DELETE):
            yield self._step("comment_delete", properties={"comment_id": comment})
        else:
            self.new_comments.append((comment, about))

    def _choose(self) -> Movie:
        if self._happens(habits.UNKNOWN_MOVIE_SHARE):
            number = _UNKNOWN_FROM + self._chance.randrange(_UNKNOWN_MOVIES)
            return Movie(number, frozenset(), 95)
        favourites = self._visitor.favourites
        if favourites and self._happens(habits.FAVOURITE_SHARE):
            return self._chance.choice(favourites)
        return self._chance.choice(self._movies)

    def _happens(self, likelihood: float) -> bool:
        return self._chance.random() < likelihood

    def _step(
        self,
        event_type: str,
        movie: Movie | int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> Step:
        self._now += timedelta(seconds=self._chance.uniform(2, 90))
        locale, _, _ = self._visitor.place
        context = {
            "locale": locale,
            "referrer": self._referrer,
            "app_version": self._device.app_version,
            "screen": self._device.screen,
        }
        event: dict[str, Any] = {
            "event_type": event_type,
            "schema_version": SCHEMA_VERSION,
            "user_id": self._visitor.user_id,
            "anonymous_id": self._visitor.anonymous_id,
            "session_id": self._session,
            "movie_id": movie.movie_id if isinstance(movie, Movie) else movie,
            "context": context,
            "properties": properties,
        }
        return Step(self._now, self._device.user_agent, _without_nulls(event))


def is_unknown(movie_id: int) -> bool:
    """Whether a simulated visitor saw a movie that no catalogue holds."""
    return movie_id >= _UNKNOWN_FROM


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if name == "context" else value
        for name, value in fields.items()
        if value is not None
    }
