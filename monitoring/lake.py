"""Metrics of the lake's tables, from Delta's logs: versions, commits, freshness and quarantine."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Generic, TypeVar

from cinelake.settings import Settings
from lakehouse import changes, delta_log, freshness
from lakehouse.contract import Table, tables
from monitoring.families import Family, gauge

SECONDS_AN_HOUR = 3600
T = TypeVar("T")


class ByVersion(Generic[T]):
    """Asks something of a table anew only when the table has another version than when it was asked last.

    Args:
        ask: The question, given the settings and the table's full name.
    """

    def __init__(self, ask: Callable[[Settings, str], T]) -> None:
        self._ask = ask
        self._known: dict[str, tuple[int, T]] = {}

    def __call__(self, settings: Settings, full_name: str, version: int) -> T:
        """The answer of that version of the table."""
        known = self._known.get(full_name)
        if known is None or known[0] != version:
            known = self._known[full_name] = (version, self._ask(settings, full_name))
        return known[1]


def _held(settings: Settings, full_name: str) -> dict[tuple[str, str], int]:
    found = changes.query(
        settings,
        full_name,
        "select kafka_topic as topic, rule, count(*) as rows from t group by 1, 2",
    )
    return {(row["topic"], row["rule"]): row["rows"] for row in found.to_pylist()}


_newest_row = ByVersion(freshness.newest_row)
_quarantine = ByVersion(_held)


def lake(settings: Settings) -> Iterator[Family]:
    """Versions, last commits and freshness of the tables that are there, and what is in quarantine."""
    versions = {
        table: version
        for layer in ("bronze", "silver")
        for table in tables(layer)
        if (version := changes.current_version(settings, table.full_name)) >= 0
    }
    yield gauge(
        "cinelake_table_version",
        "Delta version of a table.",
        ("table",),
        (((table.full_name,), version) for table, version in versions.items()),
    )
    yield gauge(
        "cinelake_table_commit_timestamp_seconds",
        "When the newest version of a table was committed.",
        ("table",),
        (
            ((table.full_name,), commit.committed_at.timestamp())
            for table, version in versions.items()
            if (commit := delta_log.read_commit(settings, table.full_name, version))
        ),
    )
    yield from _freshness(settings, versions)
    held = next(
        (
            _quarantine(settings, table.full_name, version)
            for table, version in versions.items()
            if table.full_name == "silver.quarantine"
        ),
        {},
    )
    yield gauge(
        "cinelake_quarantine_rows",
        "Messages in quarantine.",
        ("topic", "rule"),
        ((place, rows) for place, rows in held.items()),
    )


def _freshness(settings: Settings, versions: dict[Table, int]) -> Iterator[Family]:
    promised = {table: hours for table in versions if (hours := table.freshness_hours) is not None}
    now = datetime.now(UTC)
    yield gauge(
        "cinelake_table_freshness_seconds",
        "Age of a table's newest row, by the column that its contract names.",
        ("table",),
        (
            ((table.full_name,), (now - newest).total_seconds())
            for table in promised
            if (newest := _newest_row(settings, table.full_name, versions[table]))
        ),
    )
    yield gauge(
        "cinelake_table_freshness_limit_seconds",
        "How old a table's newest row may be, by its contract.",
        ("table",),
        (((table.full_name,), hours * SECONDS_AN_HOUR) for table, hours in promised.items()),
    )
