"""Where each comment stands in its thread; plain Python, as a recursion would cost Spark one job a level.

It needs to know little of each comment, and of those in silver only the threads that the batch touches.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contract import table

LONGEST_PATH = table("silver.comments").column("path").max_length or 0


class Place(NamedTuple):
    """A comment's place.

    Args:
        comment_id: The comment.
        thread_id: The first comment of the thread as far as it is known: the one that answers none, one that is
            answered and was not received, or the least id of a circle.
        depth: Answers between the first comment and this one; None where the beginning was not received, or is a circle.
        path: The ids from the first comment to this one, URL-encoded, separated by `/`; None as with `depth`, and where
            it would have more than `LONGEST_PATH` characters, as a chain of answers has no end.
    """

    comment_id: str
    thread_id: str
    depth: int | None
    path: str | None


def places(parents: Mapping[str, str | None]) -> Iterator[Place]:
    """The place of every comment.

    Args:
        parents: For each comment that was received the one it answers, or None. Each thread that occurs must be
            complete.

    Yields:
        A place a comment, in the order of `parents`. It depends on no order.
    """
    known: dict[str, Place] = {}
    for comment_id in parents:
        chain: list[str] = []
        seen: set[str] = set()
        at: str | None = comment_id
        while at is not None and at in parents and at not in known and at not in seen:
            chain.append(at)
            seen.add(at)
            at = parents[at]
        _place_chain(known, chain, at, seen, parents)
        yield known[comment_id]


def touched(
    read: Callable[[], Iterator[pa.RecordBatch]],
    own: Iterable[Mapping[str, Any]],
    users: Iterable[str],
) -> list[dict[str, Any]]:
    """The comments that silver holds in the threads that a batch touches; all others pass by.

    Args:
        read: Gives every comment that silver holds, as `Threads` needs it, anew at each call.
        own: All comments of the users in the batch, as `Threads` needs them.
        users: Those users.
    """
    ids = {one for row in own for one in (row["comment_id"], row["parent_comment_id"])} - {None}
    near, by = pa.array(ids, pa.string()), pa.array(users, pa.string())
    # What a comment in the batch is or answers, or what its user may have taken back.
    threads: set[str] = set()
    for batch in read():
        is_near = pc.or_(pc.is_in(batch["comment_id"], near), pc.is_in(batch["user_id"], by))
        found = batch.filter(is_near)
        threads.update(found["thread_id"].to_pylist(), found["comment_id"].to_pylist())
    stands_in = pa.array(ids | threads, pa.string())
    return [
        row
        for batch in read()
        for row in batch.filter(pc.is_in(batch["thread_id"], stands_in)).to_pylist()
    ]


def _place_chain(
    known: dict[str, Place],
    chain: list[str],
    end: str | None,
    seen: set[str],
    parents: Mapping[str, str | None],
) -> None:
    """Place a chain of comments, each of which answers the next; `end` is what the last one answers."""
    if end is not None and end in seen:
        circle = chain[chain.index(end) :]
        for one in circle:
            known[one] = Place(one, min(circle), None, None)
        chain = chain[: chain.index(end)]
    for one in reversed(chain):
        parent = parents[one]
        above = known.get(parent) if parent is not None else None
        if parent is None:
            known[one] = Place(one, one, 0, _path("", one))
        elif above is None:
            known[one] = Place(one, parent, None, None)
        elif above.depth is None:
            known[one] = Place(one, above.thread_id, None, None)
        else:
            path = None if above.path is None else _path(f"{above.path}/", one)
            known[one] = Place(one, above.thread_id, above.depth + 1, path)


def _path(above: str, comment_id: str) -> str | None:
    path = above + quote(comment_id, safe="")
    return path if len(path) <= LONGEST_PATH else None


class Threads:
    """The comments of a batch among those that silver holds.

    Args:
        own: All comments of the users in the batch: `comment_id`, `user_id`, `parent_comment_id`, `commented_at` and
            `event_id`.
        held: What silver holds: the same, `thread_id`, `depth` and `path`; those that are `touched` do.
        users: The users in the batch.
    """

    def __init__(
        self, own: Iterable[dict[str, Any]], held: Iterable[dict[str, Any]], users: Collection[str]
    ) -> None:
        self._held = {row["comment_id"]: row for row in held}
        first: dict[str, dict[str, Any]] = {}
        for row in own:
            known = first.get(row["comment_id"], self._of_others(row["comment_id"], users))
            if known is None or _age(row) < _age(known):
                first[row["comment_id"]] = row
        self.own = first
        """By id, those that are their author's: of two authors with one id the first keeps it."""
        self.gone = {
            comment_id
            for comment_id, row in self._held.items()
            if row["user_id"] in users and comment_id not in first
        }
        """Comments of these users that silver holds and the batch has taken back."""

    def moved(self) -> list[Place]:
        """The new places of the comments of the batch, and of those of others that it gives another place."""
        members = self._members()
        return [
            place
            for place in places(members)
            if place.comment_id in self.own or place != self._held_place(place.comment_id)
        ]

    def _of_others(self, comment_id: str, users: Collection[str]) -> dict[str, Any] | None:
        row = self._held.get(comment_id)
        return row if row and row["user_id"] not in users else None

    def _members(self) -> dict[str, str | None]:
        """What each comment answers, in every thread that one of the batch stands in, stood in, or joins to another."""
        parents = {row["parent_comment_id"] for row in self.own.values()} - {None}
        near = self.own.keys() | self.gone | parents
        touched = near | {self._held[one]["thread_id"] for one in near if one in self._held}
        members = {
            comment_id: row["parent_comment_id"]
            for comment_id, row in self._held.items()
            if row["thread_id"] in touched and comment_id not in self.gone
        }
        return members | {one: row["parent_comment_id"] for one, row in self.own.items()}

    def _held_place(self, comment_id: str) -> Place:
        row = self._held[comment_id]
        return Place(comment_id, row["thread_id"], row["depth"], row["path"])


def _age(row: dict[str, Any]) -> tuple[Any, str]:
    return row["commented_at"], row["event_id"]
