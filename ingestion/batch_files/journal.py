"""What an import has done so far, so that an interrupted one goes on where it was, and its refused rows."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from cinelake.errors import BadInputError
from cinelake.whole_file import whole_file
from ingestion.batch_files.importing import ImportResult
from ingestion.batch_files.rows import Refusal

READING = 2
"""Raise it with every change after which `read_rows` gives another number of rows."""
_MAX_LEVELS = 100
"""Levels that are written of a refused row; JSON in which a row stands may have a thousand, orjson writes 254."""


@dataclass(frozen=True)
class InputFile:
    """A file as it was when an import began.

    Args:
        path: Absolute.
        bytes: Its size.
        modified_ns: When it was last changed.
    """

    path: str
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "InputFile":
        """A file as it is now.

        Raises:
            BadInputError: It is not there.
        """
        try:
            facts = path.stat()
        except OSError as error:
            raise BadInputError(
                f"{path} cannot be read: {error.strerror}", "Name a file that is there."
            ) from error
        return cls(str(path.resolve()), facts.st_size, facts.st_mtime_ns)


@dataclass(frozen=True)
class Job:
    """What is imported; an import goes on only where all of it is the same.

    Args:
        file: Whose rows are sent.
        format: The name of the format.
        api_url: Where it goes.
        rejects: Where refused rows go, absolute; empty for nowhere.
        links: MovieLens's `links.csv`; None where the format needs none.
        reading: By which rules rows are told apart and counted.
    """

    file: InputFile
    format: str
    api_url: str
    rejects: str
    links: InputFile | None
    reading: int = READING

    @classmethod
    def of(
        cls,
        path: Path,
        format_name: str,
        api_url: str,
        rejects: Path | None,
        links: Path | None = None,
    ) -> "Job":
        """The import of a file, as it and the `links.csv` that its mapping reads are now.

        Raises:
            BadInputError: A file is not there.
        """
        where = str(rejects.resolve()) if rejects else ""
        read = InputFile.of(links) if links else None
        return cls(InputFile.of(path), format_name, api_url, where, read)


class Journal:
    """Remembers an import until it is done.

    Args:
        folder: Where journals are kept; made when there is none.
        job: What is imported.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self._job = job
        self._path = folder / f"{hashlib.sha256(job.file.path.encode()).hexdigest()[:32]}.json"
        self._rejects: BinaryIO | None = None

    @contextmanager
    def opened(self) -> Iterator[ImportResult]:
        """Go on: what an earlier run did, nothing when there was none. When the block ends well, it is forgotten.

        Raises:
            BadInputError: The file of refused rows cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        known = self._read()
        result = ImportResult(
            known.get("rows", 0),
            known.get("accepted", 0),
            known.get("refused", 0),
            Counter(known.get("reasons", {})),
        )
        try:
            self._rejects = self._open_rejects(known.get("rejects_bytes", 0))
            yield result
            self._path.unlink(missing_ok=True)
        finally:
            if self._rejects:
                self._rejects.close()

    def refuse(self, refusal: Refusal) -> None:
        """Write a refused row down: its line, the reason and what of it could be read, as one line of JSON."""
        if self._rejects:
            self._rejects.write(
                orjson.dumps(
                    {
                        "line": refusal.line,
                        "reason": refusal.reason,
                        "row": _storable(refusal.original),
                    },
                    default=str,
                    option=orjson.OPT_APPEND_NEWLINE,
                )
            )

    def settle(self, result: ImportResult) -> None:
        """Remember that all rows so far are answered for."""
        rejects_bytes = 0
        if self._rejects:
            self._rejects.flush()
            rejects_bytes = self._rejects.tell()
        state = {
            "job": asdict(self._job),
            "rows": result.rows,
            "accepted": result.accepted,
            "refused": result.refused,
            "reasons": dict(result.reasons),
            "rejects_bytes": rejects_bytes,
        }
        with whole_file(self._path) as file:
            file.write(orjson.dumps(state))

    def _read(self) -> dict[str, Any]:
        try:
            known: dict[str, Any] = orjson.loads(self._path.read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}
        rejects = Path(self._job.rejects) if self._job.rejects else None
        is_whole = rejects is None or (
            rejects.is_file() and rejects.stat().st_size >= known["rejects_bytes"]
        )
        return known if known["job"] == asdict(self._job) and is_whole else {}

    def _open_rejects(self, keep_bytes: int) -> BinaryIO | None:
        if not self._job.rejects:
            return None
        try:
            file = Path(self._job.rejects).open("r+b" if keep_bytes else "wb")  # noqa: SIM115
            file.truncate(keep_bytes)
            file.seek(keep_bytes)
        except OSError as error:
            raise BadInputError(
                f"{self._job.rejects} cannot be written: {error.strerror}",
                "Name a file with --rejects that may be written, on a disk with room.",
            ) from error
        return file


def _storable(value: Any, levels: int = _MAX_LEVELS) -> Any:
    """What JSON in UTF-8 can hold: what is no UTF-8 is written as escapes, what nests below `levels` as an ellipsis."""
    if not levels and isinstance(value, dict | list):
        value = "…"
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case bytes():
            return value.decode(errors="backslashreplace")
        case dict():
            return {
                str(_storable(name)): _storable(item, levels - 1) for name, item in value.items()
            }
        case list():
            return [_storable(item, levels - 1) for item in value]
        case int() if not -(2**63) <= value < 2**64:
            return str(value)
        case _:
            return value
