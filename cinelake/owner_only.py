"""Files are their owner's alone, whatever umask an account has: those that come, and those that were made under another."""

import os
from collections.abc import Collection
from contextlib import suppress
from itertools import chain
from pathlib import Path

from cinelake.log import get_logger

UMASK = 0o077
"""What a command and a service, and whatever they start, withhold from all but their account."""
PASSAGE = 0o711
"""The mode of a folder that other accounts pass through without seeing what is in it."""

log = get_logger("stack")


def close(folder: Path, passages: Collection[Path] = ()) -> None:
    """Take from all but the owner whatever they may do with a folder and what is below it.

    Links are left alone, and so is what they lead to. What belongs to another account stays as it is, with a warning.

    Args:
        folder: The folder; nothing happens when it is not there.
        passages: Folders that get the mode `PASSAGE`, of those that are there.
    """
    below = (Path(top, name) for top, *names in os.walk(folder) for name in chain(*names))
    for path in chain([folder], below):
        # Services that run go on writing and removing.
        with suppress(FileNotFoundError):
            _close(path, PASSAGE if path in passages else None)


def _close(path: Path, wanted: int | None) -> None:
    if path.is_symlink():
        return
    mode = path.stat().st_mode & 0o7777
    new = mode & ~UMASK if wanted is None else wanted
    if new == mode:
        return
    try:
        path.chmod(new)
    except PermissionError:
        log.warning("belongs to another account, left as it is", path=str(path))
