"""The log files of services: each is appended to by a process that knows nothing of rotation."""

import shutil
from pathlib import Path

from cinelake.log import KEPT_LOGS, MAX_LOG_BYTES


def make_room(log: Path, limit: int = MAX_LOG_BYTES) -> bool:
    """Put a log that is too long aside as `<name>.log.1`, and those that were put aside before one further.

    The file is copied and emptied rather than renamed, as its writer goes on with the file it has; it opened that to append,
    so that its next line is the first. A line that is written in the moment between the two is lost.

    Args:
        log: The file; it need not be there.
        limit: How many bytes it may have.

    Returns:
        Whether it was too long.
    """
    if not log.exists() or log.stat().st_size <= limit:
        return False
    for number in range(KEPT_LOGS - 1, 0, -1):
        former = _former(log, number)
        if former.exists():
            former.replace(_former(log, number + 1))
    shutil.copy2(log, _former(log, 1))
    with log.open("r+b") as file:
        file.truncate()
    return True


def make_room_in(folder: Path) -> list[Path]:
    """Do so with every log of a folder; returns those that were too long."""
    return [log for log in sorted(folder.glob("*.log")) if make_room(log)]


def _former(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
