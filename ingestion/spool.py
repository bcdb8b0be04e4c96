"""Events on disk that wait for the API: append-only segments of JSON lines, which processes may share.

Who writes a segment holds a lock on it (flock), which the kernel frees when the process dies, however it
dies. A segment that nobody holds is anybody's: who claims it sends its events and removes it. So each process
has files of its own, and what a killed one leaves behind is sent by the next one that looks into the folder.
A segment that was sent in part is sent again from its start: event ids make that harmless.
"""

import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from cinelake.errors import ServiceError

_log = logging.getLogger("cinelake.client")

MEBIBYTE = 1024 * 1024
MAX_BYTES = 256 * MEBIBYTE
SEGMENT_BYTES = MEBIBYTE
"""A segment is read into memory as a whole, and at most one is sent twice after a crash."""

_SUFFIX = ".jsonl"
_UNREADABLE = ".unreadable"


class SpoolError(ServiceError):
    """The events could not be stored on disk; the caller still has them."""


class SpoolFullError(SpoolError):
    """The spool holds as many bytes as it may."""


@dataclass(frozen=True)
class Segment:
    """A segment that this process has claimed: no other sends it meanwhile.

    Args:
        path: Its file.
        lines: Its events, each as JSON, in the order they were stored.
        descriptor: The open file that carries the lock.
    """

    path: Path
    lines: list[bytes]
    descriptor: int

    def remove(self) -> None:
        """All of it was answered."""
        # Before the lock is freed: nobody may claim what is done.
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)

    def release(self) -> None:
        """Leave it to whoever claims it next."""
        os.close(self.descriptor)


class Spool:
    """A folder of segments on a local disk. Threads and processes may share it.

    All who share a folder send to the same API.

    Args:
        folder: Made when it is missing, for the account's eyes alone: events are personal data.
        max_bytes: What all segments of the folder may take together. Processes that append at the same
            moment may pass it by one append each.
        segment_bytes: A segment that has reached this size is followed by a new one.
    """

    def __init__(
        self, folder: Path, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._writing: tuple[Path, int] | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SpoolError(
                f"The spool folder {folder} cannot be made: {error}.", "Choose another one."
            ) from error

    def append(self, lines: Sequence[bytes]) -> None:
        """Store events; when this returns, they survive a crash of the process and of the machine.

        Args:
            lines: Events, each as JSON without a line break.

        Raises:
            SpoolFullError: There is no room for all of them; none was stored.
            SpoolError: The disk refused; some may be stored, and are sent twice if the caller sends them too.
        """
        data = b"".join(line + b"\n" for line in lines)
        with self._lock:
            held = self.size()
            if held + len(data) > self._max_bytes:
                raise SpoolFullError(
                    f"The spool {self._folder} holds {held} bytes: {len(data)} more would be over"
                    f" its limit of {self._max_bytes}.",
                    "Bring the events API back, or allow the spool more bytes.",
                )
            try:
                self._write(data)
            except OSError as error:
                # What follows a line that was cut goes into another file.
                self._seal()
                raise SpoolError(
                    f"The spool {self._folder} cannot be written: {error}.",
                    "Make room on that disk, or correct the folder's rights.",
                ) from error

    def claim(self) -> Segment | None:
        """Take the oldest segment that no other process holds, this process's newest one included.

        Lines that are no JSON object (the torn end of a killed process's last write) are kept beside
        it in a file `*.unreadable` and logged.
        """
        with self._lock:
            for path in self._paths():
                if self._writing and self._writing[0] == path:
                    self._seal()
                segment = _claim(path)
                if segment is not None:
                    return segment
        return None

    def size(self) -> int:
        """The bytes that the segments of all processes take."""
        total = 0
        for path in self._paths():
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                # Another process has just sent it.
                continue
        return total

    def close(self) -> None:
        """Let go of the segment in writing; whoever looks into the folder next sends it."""
        with self._lock:
            self._seal()

    def after_fork(self) -> None:
        """In a forked child: the segment in writing, and its lock, are the parent's alone."""
        self._lock = threading.Lock()
        self._seal()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _write(self, data: bytes) -> None:
        if self._writing and os.fstat(self._writing[1]).st_size >= self._segment_bytes:
            self._seal()
        if self._writing is None:
            self._writing = self._begin()
            self._sync_folder()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._writing[1], rest) :]
        os.fsync(self._writing[1])

    def _begin(self) -> tuple[Path, int]:
        while True:
            name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
            path = self._folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            # Another process may have taken it for a dead one's in the moment before it was locked.
            if _lock(descriptor):
                return path, descriptor
            os.close(descriptor)

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _seal(self) -> None:
        if self._writing is not None:
            os.close(self._writing[1])
            self._writing = None


def _lock(descriptor: int) -> bool:
    """Lock an open segment; False when another process holds it or has removed it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _claim(path: Path) -> Segment | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        # Sent by another process meanwhile, or another account's.
        return None
    if not _lock(descriptor):
        os.close(descriptor)
        return None
    lines, unreadable = read_lines(path.read_bytes())
    if unreadable:
        aside = path.with_suffix(_UNREADABLE)
        aside.write_bytes(b"\n".join(unreadable))
        aside.chmod(0o600)
        _log.warning("%d lines of the spool are no events; they are in %s", len(unreadable), aside)
    segment = Segment(path, lines, descriptor)
    if not lines:
        segment.remove()
        return None
    return segment


def read_lines(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Take a segment apart.

    Args:
        data: The bytes of its file, perhaps cut anywhere.

    Returns:
        The events, each as JSON, and whatever stands there that is none.
    """
    lines: list[bytes] = []
    unreadable: list[bytes] = []
    for line in filter(None, data.split(b"\n")):
        (lines if _is_object(line) else unreadable).append(line)
    return lines, unreadable


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
