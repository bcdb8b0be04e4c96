"""The smallest part of a list that still breaks a promise."""

import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def smallest(
    records: Sequence[T], breaks: Callable[[Sequence[T]], bool], seconds: float = math.inf
) -> list[T]:
    """Halve a list that breaks a promise until nothing of it can be left out.

    The delta debugging of Zeller and Hildebrandt ("Simplifying and Isolating Failure-Inducing Input", 2002): first
    halves, then ever smaller pieces, so that two records that only break together are found as well.

    Args:
        records: What breaks the promise as a whole.
        breaks: Whether a part does; called with parts in the order of `records`.
        seconds: No further round begins after so long.

    Returns:
        A part that breaks it, from which no single record can be left out if there was time for that.
    """
    deadline = time.monotonic() + seconds
    left = list(records)
    pieces = 2
    while len(left) > 1 and time.monotonic() < deadline:
        size = -(-len(left) // pieces)
        starts = range(0, len(left), size)
        parts = [left[start : start + size] for start in starts]
        rests = [left[:start] + left[start + size :] for start in starts]
        # Of two pieces each is what the other leaves.
        tried = parts if pieces == 2 else parts + rests
        found = next((part for part in tried if breaks(part)), None)
        if found is not None:
            pieces = 2 if len(found) <= size else max(pieces - 1, 2)
            left = found
        elif pieces >= len(left):
            break
        else:
            pieces = min(2 * pieces, len(left))
    return left
