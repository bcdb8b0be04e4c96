"""Which rows each gate looks at: the increment that the next stage would take, never the history."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from cinelake.errors import GateFailedError
from cinelake.postgres import connect
from cinelake.settings import Settings
from expectations.batches import Batch, Pieces
from expectations.frames import frame_from_arrow
from expectations.results import GateResult, render, save_results, trace_command
from lakehouse import changes, ledger, tables, watermarks
from lakehouse.changes import CHANGE_TYPE, COMMIT_VERSION
from lakehouse.contract import Column as ColumnOfContract
from lakehouse.contract import Table
from lakehouse.contract import tables as contracts
from lakehouse.publish import EVERYTHING_NEW, Scope
from lakehouse.silver import turns
from lakehouse.tables import SparkSource

Layer = Literal["bronze", "silver"]
TAKES_AWAY = ("delete", "update_preimage")
"""Changes after which the row that was there is not."""
PIECE_BYTES = 32 * 2**20
"""Rows in memory at once, in Arrow; Great Expectations makes about five times as much of them."""


@dataclass(frozen=True)
class Increment:
    """Versions of a table: those above `after`, up to and with `upto`."""

    after: int
    upto: int

    @property
    def is_empty(self) -> bool:
        """There is no such version."""
        return self.upto <= self.after


NOTHING = Increment(-1, -1)


def gate_bronze(spark_session: SparkSource, settings: Settings, run_id: str) -> GateResult:
    """Check what bronze took since its gate last passed."""
    passed = passed_versions(settings, "bronze")
    increments = {
        table.full_name: Increment(
            after=passed[table.full_name],
            upto=changes.current_version(settings, table.full_name),
        )
        for table in contracts("bronze")
    }
    return _gate_lake(spark_session, settings, "bronze", run_id, increments)


def gate_silver(
    spark_session: SparkSource, settings: Settings, run_id: str, scope: Scope = EVERYTHING_NEW
) -> GateResult:
    """Check what silver holds that PostgreSQL does not: the rows the next publication would take.

    Args:
        spark_session: Makes the session, should there be too many rows for pandas.
        settings: All of them.
        run_id: The run this belongs to.
        scope: Which rows that publication takes.
    """
    published = watermarks.read_all(settings)
    with turns.between_batches(settings):
        increments = {
            table.full_name: Increment(
                after=scope.after(published.get(table.full_name, -1)),
                upto=changes.current_version(settings, table.full_name),
            )
            for table in filter(scope.covers, contracts("silver"))
        }
    return _gate_lake(spark_session, settings, "silver", run_id, increments)


def passed_versions(settings: Settings, layer: Layer) -> dict[str, int]:
    """The lake version of each table of a layer up to which its gate has passed; -1 before the first time."""
    known = watermarks.read_all(settings)
    return {
        table.full_name: known.get(watermarks.of_gate(table.full_name), -1)
        for table in contracts(layer)
    }


def has_passed(settings: Settings, layer: Layer) -> bool:
    """Whether the gate of a layer has passed what its tables hold now."""
    return all(
        changes.current_version(settings, name) == version
        for name, version in passed_versions(settings, layer).items()
    )


def gate_gold(settings: Settings, run_id: str) -> GateResult:
    """Check `gold_next`, in PostgreSQL."""
    from expectations.gate import run_gold_gate  # noqa: PLC0415

    expected = {
        "fact_user_event": ledger.count_postgres(settings, "silver", "events", "not _deleted")
    }
    result = run_gold_gate(settings, run_id, expected)
    save_results(settings, result)
    return result


def require(result: GateResult) -> None:
    """Stop here unless the gate passed.

    Raises:
        GateFailedError: It did not; the message counts and names the rules.
    """
    if result.passed:
        return
    failures = result.failures
    named = "; ".join(f"{rule.table}: {rule.rule} {rule.column or ''}".strip() for rule in failures)
    trace = trace_command(failures)
    follow = f" `{trace}` shows where one of them comes from." if trace else ""
    raise GateFailedError(
        f"The {result.gate} gate refused the data: {len(failures)} of {len(result.rules)} rules failed ({named}).",
        "Analysts still see the last good version of gold. Mend the rows, then run `cinelake refresh` again."
        + follow,
        details=render(result),
    )


def _gate_lake(
    spark_session: SparkSource,
    settings: Settings,
    layer: Layer,
    run_id: str,
    increments: dict[str, Increment],
) -> GateResult:
    """Check the increments of tables of a layer, and note up to where they passed; of nothing new there is no rule to break."""
    if all(increment.is_empty for increment in increments.values()):
        return GateResult(layer, run_id, 0.0, ())
    # Great Expectations takes seconds to load, of which a gate with nothing to look at pays none.
    from expectations.gate import run_lake_gate  # noqa: PLC0415

    # Arrow's own pool keeps what the pieces before have left: a fifth of a gigabyte with a million events.
    pa.set_memory_pool(pa.system_memory_pool())
    with closing(_batches(spark_session, settings, layer, increments)) as batches:
        result = run_lake_gate(settings, layer, batches, run_id)
    save_results(settings, result)
    if result.passed:
        with connect(settings, "loader") as connection:
            for name, increment in increments.items():
                watermarks.write(connection, watermarks.of_gate(name), increment.upto)
    return result


def _batches(
    spark_session: SparkSource, settings: Settings, layer: Layer, increments: dict[str, Increment]
) -> Generator[Batch, None, None]:
    """The rows of each table, which are let go when the next one's are asked for."""
    for table in contracts(layer):
        increment = increments.get(table.full_name, NOTHING)
        if increment.is_empty:
            continue
        rows = _rows(spark_session, settings, table, increment)
        if isinstance(rows, DataFrame):
            rows.persist()
        yield Batch(table, rows)
        if isinstance(rows, DataFrame):
            rows.unpersist()
        del rows


def _rows(
    spark_session: SparkSource, settings: Settings, table: Table, increment: Increment
) -> pd.DataFrame | DataFrame | Pieces:
    """The rows as they are now whose key changed in the increment.

    A row is there still unless a later version took a row of its key away. An append takes none away, so that a batch
    that was appended twice stands here twice, and the gate can see it.

    Returns:
        A frame of pandas when they are few, pieces when they are more, a frame of Spark when even their keys are many.
    """
    read = partial(changes.read_changes, settings, table.full_name, increment.after, increment.upto)
    whole = _at_most(settings.gate_pandas_rows, read(table.column_names))
    if whole is not None:
        gone = _taken_away([whole], table)
        return frame_from_arrow(_still_there(whole, table, gone).select(table.column_names))
    counted = 0
    taking: list[pa.Table] = []
    for batch in read(table.key):
        counted += batch.num_rows
        if counted > settings.gate_pandas_rows:
            return _spark_increment(spark_session(), settings, table, increment)
        taking.append(_that_take_away(pa.Table.from_batches([batch])))
    gone = _taken_away(taking, table)

    def read_pieces(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        def frame_of(piece: pa.Table) -> pd.DataFrame:
            return frame_from_arrow(_still_there(piece, table, gone).select(columns))

        # A loop would hold on to each piece until it has the next.
        return map(frame_of, _cut(read([*dict.fromkeys([*table.key, *columns])])))

    return Pieces(read_pieces)


def _at_most(limit: int, reader: pa.RecordBatchReader) -> pa.Table | None:
    """The rows of a reader, or None as soon as they are more than that, or than a piece."""
    rows, size = 0, 0
    batches = []
    for batch in reader:
        rows += batch.num_rows
        size += batch.nbytes
        if rows > limit or size > PIECE_BYTES:
            return None
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _cut(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The rows of a reader in pieces, at least one, of which it holds none while the next is asked for."""
    batches: list[pa.RecordBatch] = []
    size = 0
    for batch in reader:
        if batches and size + batch.nbytes > PIECE_BYTES:
            yield _put_together(batches, reader.schema)
            size = 0
        batches.append(batch)
        size += batch.nbytes
    yield _put_together(batches, reader.schema)


def _put_together(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The rows of batches, which leave their list."""
    rows = pa.Table.from_batches(batches, schema)
    batches.clear()
    return rows


def _that_take_away(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.is_in(rows[CHANGE_TYPE], pa.array(TAKES_AWAY)))


def _taken_away(rows: Sequence[pa.Table], table: Table) -> pd.DataFrame:
    """The keys of which rows were taken away, each with the last version that did, as `_taken_in`."""
    taking = pa.concat_tables(map(_that_take_away, rows)).select([*table.key, COMMIT_VERSION])
    frame = frame_from_arrow(taking).rename(columns={COMMIT_VERSION: "_taken_in"})
    return frame.groupby(table.key, dropna=False, as_index=False).max()


def _still_there(rows: pa.Table, table: Table, gone: pd.DataFrame) -> pa.Table:
    """The rows that no later version took away. Of those that were, only the key is looked at."""
    if gone.empty:
        return rows
    left = rows.filter(pc.invert(pc.is_in(rows[CHANGE_TYPE], pa.array(TAKES_AWAY))))
    keys = frame_from_arrow(left.select([*table.key, COMMIT_VERSION]))
    when = keys.merge(gone, how="left", on=table.key)
    return left.filter(pa.array(~(when[COMMIT_VERSION] < when["_taken_in"])))


def _spark_increment(
    spark: SparkSession, settings: Settings, table: Table, increment: Increment
) -> DataFrame:
    path = tables.table_path(settings, table.full_name)
    after, upto = increment.after, increment.upto
    if after < 0:
        now = spark.read.format("delta").option("versionAsOf", upto).load(path)
        return now.select(*map(_nameable, table.columns))
    feed = (
        spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", after + 1)
        .option("endingVersion", upto)
        .load(path)
    )
    takes_away = F.col(CHANGE_TYPE).isin(*TAKES_AWAY)
    last = F.max(F.when(takes_away, F.col(COMMIT_VERSION))).over(Window.partitionBy(*table.key))
    return (
        feed.withColumn("_last", last)
        .where(~takes_away & (F.col("_last").isNull() | (F.col(COMMIT_VERSION) >= F.col("_last"))))
        .select(*map(_nameable, table.columns))
    )


def _nameable(column: ColumnOfContract) -> Column:
    """The same as `changes.nameable`, in Spark."""
    edges = {"date": (date.min, date.max), "timestamp": (datetime.min, datetime.max)}
    if column.type not in edges:
        return F.col(column.name)
    first, last = (F.lit(edge.isoformat()).cast(column.type) for edge in edges[column.type])
    kept = F.greatest(F.least(F.col(column.name), last), first)
    return F.when(F.col(column.name).isNotNull(), kept).alias(column.name)
