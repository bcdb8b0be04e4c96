"""Who still reads which version of a table: what maintenance must not take away.

A silver table is read by the publication, a bronze table by its gate and by the query that feeds silver. Each keeps how
far it has come, the first two in `ops.watermarks`, the last in its Spark checkpoint.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from cinelake.settings import Settings
from lakehouse import changes, checkpoints, delta_log, watermarks
from lakehouse.contract import Table


@dataclass(frozen=True)
class Unread:
    """The oldest version that some reader has still to read.

    Args:
        version: Its number.
        since: When it was committed, UTC.
        reader: Who has not read it.
    """

    version: int
    since: datetime
    reader: str

    def age_hours(self, now: datetime) -> float:
        """How long it has been there."""
        return (now - self.since).total_seconds() / 3600


def oldest_unread(settings: Settings, table: Table) -> Unread | None:
    """The oldest version with changed rows that is still to be read; None when everyone is up to date.

    One who has never read the table begins with all rows of its newest version, and so needs no older one.

    Args:
        settings: Tells where the lake and PostgreSQL are.
        table: The table's contract.

    Raises:
        ServiceError: PostgreSQL, which keeps the watermarks, cannot be reached.
    """
    newest = changes.current_version(settings, table.full_name)
    unread = [
        found
        for reader, known in _progress(settings, table).items()
        if known >= 0 and (found := _first_with_rows(settings, table, known + 1, newest, reader))
    ]
    return min(unread, key=lambda each: each.version, default=None)


def _progress(settings: Settings, table: Table) -> dict[str, int]:
    """The last version that each reader has dealt with; -1 for one that has never read."""
    if table.layer == "silver":
        return {"cinelake publish": watermarks.read(settings, table.full_name)}
    return {
        "the bronze gate": watermarks.read(settings, watermarks.of_gate(table.full_name)),
        "cinelake silver": streamed_version(settings, table.full_name),
    }


def _first_with_rows(
    settings: Settings, table: Table, first: int, newest: int, reader: str
) -> Unread | None:
    for commit in delta_log.commits_from(settings, table.full_name, first, newest):
        if commit.changes_rows:
            return Unread(commit.version, commit.committed_at, reader)
    return None


def streamed_version(settings: Settings, source: str) -> int:
    """The last version of a bronze table that silver has wholly taken in; -1 when it has taken none.

    Args:
        settings: Tells where the lake is.
        source: For example `bronze.user_logs`.
    """
    offset = checkpoints.offsets(settings, f"silver.{source}")
    return int(offset["reservoirVersion"]) - 1 if offset else -1


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)
