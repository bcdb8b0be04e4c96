"""Silver to PostgreSQL: only the rows that changed, in one transaction with the watermark.

Each table's change data feed since its watermark is copied into a temporary table, reduced to the last change of each
key, and merged. A row that silver no longer holds stays as a tombstone (`_deleted`), so that incremental
models downstream can see it go.
"""

import io
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from cinelake.errors import GateFailedError, ServiceError
from cinelake.log import get_logger
from cinelake.postgres import connect, making_tables
from cinelake.settings import Settings
from lakehouse import changes, shape, watermarks
from lakehouse.checkpoints import FIRST_FED
from lakehouse.contract import Table, tables
from lakehouse.evolve import evolve_limits, evolve_postgres, limits_held
from lakehouse.silver import rules

log = get_logger("publish")


@dataclass(frozen=True)
class Published:
    """What happened to one table.

    Args:
        table: Its full name.
        changes: Rows read from the change data feed.
        merged: Rows inserted, updated or marked deleted in PostgreSQL.
        lake_version: The Delta version PostgreSQL now stands at.
    """

    table: str
    changes: int
    merged: int
    lake_version: int


def ensure_tables(settings: Settings) -> None:
    """Make the silver tables in PostgreSQL where they are missing, and add columns and limits that lack.

    Raises:
        ContractRefusedError: A contract asks more of a table that is there than to add optional columns.
        ServiceError: PostgreSQL cannot be reached, or somebody else held a table for too long.
    """
    with connect(settings, "loader") as connection, making_tables(connection):
        found = shape.found_in_postgres(connection)
        limits = limits_held(connection)
        for table in tables("silver"):
            if table.name in found:
                evolve_postgres(connection, table, found[table.name])
                evolve_limits(connection, table, limits.get(table.name, ()))
            for statement in table.postgres_ddl():
                connection.execute(statement.encode())


@dataclass(frozen=True)
class Scope:
    """Which rows a publication takes: by default those of every table that changed since the last one.

    Args:
        full: Every row anew; those that silver no longer holds are marked deleted.
        tables: Only these tables, by their full names; empty for all.
        from_version: Also what changed in this lake version and later, though it was published before.
    """

    full: bool = False
    tables: Collection[str] = ()
    from_version: int | None = None

    def covers(self, table: Table) -> bool:
        """Whether the table is among those to take."""
        return not self.tables or table.full_name in self.tables

    def after(self, watermark: int) -> int:
        """The last lake version that is not taken, given the one that was dealt with last."""
        if self.full:
            return -1
        if self.from_version is None:
            return watermark
        # Never above the watermark: what lies between would be left out for ever.
        return min(watermark, self.from_version - 1)


EVERYTHING_NEW = Scope()


def publish(
    settings: Settings,
    progress: Callable[[int], None] | None = None,
    scope: Scope = EVERYTHING_NEW,
    upto: Mapping[str, int] | None = None,
) -> list[Published]:
    """Bring silver's tables in PostgreSQL up to date with the lake.

    Args:
        settings: Tells where the lake and PostgreSQL are.
        progress: Called with 1 after each table.
        scope: Which rows to take.
        upto: The lake version of each table up to which its gate has passed; None for the newest of each.

    Returns:
        What happened, a row a table.

    Raises:
        ServiceError: PostgreSQL cannot be reached, or the change data feed does not reach back far enough.
        ContractRefusedError: As for `ensure_tables`.
    """
    ensure_tables(settings)
    done = []
    for table in filter(scope.covers, tables("silver")):
        gated = None if upto is None else upto.get(table.full_name, -1)
        result = publish_table(settings, table, scope, gated)
        log.info("published", **result.__dict__)
        done.append(result)
        if progress:
            progress(1)
    _note_rules(settings)
    return done


def _note_rules(settings: Settings) -> None:
    """Note by which rules silver was made, and so also when a rebuild was published."""
    made_by = min(
        int(changes.property_of(settings, name, rules.PROPERTY) or rules.UNKNOWN)
        for name in FIRST_FED.values()
    )
    if watermarks.read(settings, watermarks.SILVER_RULES) != made_by:
        with connect(settings, "loader") as connection:
            watermarks.write(connection, watermarks.SILVER_RULES, made_by)


def publish_table(
    settings: Settings, table: Table, scope: Scope = EVERYTHING_NEW, upto: int | None = None
) -> Published:
    """Bring one table up to date; run twice, the second finds nothing to do.

    Args:
        settings: Tells where the lake and PostgreSQL are.
        table: The table's contract.
        scope: Which rows to take.
        upto: The last lake version to take; None for the newest.

    Raises:
        ServiceError: The table is behind what was published of it, so that it was made anew; or as for `publish`.
        GateFailedError: A row is beyond the limits of the contract; nothing of the table was published.
    """
    with connect(settings, "loader") as connection, _limits_named(table):
        watermark = watermarks.lock(connection, table.full_name)
        newest = changes.current_version(settings, table.full_name)
        if newest < watermark and not scope.full:
            raise ServiceError(
                f"{table.full_name} is at version {newest}, and PostgreSQL has its version {watermark}: it was made anew.",
                "Bring its folder back from a backup of the lake; or if silver was built anew on purpose, run"
                " `cinelake publish --full`.",
            )
        if upto is not None:
            newest = min(newest, upto)
        after = scope.after(watermark)
        # What PostgreSQL has of later versions must not be overwritten with an earlier state.
        if newest <= after or (newest < watermark and not scope.full):
            return Published(table.full_name, 0, 0, watermark)
        copied = _copy_changes(connection, settings, table, after, newest)
        merged = connection.execute(_merge_statement(table)).rowcount if copied else 0
        if scope.full:
            merged += connection.execute(_bury_statement(table), [newest]).rowcount
        watermarks.write(connection, table.full_name, newest)
    return Published(table.full_name, copied, merged, newest)


@contextmanager
def _limits_named(table: Table) -> Iterator[None]:
    """Name the limit that a row broke; its gate would have, had it been asked."""
    try:
        yield
    except psycopg.errors.CheckViolation as error:
        rule = table.postgres_limits.get(error.diag.constraint_name or "", "")
        raise GateFailedError(
            f"A row of {table.full_name} is beyond the limits of its contract {table.version}: {rule}.",
            "`cinelake gates check silver` names the rows. Mend what they were made from, then run `cinelake refresh`.",
        ) from error


def _copy_changes(
    connection: psycopg.Connection, settings: Settings, table: Table, after: int, upto: int
) -> int:
    """COPY the changes into the temporary table `changes`; returns how many rows."""
    names = [column.name for column in table.published_columns]
    columns = ", ".join(f"{c.name} {c.postgres_type}" for c in table.published_columns)
    connection.execute(
        f"create temporary table changes ({columns}, _change_type text, _lake_version bigint) on commit drop".encode()
    )
    listed = ", ".join([*names, "_change_type", "_lake_version"])
    rows = 0
    statement = f"copy changes ({listed}) from stdin with (format csv)".encode()
    with connection.cursor().copy(statement) as copy:
        for batch in changes.read_changes(settings, table.full_name, after, upto, names):
            kept = _without_preimages(batch, names)
            if kept.num_rows:
                copy.write(_as_csv(kept))
                rows += kept.num_rows
    return rows


def _without_preimages(batch: pa.RecordBatch, names: list[str]) -> pa.Table:
    whole = pa.Table.from_batches([batch]).select(
        [*names, changes.CHANGE_TYPE, changes.COMMIT_VERSION]
    )
    kept = whole.filter(pa.compute.not_equal(whole[changes.CHANGE_TYPE], "update_preimage"))
    # A row that a later one of the same key replaces may hold what PostgreSQL does not read.
    return pa.table({name: changes.nameable(kept[name]) for name in kept.column_names})


def _as_csv(rows: pa.Table) -> bytes:
    """CSV as PostgreSQL reads it: text quoted, null as an empty field without quotes."""
    out = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    pyarrow.csv.write_csv(rows, out, options)
    return out.getvalue()


def _same_key(table: Table) -> str:
    return " and ".join(f"old.{name} = new.{name}" for name in table.key)


def _bury_statement(table: Table) -> bytes:
    """Marks the rows that are not among `changes`, which hold all of silver."""
    return f"""
        update {table.full_name} as old set _deleted = true, _lake_version = %s
        where not _deleted and not exists (select from changes as new where {_same_key(table)})
    """.encode()


def _merge_statement(table: Table) -> bytes:
    names = [column.name for column in table.published_columns]
    keys = ", ".join(table.key)
    updates = ", ".join(f"{name} = new.{name}" for name in names if name not in table.key)
    also = f"{updates}, " if updates else ""
    values = ", ".join(f"new.{name}" for name in names)
    # A key that was deleted and inserted in one version is there, so a deletion sorts first and loses.
    return f"""
        merge into {table.full_name} as old
        using (
            select distinct on ({keys}) *
            from changes
            order by {keys}, _lake_version desc, (_change_type = 'delete')
        ) as new on {_same_key(table)}
        when matched and new._change_type = 'delete' then
            update set _deleted = true, _lake_version = new._lake_version
        when matched then
            update set {also}_deleted = false, _lake_version = new._lake_version
        when not matched and new._change_type <> 'delete' then
            insert ({", ".join(names)}, _lake_version, _deleted)
            values ({values}, new._lake_version, false)
    """.encode()
