"""Who looks at several tables of silver together waits for the batch that is being written.

A batch writes one table after another, so that only between two batches do they tell of the same messages. A daemon's
batches may follow each other without a pause: who wants to look asks for the next turn, and a batch lets him go first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cinelake.settings import Settings
from cinelake.stack.lock import file_lock

PATIENCE_SECONDS = 600.0
"""Longer than a large batch takes."""


@contextmanager
def batch(settings: Settings) -> Iterator[None]:
    """Write a batch in the block, after whoever waits to look.

    Raises:
        ServiceError: Somebody looks for too long.
    """
    with file_lock(settings.home / "locks" / "silver turn"):
        pass
    with file_lock(settings.home / "locks" / "silver batch"):
        yield


@contextmanager
def between_batches(settings: Settings) -> Iterator[None]:
    """Look at silver in the block, in which no batch is written; to be kept short.

    Raises:
        ServiceError: A batch took too long.
    """
    with (
        file_lock(settings.home / "locks" / "silver turn"),
        file_lock(settings.home / "locks" / "silver batch", patience=PATIENCE_SECONDS),
    ):
        yield
