"""Where rows of silver stand: in the lake, in PostgreSQL and in gold. What `lakehouse.trace` shows hop by hop."""

from dataclasses import dataclass, field
from typing import Any

from psycopg import errors
from psycopg.rows import dict_row

from cinelake.postgres import connect
from cinelake.settings import Settings
from lakehouse import changes, delta_log, watermarks
from lakehouse.contract import table

Facts = dict[str, Any]


@dataclass(frozen=True)
class Hop:
    """Where something stands.

    Args:
        name: For example `bronze`.
        facts: What is known of it there.
    """

    name: str
    facts: Facts = field(default_factory=dict)


def rows_of(
    settings: Settings, full_name: str, columns: list[str], where: str, order: str = ""
) -> list[Facts]:
    """Rows of a table of the lake by its key, or by `order`; none where the table is not there."""
    if changes.open_table(settings, full_name) is None:
        return []
    order_by = order or ", ".join(table(full_name).key)
    statement = f"select {', '.join(columns)} from t where {where} order by {order_by}"
    return changes.python_rows(changes.query(settings, full_name, statement))


def pick(row: Facts, names: list[str]) -> Facts:
    """Some facts of a row."""
    return {name: row[name] for name in names}


def version_of(commit: delta_log.Commit) -> Facts:
    """What a hop tells of a commit."""
    return {"delta_version": commit.version, "committed_at": commit.committed_at}


def last_changed(settings: Settings, full_name: str, key: Facts) -> Facts:
    """The version of a silver table in which a row last changed: PostgreSQL knows, or it is still to be published."""
    known = watermarks.read(settings, full_name)
    newest = changes.current_version(settings, full_name)
    version = None
    if newest > max(known, 0):
        names = list(key)
        for batch in changes.read_changes(settings, full_name, max(known, 0), newest, names):
            rows = changes.python_rows(batch)
            versions = [row[changes.COMMIT_VERSION] for row in rows if pick(row, names) == key]
            version = max([*versions, version or 0]) or None
    if version is None:
        row = _ask(settings, *_row_of(full_name, key))
        version = row[0]["_lake_version"] if row else None
    commit = None if version is None else delta_log.read_commit(settings, full_name, version)
    return version_of(commit) if commit else {"delta_version": version, "committed_at": None}


def _row_of(full_name: str, key: Facts) -> tuple[str, list[Any]]:
    """The query of a published row's state, and its parameters."""
    types = {column.name: column.postgres_type for column in table(full_name).columns}
    where = " and ".join(f"{name} = %s::{types[name]}" for name in key)
    return f"select _lake_version, _deleted from {full_name} where {where}", list(key.values())


def published(settings: Settings, full_name: str, key: Facts) -> list[Hop]:
    """The row of a key in PostgreSQL, and up to where its table was published; none where it never was."""
    rows = _ask(settings, *_row_of(full_name, key))
    marks = _ask(
        settings,
        "select lake_version, loaded_at from ops.watermarks where table_name = %s",
        [full_name],
    )
    mark = marks[0] if marks else {"lake_version": None, "loaded_at": None}
    return [
        Hop(
            "postgres",
            {
                "table": full_name,
                "lake_version": row["_lake_version"],
                "is_deleted": row["_deleted"],
                "watermark": mark["lake_version"],
                "loaded_at": mark["loaded_at"],
            },
        )
        for row in rows
    ]


def gold(settings: Settings, name: str, query: str, *values: Any) -> list[Hop]:
    """What a query finds in a table of gold, a hop a row; none where gold was not built."""
    return [Hop("gold", {"table": name, **row}) for row in _ask(settings, query, list(values))]


def _ask(settings: Settings, query: str, values: list[Any]) -> list[Facts]:
    """Rows of a query; none where the table is not there yet."""
    try:
        with connect(settings, "transformer") as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return cursor.execute(query.encode(), values).fetchall()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return []
