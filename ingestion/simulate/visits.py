"""One visit of one simulated person, as the events a client would send."""

import random
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from ingestion.events import SCHEMA_VERSION
from ingestion.generated_catalog import FIRST_ID
from ingestion.simulate import habits
from ingestion.simulate.visitors import Movie, Visitor

_UNKNOWN_FROM = FIRST_ID + 8_000_000
_UNKNOWN_MOVIES = 50
_LONGEST_SILENCE = 20
"""Minutes between two progress reports: well below half an hour, so that watching never looks like having left."""
_SHORTEST_PLAY = 60
"""Seconds of a movie that are left at least where someone takes it up again."""
_BUFFERED_MINUTES = (21, 45)
"""How long a client holds a progress report back: longer than `_LONGEST_SILENCE`, so that the next overtakes it."""

_NO_ID: dict[str, str | None] = {}


class Step(NamedTuple):
    """One thing that happened: an event without its id and its time as text, and how long the client held it back."""

    at: datetime
    user_agent: str
    event: dict[str, Any]
    held_back: timedelta = timedelta(0)


class KnownComment(NamedTuple):
    """A comment that others can see from `at` on."""

    at: datetime
    comment_id: str
    movie_id: int


class Visit:
    """Tells the story of one visit, step by step.

    Args:
        visitor: Who visits; what they rate, list, write and leave unfinished is remembered there.
        movies: The catalogue.
        comments: Comments to answer and vote on, by time.
        start: When the visit begins.
        chance: The only source of chance.
    """

    def __init__(
        self,
        visitor: Visitor,
        movies: Sequence[Movie],
        comments: Sequence[KnownComment],
        start: datetime,
        chance: random.Random,
    ) -> None:
        self.new_comments: list[KnownComment] = []
        self._visitor = visitor
        self._movies = movies
        self._comments = comments
        self._now = max(start, visitor.free_from)
        self._chance = chance
        self._device = chance.choice(visitor.devices)
        self._context = _without_nulls(
            {
                "locale": visitor.place.locale,
                "referrer": chance.choice(habits.REFERRERS),
                "app_version": self._device.app_version,
                "screen": self._device.screen,
            }
        )
        self._session = f"s-{chance.getrandbits(96):024x}" if visitor.names_sessions else None

    def steps(self) -> Iterator[Step]:
        """The events of the visit, in the order of time."""
        if self._session:
            yield self._step("session_start")
        path, title = self._chance.choice(habits.PAGES)
        yield self._step("page_view", properties={"path": path, "title": title})
        if self._visitor.signed_in:
            yield from self._maybe_profile()
        for _ in range(self._chance.randint(1, 4)):
            yield from self._one_movie()
            if (
                self._visitor.converts
                and not self._visitor.signed_in
                and self._happens(habits.SIGN_IN)
            ):
                yield self._sign_in()
        if self._visitor.signed_in:
            yield from self._second_thoughts()
        if self._session:
            yield self._step("session_end")
        self._visitor.free_from = self._now

    def _maybe_profile(self) -> Iterator[Step]:
        if not self._visitor.signed_up or self._happens(habits.CHANGE_PROFILE):
            yield self._profile()

    def _sign_in(self) -> Step:
        """Sign in: the one event that carries both ids."""
        both = {"user_id": self._visitor.user_id, "anonymous_id": self._visitor.anonymous_id}
        step = self._profile(both)
        self._visitor.signed_in = True
        return step

    def _profile(self, ids: dict[str, str | None] = _NO_ID) -> Step:
        visitor = self._visitor
        visitor.signed_up = True
        properties = {
            "name": self._chance.choice(habits.NAMES),
            "email": f"visitor{visitor.number}@mail.example",
            "country": visitor.place.country,
            "locale": visitor.place.locale,
            "birth_year": 1950 + visitor.number * 7 % 58,
            "timezone": visitor.place.timezone,
        }
        return self._step("user_upsert", properties=properties, ids=ids)

    def _one_movie(self) -> Iterator[Step]:
        unfinished = self._visitor.unfinished
        if unfinished and self._happens(habits.TAKE_UP_AGAIN):
            movie, position = unfinished.popleft()
            yield self._step("movie_view", movie)
            yield from self._watch(movie, position)
            return
        if self._happens(habits.SEARCH):
            yield self._step("search", properties={"query": self._chance.choice(habits.QUERIES)})
        movie = self._choose()
        yield self._step("movie_view", movie)
        if self._happens(habits.PLAY):
            finished = yield from self._watch(movie, 0)
            if finished and self._visitor.signed_in and self._happens(habits.RATE):
                yield self._rate(movie)
        if self._visitor.signed_in:
            yield from self._opinions(movie)
            yield from self._talk(movie)

    def _watch(self, movie: Movie, start: float) -> Generator[Step, None, bool]:
        """Watch a movie from a position on, in seconds; returns whether to its end."""
        play = {"play_id": f"p-{self._chance.getrandbits(64):016x}"}
        length = max(movie.minutes * 60, start + _SHORTEST_PLAY)
        reports = ceil((length - start) / 60 / _LONGEST_SILENCE)
        yield self._step("play", movie, {**play, "position_seconds": start})
        position = start
        for number in range(1, reports + 1):
            if not self._happens(habits.KEEP_WATCHING):
                self._visitor.unfinished.append((movie, position))
                return False
            position = round(start + (length - start) * number / reports, 1)
            # The step itself adds a few seconds more: people pause.
            self._now += timedelta(seconds=(length - start) / reports)
            progress = self._step("play_progress", movie, {**play, "position_seconds": position})
            if self._happens(habits.BUFFERED_PROGRESS):
                minutes = self._chance.uniform(*_BUFFERED_MINUTES)
                progress = progress._replace(held_back=timedelta(minutes=minutes))
            yield progress
        yield self._step("play_complete", movie, play)
        return True

    def _rate(self, movie: Movie) -> Step:
        points = self._chance.gauss(7 + self._visitor.kindness, 1.5)
        rating = min(max(round(points * 2) / 2, 0.5), 10.0)
        self._visitor.rated.append(movie)
        return self._step("rating", movie, {"rating": rating})

    def _opinions(self, movie: Movie) -> Iterator[Step]:
        visitor = self._visitor
        if self._happens(habits.REACT):
            reaction = self._chance.choices(("like", "dislike", "none"), (8, 2, 1))[0]
            yield self._step("movie_reaction", movie, {"reaction": reaction})
        if self._happens(habits.WATCHLIST):
            visitor.listed.append(movie)
            yield self._step("watchlist_add", movie)
        elif visitor.listed and self._happens(habits.WATCHLIST_REMOVE):
            yield self._step("watchlist_remove", visitor.listed.popleft())

    def _talk(self, movie: Movie) -> Iterator[Step]:
        if self._happens(habits.COMMENT):
            yield self._write_comment(movie)
        if self._happens(habits.VOTE) and (seen := self._a_comment()):
            vote = self._chance.choices(("up", "down", "none"), (7, 2, 1))[0]
            properties = {"comment_id": seen.comment_id, "vote": vote}
            yield self._step("comment_vote", properties=properties)

    def _write_comment(self, movie: Movie) -> Step:
        comment = f"c-{self._chance.getrandbits(64):016x}"
        properties = {"comment_id": comment, "text": self._chance.choice(habits.COMMENTS)}
        about = movie.movie_id
        if self._happens(habits.ANSWER) and (seen := self._a_comment()):
            about = seen.movie_id
            properties["text"] = self._chance.choice(habits.REPLIES)
            properties["parent_comment_id"] = seen.comment_id
        step = self._step("comment", about, properties)
        self._visitor.written.append((comment, properties["text"]))
        self.new_comments.append(KnownComment(step.at, comment, about))
        return step

    def _a_comment(self) -> KnownComment | None:
        """A comment that is there by now."""
        there = bisect_left(self._comments, self._now, key=lambda comment: comment.at)
        return self._comments[self._chance.randrange(there)] if there else None

    def _second_thoughts(self) -> Iterator[Step]:
        """What the visitor did on an earlier visit, and changes or takes back."""
        visitor = self._visitor
        if visitor.rated and self._happens(habits.RATE_AGAIN):
            yield self._rate(self._chance.choice(visitor.rated))
        if visitor.rated and self._happens(habits.REMOVE_RATING):
            yield self._step("rating_removed", visitor.rated.popleft())
        if visitor.written and self._happens(habits.COMMENT_EDIT * len(visitor.written)):
            comment, text = self._chance.choice(visitor.written)
            edit = {"comment_id": comment, "text": f"{text} (edited {self._now:%H:%M})"}
            yield self._step("comment_edit", properties=edit)
        if visitor.written and self._happens(habits.COMMENT_DELETE * len(visitor.written)):
            comment, _ = visitor.written.popleft()
            yield self._step("comment_delete", properties={"comment_id": comment})

    def _choose(self) -> Movie:
        if self._happens(habits.UNKNOWN_MOVIE_SHARE):
            number = _UNKNOWN_FROM + self._chance.randrange(_UNKNOWN_MOVIES)
            return Movie(number, frozenset(), 95)
        favourites = self._visitor.favourites
        liked = favourites and self._happens(habits.FAVOURITE_SHARE)
        movies = favourites if liked else self._movies
        return movies[int(len(movies) * self._chance.random() ** habits.POPULARITY)]

    def _happens(self, likelihood: float) -> bool:
        return self._chance.random() < likelihood

    def _step(
        self,
        event_type: str,
        movie: Movie | int | None = None,
        properties: dict[str, Any] | None = None,
        ids: dict[str, str | None] = _NO_ID,
    ) -> Step:
        self._now += timedelta(seconds=self._chance.uniform(2, 90))
        forgotten = self._session and self._happens(habits.FORGETS_SESSION)
        event: dict[str, Any] = {
            "event_type": event_type,
            "schema_version": SCHEMA_VERSION,
            **(ids or self._visitor.ids),
            "session_id": None if forgotten else self._session,
            "movie_id": movie.movie_id if isinstance(movie, Movie) else movie,
            "context": self._context,
            "properties": properties,
        }
        return Step(self._now, self._device.user_agent, _without_nulls(event))


def is_unknown(movie_id: int) -> bool:
    """Whether a simulated visitor saw a movie that no catalogue holds."""
    return movie_id >= _UNKNOWN_FROM


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
