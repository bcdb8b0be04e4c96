"""Writing a file so that it appears whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cinelake.errors import BadInputError

_ALL_MAY_READ = 0o666


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write bytes to, under a name of its own beside `path`; it becomes `path` when the block ends well.

    When the block raises, `path` is as it was. A process that is killed leaves `path` as it was as well, and a
    hidden file whose name ends in `.part`.

    Args:
        path: The file to make or replace.

    Raises:
        BadInputError: The folder is missing or cannot be written to.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be written: {error.strerror}", "Name a file in a folder that is there."
        ) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _permit(part)
        try:
            part.replace(path)
        except OSError as error:
            raise BadInputError(
                f"{path} cannot be written: {error.strerror}", "Name a file that may be replaced."
            ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _permit(file: Path) -> None:
    """Give a temporary file the permissions that an ordinary new file has."""
    umask = os.umask(0)
    os.umask(umask)
    file.chmod(_ALL_MAY_READ & ~umask)
