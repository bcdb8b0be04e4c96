"""One process at a time: an exclusive lock on a file, freed by the kernel when its holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cinelake.errors import ServiceError


@contextmanager
def file_lock(path: Path, *, patience: float = 300.0) -> Iterator[None]:
    """Hold the lock on `path` while the block runs.

    Args:
        path: The lock file; made when it is missing, and left there.
        patience: Seconds to wait for another holder.

    Raises:
        ServiceError: Another process held the lock for longer than that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            for attempt in Retrying(
                stop=stop_after_delay(patience),
                wait=wait_fixed(0.1),
                retry=retry_if_exception_type(BlockingIOError),
            ):
                with attempt:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except RetryError:
            raise ServiceError(
                f"Another process has held {path} for {patience:.0f} seconds.",
                "Wait until it ends, or stop it, and try again.",
            ) from None
        yield
