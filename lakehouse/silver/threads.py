"""Where each comment stands in its thread; plain Python, as a recursion would cost Spark one job a level.

It needs to know little of each comment, in Arrow and as numbers, and of those in silver only the threads that the batch
touches: some 0.6 KiB a comment, of which a batch may bring a million.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contract import table
from lakehouse.frames import BLOCK

LONGEST_PATH = table("silver.comments").column("path").max_length or 0
OF_COMMENT = ["comment_id", "user_id", "parent_comment_id", "commented_at", "event_id"]
"""What `Threads` needs to know of a comment in the batch."""
OF_PLACE = ["thread_id", "depth", "path"]
"""What it needs to know besides of one that silver holds."""
NOTHING, ABSENT = -1, -2
"""Of a comment that answers none, and of one that was not received: what stands in place of the number of the answered one."""


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


def places(comments: pa.Array, parents: pa.Array) -> Iterator[Place]:
    """The place of every comment.

    Args:
        comments: The ids of those that were received, each once. Each thread that occurs must be complete.
        parents: For each the id of the one it answers, or null.

    Yields:
        A place a comment, in the order of `comments`. It depends on no order.
    """
    # In their order, so that the least number is the least id.
    in_order = _distinct(comments, parents).sort()
    numbers = pc.index_in(comments, in_order).to_numpy()
    above = np.full(len(in_order), ABSENT)
    above[numbers] = pc.fill_null(pc.index_in(parents, in_order), NOTHING).to_numpy(
        zero_copy_only=False
    )
    answered = array("q", above.astype("int64").tobytes())
    thread, depth = _stand(answered)
    ids = in_order.to_pylist()
    lengths = _lengths(ids, answered, depth)
    for number in map(int, numbers):
        known = depth[number] >= 0
        path = _path(ids, answered, number) if 0 <= lengths[number] <= LONGEST_PATH else None
        yield Place(ids[number], ids[thread[number]], depth[number] if known else None, path)


def _stand(answered: "array[int]") -> "tuple[array[int], array[int]]":
    """By number the first comment of its thread, and the answers between the two; -1 where that is not known."""
    thread = array("q", repeat(ABSENT, len(answered)))
    depth = array("q", repeat(-1, len(answered)))
    for number in range(len(answered)):
        chain: list[int] = []
        seen: set[int] = set()
        at = number
        while at >= 0 and answered[at] != ABSENT and thread[at] == ABSENT and at not in seen:
            chain.append(at)
            seen.add(at)
            at = answered[at]
        if at in seen:
            circle = chain[chain.index(at) :]
            for one in circle:
                thread[one] = min(circle)
            chain = chain[: chain.index(at)]
        for one in reversed(chain):
            above = answered[one]
            if above == NOTHING:
                thread[one], depth[one] = one, 0
            elif answered[above] == ABSENT:
                thread[one] = above
            else:
                thread[one] = thread[above]
                depth[one] = depth[above] + 1 if depth[above] >= 0 else -1
    return thread, depth


def _lengths(ids: Sequence[str], answered: "array[int]", depth: "array[int]") -> "array[int]":
    """By number the characters of its path; -1 where it has none. A chain of answers that has no end is not walked for each."""
    lengths = array("q", repeat(-1, len(ids)))
    for number in sorted(range(len(ids)), key=depth.__getitem__):
        if depth[number] == 0:
            lengths[number] = len(_quoted(ids[number]))
        elif depth[number] > 0:
            lengths[number] = lengths[answered[number]] + 1 + len(_quoted(ids[number]))
    return lengths


def _path(ids: Sequence[str], answered: "array[int]", number: int) -> str:
    """The ids from the first comment of a thread to one of it."""
    parts: list[str] = []
    while number != NOTHING:
        parts.append(_quoted(ids[number]))
        number = answered[number]
    return "/".join(reversed(parts))


def _quoted(comment_id: str) -> str:
    return quote(comment_id, safe="")


def touched(
    read: Callable[[], Iterator[pa.RecordBatch]], own: pa.Table, users: pa.Array
) -> pa.Table:
    """The comments that silver holds in the threads that a batch touches; all others pass by.

    Args:
        read: Gives every comment that silver holds, as `Threads` needs it, anew at each call.
        own: All comments of the users in the batch, as `Threads` needs them.
        users: Those users.
    """
    near = _distinct(own["comment_id"], own["parent_comment_id"])
    # What a comment in the batch is or answers, or what its user may have taken back.
    found = [near]
    for batch in read():
        is_near = pc.or_(pc.is_in(batch["comment_id"], near), pc.is_in(batch["user_id"], users))
        kept = batch.filter(is_near)
        found += [kept["thread_id"], kept["comment_id"]]
    stands_in = _distinct(*found)
    held = [
        pa.table(
            batch.filter(pc.is_in(batch["thread_id"], stands_in)).select(OF_COMMENT + OF_PLACE)
        )
        for batch in read()
    ]
    return pa.concat_tables(held) if held else nothing_held(own)


def nothing_held(own: pa.Table) -> pa.Table:
    """As `touched`, of a silver without comments."""
    types: tuple[Any, ...] = (pa.string(), pa.int32(), pa.string())
    place = [pa.field(*each) for each in zip(OF_PLACE, types, strict=True)]
    return pa.schema([*own.select(OF_COMMENT).schema, *place]).empty_table()


class Threads:
    """The comments of a batch among those that silver holds.

    Args:
        own: All comments of the users in the batch, with the columns `OF_COMMENT`.
        held: What silver holds, with those of `OF_PLACE` besides; those that are `touched` do.
        users: The users in the batch.
    """

    def __init__(self, own: pa.Table, held: pa.Table, users: pa.Array) -> None:
        of_users = pc.is_in(held["user_id"], users)
        others = held.filter(pc.invert(of_users)).select(OF_COMMENT).cast(own.schema)
        self._held = held
        self.own = _first_of_each(own, others).select(
            ["comment_id", "user_id", "parent_comment_id"]
        )
        """Those that are their author's: of two authors with one id the first keeps it."""
        is_told = pc.is_in(held["comment_id"], _array(self.own["comment_id"]))
        self.gone = _array(held.filter(pc.and_not(of_users, is_told))["comment_id"])
        """The ids of comments of these users that silver holds and the batch has taken back."""

    def moved(self) -> Iterator[Place]:
        """The new places of the comments of the batch, and of those of others that it gives another place."""
        others = self._others()
        placed = places(
            *(
                _array(
                    pa.chunked_array([*self.own[name].chunks, *others[name].chunks], pa.string())
                )
                for name in ("comment_id", "parent_comment_id")
            )
        )
        for _, place in zip(range(len(self.own)), placed, strict=False):
            yield place
        held = (
            Place(*row.values())
            for batch in others.select(list(Place._fields)).to_batches(BLOCK)
            for row in batch.to_pylist()
        )
        for place, before in zip(placed, held, strict=True):
            if place != before:
                yield place

    def _others(self) -> pa.Table:
        """What silver holds of others in every thread that one of the batch stands in, stood in, or joins to another."""
        near = _distinct(self.own["comment_id"], self.gone, self.own["parent_comment_id"])
        ids = self._held["comment_id"]
        touched = _distinct(near, self._held.filter(pc.is_in(ids, near))["thread_id"])
        of_batch = _distinct(self.own["comment_id"], self.gone)
        is_member = pc.and_not(pc.is_in(self._held["thread_id"], touched), pc.is_in(ids, of_batch))
        return self._held.filter(is_member)


def _first_of_each(own: pa.Table, others: pa.Table) -> pa.Table:
    """Of the comments with one id the first, where it is not one of others; by their time, then by their event."""
    rivals = pa.concat_tables(
        [
            own.append_column("is_own", pa.repeat(True, len(own))),
            others.append_column("is_own", pa.repeat(False, len(others))),
        ]
    )
    keys = ("comment_id", "commented_at", "event_id", "is_own")
    in_order = rivals.take(pc.sort_indices(rivals, [(key, "ascending") for key in keys]))
    ids = _array(in_order["comment_id"])
    is_first = pa.concat_arrays(
        [pa.array([True][: len(ids)], pa.bool_()), pc.not_equal(ids[1:], ids[:-1])]
    )
    return in_order.filter(pc.and_(is_first, in_order["is_own"])).drop_columns("is_own")


def _distinct(*columns: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The texts of columns, each once, without null."""
    every = pa.chunked_array(
        [chunk for column in columns for chunk in _chunks(column)], type=pa.string()
    )
    return _array(pc.drop_null(pc.unique(every)))


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
