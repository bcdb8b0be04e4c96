"""Cutting a stream into batches."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter; never an empty one."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def no_progress(_: int) -> None:
    """The `progress` of a caller that shows none."""
