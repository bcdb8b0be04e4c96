"""What good events come to in the end: ratings, comments, votes, reactions, watchlists, watch times.

Whatever the order in which events are taken, the one that occurred last decides; of two at the same microsecond,
the one with the greater id.
"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

Event = dict[str, Any]
Row = dict[str, Any]
K = TypeVar("K")


class _Latest(Generic[K]):
    """The event of each key that occurred last."""

    def __init__(self) -> None:
        self._events: dict[K, Event] = {}

    def add(self, key: K, event: Event) -> None:
        known = self._events.get(key)
        if known is None or _order(known) < _order(event):
            self._events[key] = event

    def get(self, key: K) -> Event | None:
        return self._events.get(key)

    def items(self) -> Iterator[tuple[K, Event]]:
        return iter(self._events.items())


class _Position(NamedTuple):
    """How far a play was at a time."""

    order: tuple[str, str]
    seconds: float


class _Watched:
    """What is known of one play."""

    def __init__(self, event: Event) -> None:
        self._first = event
        self._positions: tuple[_Position, _Position] | None = None
        self._is_completed = False

    def add(self, event: Event) -> None:
        self._first = min(self._first, event, key=_order)
        self._is_completed |= event["event_type"] == "play_complete"
        seconds = event["properties"].get("position_seconds")
        if seconds is not None:
            here = _Position(_order(event), seconds)
            first, last = self._positions or (here, here)
            self._positions = min(first, here), max(last, here)

    def row(self, play_id: str) -> Row:
        first, last = self._positions or (None, None)
        return {
            "play_id": play_id,
            "user_id": self._first.get("user_id"),
            "anonymous_id": self._first.get("anonymous_id"),
            "movie_id": self._first["movie_id"],
            "started_at": self._first["occurred_at"],
            "last_position_seconds": last.seconds if last else None,
            "is_completed": self._is_completed,
            "seconds_watched": max(last.seconds - first.seconds, 0) if last and first else 0,
        }


class Outcomes:
    """Takes good events in any order and knows what they come to."""

    def __init__(self) -> None:
        self._ratings: _Latest[tuple[str, int]] = _Latest()
        self._reactions: _Latest[tuple[str, int]] = _Latest()
        self._watchlist: _Latest[tuple[str, int]] = _Latest()
        self._votes: _Latest[tuple[str, str]] = _Latest()
        self._texts: _Latest[str] = _Latest()
        self._comments: dict[str, Event] = {}
        self._deleted: set[str] = set()
        self._plays: dict[str, _Watched] = {}
        self._take: dict[str, Callable[[Event], None]] = {
            "rating": self._add_rating,
            "rating_removed": self._add_rating,
            "comment": self._add_comment,
            "comment_edit": self._add_text,
            "comment_delete": lambda event: self._deleted.add(event["properties"]["comment_id"]),
            "comment_vote": self._add_vote,
            "movie_reaction": lambda event: self._reactions.add(_user_and_movie(event), event),
            "watchlist_add": lambda event: self._watchlist.add(_user_and_movie(event), event),
            "watchlist_remove": lambda event: self._watchlist.add(_user_and_movie(event), event),
            "play": self._add_play,
            "play_progress": self._add_play,
            "play_complete": self._add_play,
        }

    def add(self, event: Event) -> None:
        """Take a good event that was not taken before."""
        take = self._take.get(event["event_type"])
        if take is not None:
            take(event)

    def ratings(self) -> Iterator[Row]:
        """A row a user and movie, as in `silver.ratings`: a removed rating stays, without its value."""
        for (user, movie), event in self._ratings.items():
            is_removed = event["event_type"] == "rating_removed"
            yield {
                "user_id": user,
                "movie_id": movie,
                "rating": None if is_removed else event["properties"]["rating"],
                "is_removed": is_removed,
                "event_id": event["event_id"],
                "rated_at": event["occurred_at"],
            }

    def comments(self) -> Iterator[Row]:
        """A row a comment: its last text, who wrote it, whether it was deleted, and where in its thread it stands."""
        depths: dict[str, int | None] = {}
        for comment_id, event in self._comments.items():
            text = self._texts.get(comment_id) or event
            yield {
                "comment_id": comment_id,
                "user_id": event["user_id"],
                "movie_id": event["movie_id"],
                "text": text["properties"]["text"],
                "is_deleted": comment_id in self._deleted,
                "is_edited": text["event_type"] == "comment_edit",
                "parent_comment_id": event["properties"].get("parent_comment_id"),
                "depth": self._depth(comment_id, depths),
                "commented_at": event["occurred_at"],
            }

    def votes(self) -> Iterator[Row]:
        """A row a user and comment; a vote taken back is `none`."""
        for (user, comment), event in self._votes.items():
            yield {
                "user_id": user,
                "comment_id": comment,
                "vote": event["properties"]["vote"],
                "voted_at": event["occurred_at"],
            }

    def reactions(self) -> Iterator[Row]:
        """A row a user and movie; a reaction taken back is `none`."""
        for (user, movie), event in self._reactions.items():
            yield {
                "user_id": user,
                "movie_id": movie,
                "reaction": event["properties"]["reaction"],
                "reacted_at": event["occurred_at"],
            }

    def watchlist(self) -> Iterator[Row]:
        """A row a user and movie that was ever listed or taken off."""
        for (user, movie), event in self._watchlist.items():
            yield {
                "user_id": user,
                "movie_id": movie,
                "is_listed": event["event_type"] == "watchlist_add",
                "changed_at": event["occurred_at"],
            }

    def plays(self) -> Iterator[Row]:
        """A row a play: how far it came, whether to its end, and the seconds between first and last position."""
        for play_id, watched in self._plays.items():
            yield watched.row(play_id)

    def _add_rating(self, event: Event) -> None:
        self._ratings.add(_user_and_movie(event), event)

    def _add_comment(self, event: Event) -> None:
        self._comments[event["properties"]["comment_id"]] = event
        self._add_text(event)

    def _add_text(self, event: Event) -> None:
        self._texts.add(event["properties"]["comment_id"], event)

    def _add_vote(self, event: Event) -> None:
        self._votes.add((event["user_id"], event["properties"]["comment_id"]), event)

    def _add_play(self, event: Event) -> None:
        play_id = event["properties"]["play_id"]
        self._plays.setdefault(play_id, _Watched(event)).add(event)

    def _depth(self, comment_id: str, depths: dict[str, int | None]) -> int | None:
        """0 for a comment on a movie, one more for each answer; None where the thread's beginning was not sent."""
        path = []
        at: str | None = comment_id
        while at is not None and at not in depths and at in self._comments:
            path.append(at)
            at = self._comments[at]["properties"].get("parent_comment_id")
        depth = -1 if at is None else depths.get(at)
        for child in reversed(path):
            depth = None if depth is None else depth + 1
            depths[child] = depth
        return depths[comment_id]


def _order(event: Event) -> tuple[str, str]:
    return event["occurred_at"], event["event_id"]


def _user_and_movie(event: Event) -> tuple[str, int]:
    return event["user_id"], event["movie_id"]
