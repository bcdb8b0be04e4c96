"""A table of the lake as it was at a version or a time, read without Spark."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from cinelake.errors import BadInputError, ServiceError
from cinelake.settings import Settings
from ingestion.events import iso_utc
from lakehouse import changes, damage
from lakehouse.contract import tables
from lakehouse.tables import table_path


@dataclass(frozen=True)
class Moment:
    """A version of a table.

    Args:
        version: Its number.
        committed_at: When it was committed, UTC.
    """

    version: int
    committed_at: datetime


@dataclass(frozen=True)
class Selection:
    """Which rows and columns are wanted.

    Args:
        where: A condition in DataFusion's SQL; None for every row.
        columns: Names in the order wanted; None for all.
        limit: The most rows; None for no limit.
    """

    where: str | None = None
    columns: Sequence[str] | None = None
    limit: int | None = None


def require_table(full_name: str) -> None:
    """Make sure that the lake has a table of that name.

    Args:
        full_name: For example `silver.events`.

    Raises:
        BadInputError: It has none.
    """
    known = [each.full_name for layer in ("bronze", "silver") for each in tables(layer)]
    layer, _, name = full_name.partition(".")
    if layer == "gold":
        source = f"silver.{name}" if f"silver.{name}" in known else "silver.events"
        raise BadInputError(
            f"{full_name} is in PostgreSQL, which keeps no versions of a table.",
            f"The lake keeps those of what gold is made of: `cinelake as-of {source}`."
            " `cinelake gold rollback` shows the gold of before the last swap, `cinelake sql` the gold of now.",
        )
    if full_name not in known:
        raise BadInputError(
            f"There is no table {full_name!r} in the lake.", f"Known are {', '.join(known)}."
        )


def find_version(
    settings: Settings, full_name: str, version: int | None = None, at: datetime | None = None
) -> Moment:
    """The version that was asked for, or the one that was current at a time.

    Args:
        settings: Tells where the lake is.
        full_name: For example `silver.events`.
        version: Its number.
        at: A time, with its zone. Used when there is no number.

    Raises:
        BadInputError: There is no such table in the lake, or it had no such version, or none then.
        ServiceError: No refresh has made the table yet.
    """
    require_table(full_name)
    delta = changes.open_table(settings, full_name)
    if delta is None:
        raise ServiceError(f"{full_name} does not exist yet.", "Run `cinelake refresh`.")
    with damage.reading(table_path(settings, full_name)):
        history = [_moment(entry) for entry in delta.history()]
    newest, oldest = history[0], history[-1]
    span = (
        f"The log has versions {oldest.version} ({iso_utc(oldest.committed_at)})"
        f" to {newest.version} ({iso_utc(newest.committed_at)})."
    )
    if version is not None:
        found = next((each for each in history if each.version == version), None)
        wanted = f"version {version}"
    else:
        assert at is not None
        found = next((each for each in history if each.committed_at <= at), None)
        wanted = f"version at {iso_utc(at)}"
    if found is None:
        raise BadInputError(f"{full_name} has no {wanted}.", span)
    return found


def _moment(entry: dict[str, Any]) -> Moment:
    return Moment(entry["version"], datetime.fromtimestamp(entry["timestamp"] / 1000, UTC))


def read_as_of(settings: Settings, full_name: str, version: int, selection: Selection) -> pa.Table:
    """Rows of a version.

    Args:
        settings: Tells where the lake is.
        full_name: For example `silver.events`.
        version: As `find_version` gives it.
        selection: Which rows and columns.

    Raises:
        BadInputError: The condition cannot be evaluated, or there is no such column.
        DamagedDataError: A file of the table is missing or damaged.
        ServiceError: Files of the version were vacuumed.
    """
    path = table_path(settings, full_name)
    try:
        with damage.reading(path):
            delta = DeltaTable(path, version=version)
            query = _query(full_name, selection, [field.name for field in delta.schema().fields])
            reader = QueryBuilder().register("t", delta).execute(query)
            return changes.without_views(pa.RecordBatchReader.from_stream(reader)).read_all()
    except (DeltaError, OSError, pa.ArrowException) as error:
        if _is_about_a_file(error):
            raise ServiceError(
                f"{full_name} can no longer be read as of version {version}: its files were vacuumed.",
                "`cinelake maintain --dry-run` shows for how long they are kept; take a later version.",
            ) from error
        raise BadInputError(
            f"The condition {selection.where!r} cannot be evaluated: {error}",
            'Write it like the one of a query, for example --where "movie_id = 862".',
        ) from error


def _query(full_name: str, selection: Selection, existing: list[str]) -> str:
    wanted = list(selection.columns or existing)
    if unknown := [name for name in wanted if name not in existing]:
        raise BadInputError(
            f"{full_name} has no column {', '.join(unknown)}.", f"It has {', '.join(existing)}."
        )
    # Quoted, as `offset` is a word of SQL.
    columns = ", ".join(f'"{name}"' for name in wanted)
    limit = "" if selection.limit is None else f" limit {selection.limit}"
    return f"select {columns} from t where {selection.where or 'true'}{limit}"


def _is_about_a_file(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or "Object at location" in str(error)
