"""Where the Delta tables are, how they are made from their contracts, and the three ways to write to one."""

from collections.abc import Callable, Collection, Sequence
from functools import reduce
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.settings import Settings
from lakehouse import damage, first_commit, shape
from lakehouse.contract import SPARK_TYPES, Layer, Table, tables
from lakehouse.evolve import evolve_delta

SparkSource = Callable[[], SparkSession]
"""Makes the session, or returns the one that there is: for what may turn out not to need it."""
FEW_ROWS = 200_000
"""Up to so many keys, some 20 MB, each task gets all of them; else the table that they are looked up in is sorted."""


def table_path(settings: Settings, full_name: str) -> str:
    """The folder or URI of a table, for example `silver.ratings` under `<lake>/silver/ratings`."""
    return f"{settings.lake_uri}/{full_name.replace('.', '/')}"


def checkpoint_path(settings: Settings, full_name: str) -> str:
    """Where the streaming query that feeds a table keeps its checkpoint."""
    return f"{settings.checkpoints}/{full_name.replace('.', '/')}"


def ensure_table(spark_session: SparkSource, settings: Settings, table: Table) -> None:
    """Make the table from its contract when it is not there, or add the optional columns it lacks.

    Args:
        spark_session: Makes the session; it is not asked when the table is as its contract says.
        settings: Tells where the lake is.
        table: The table's contract.

    Raises:
        ContractRefusedError: The contract asks more of a table that is there than to add optional columns.
    """
    path = table_path(settings, table.full_name)
    found = shape.found_in_lake(path)
    if found is None and "://" not in path:
        first_commit.make(Path(path), table)
    elif found is None:
        _make(spark_session(), path, table)
    else:
        evolve_delta(spark_session, path, table, found)


def _make(spark: SparkSession, path: str, table: Table) -> None:
    """Make the table in a store of objects, where Spark knows how to write a commit that is not there yet."""
    builder = DeltaTable.createIfNotExists(spark).location(path).comment(table.purpose)
    for name, value in first_commit.properties_of(table).items():
        builder = builder.property(name, value)
    for column in table.columns:
        builder = builder.addColumn(
            column.name,
            SPARK_TYPES[column.type],
            nullable=not column.required,
            comment=column.description,
        )
    if table.cluster_by:
        builder = builder.clusterBy(*table.cluster_by)
    builder.execute()


def ensure_layer(spark_session: SparkSource, settings: Settings, layer: Layer) -> None:
    """Make every table of a layer that is not there yet, and bring the others to their contracts.

    Raises:
        ContractRefusedError: As for `ensure_table`.
    """
    for table in tables(layer):
        ensure_table(spark_session, settings, table)


def read(spark: SparkSession, settings: Settings, full_name: str) -> DataFrame:
    """The table as it is now."""
    return spark.read.format("delta").load(table_path(settings, full_name))


def read_written(spark: SparkSession, settings: Settings, table: Table) -> DataFrame:
    """As `read`; of a table that was never written to Spark knows that it is empty, and plans nothing with it."""
    found = read(spark, settings, table.full_name)
    return found.limit(0) if is_unwritten(settings, table) else found


def computed(frame: DataFrame) -> DataFrame:
    """Compute a frame once, and cut off how it came about: Spark looks through the plan of a persisted one at each use."""
    return frame.localCheckpoint()


def insert_new(spark: SparkSession, settings: Settings, table: Table, rows: DataFrame) -> None:
    """Add the rows whose key the table does not hold; running it again adds nothing.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        table: The table's contract.
        rows: New rows with the contract's columns; of several with one key one is taken.
    """
    rows = rows.dropDuplicates(table.key)
    if not is_unwritten(settings, table):
        held = read(spark, settings, table.full_name).select(*table.key)
        rows = rows.join(held, table.key, "left_anti")
    kept = rows.persist()
    try:
        if not kept.isEmpty():
            _append(settings, table, kept)
    finally:
        kept.unpersist()


def of_few(keys: DataFrame, count: int) -> DataFrame:
    """Keys to join a table with, with the hint to send them to each task when there are few.

    What Spark takes for the size of a checkpointed frame is that of the tables it was computed from.

    Args:
        keys: Keys, computed already.
        count: How many at most.
    """
    return F.broadcast(keys) if count <= FEW_ROWS else keys


def upsert(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    rows: DataFrame,
    count: int | None = None,
) -> None:
    """Insert rows with new keys and update those that differ; an equal row is not written again.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        table: The table's contract.
        rows: Rows with the contract's columns, one row a key.
        count: How many at most, when they are computed already: of few, only the rows with their keys are compared.
    """
    if is_unwritten(settings, table):
        return _append(settings, table, rows)
    current = read(spark, settings, table.full_name)
    if count is not None:
        current = current.join(of_few(rows.select(*table.key), count), table.key, "left_semi")
    return _apply(spark, settings, table, _changes(table, rows, current, "left"))


def replace(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    rows: DataFrame,
    owners: DataFrame | None,
) -> None:
    """Make the table hold exactly `rows`, of the given owners or of all, in one commit that writes only what differs.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        table: The table's contract.
        rows: The complete rows of the owners, with the contract's columns, one row a key.
        owners: Distinct values of the columns that say whose rows they are, for example `visitor_id`; others are left
            alone. None: `rows` are all of the table, and rows of it that share their key, as a mistake may have left
            them, go in a commit before.
    """
    if is_unwritten(settings, table):
        return _append(settings, table, rows)
    if owners is None:
        _drop_twins(spark, settings, table)
    current = read(spark, settings, table.full_name)
    if owners is not None:
        current = current.join(F.broadcast(owners), owners.columns, "left_semi")
    return _apply(spark, settings, table, _changes(table, rows, current, "full"))


def _drop_twins(spark: SparkSession, settings: Settings, table: Table) -> None:
    current = read(spark, settings, table.full_name)
    twins = current.groupBy(*table.key).count().where("count > 1").persist()
    try:
        if not twins.isEmpty():
            target = _target(spark, settings, table)
            target.merge(twins.alias("new"), same_key(table)).whenMatchedDelete().execute()
    finally:
        twins.unpersist()


def _changes(table: Table, rows: DataFrame, current: DataFrame, how: str) -> DataFrame:
    """What is to be inserted, updated or (in a full join) deleted: the contract's columns and `_change`."""
    new = rows.select(F.struct(*table.column_names).alias("new"))
    old = current.select(F.struct(*table.column_names).alias("old"))
    change = (
        F.when(F.col("old").isNull(), "insert")
        .when(F.col("new").isNull(), "delete")
        .when(_differs(table), "update")
    )
    return (
        new.join(old, same_key(table), how)
        .select(F.coalesce("new", "old").alias("row"), change.alias("_change"))
        .where("_change is not null")
        .select("row.*", "_change")
    )


def _apply(spark: SparkSession, settings: Settings, table: Table, changes: DataFrame) -> None:
    """Write changes in one commit, or nothing when there are none."""
    kept = changes.persist()
    try:
        # In one task, which needs no shuffle.
        found = kept.select("_change").coalesce(1).distinct().collect()
        kinds = {row["_change"] for row in found}
        if kinds == {"insert"}:
            _append(settings, table, kept)
        elif kinds:
            _merge(spark, settings, table, kept, kinds)
    finally:
        kept.unpersist()


def _merge(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    changes: DataFrame,
    kinds: Collection[str],
) -> None:
    """Write changes of which some update or delete; Delta plans each clause, so that only those are named which there are."""
    values = {name: f"new.{name}" for name in table.column_names}
    merge = _target(spark, settings, table).merge(changes.alias("new"), same_key(table))
    if "delete" in kinds:
        merge = merge.whenMatchedDelete(condition="new._change = 'delete'")
    if "update" in kinds:
        merge = merge.whenMatchedUpdate(set=values)
    if "insert" in kinds:
        merge = merge.whenNotMatchedInsert(condition="new._change = 'insert'", values=values)
    merge.execute()


def _append(settings: Settings, table: Table, rows: DataFrame) -> None:
    """Add rows that the table does not hold. Only one process writes to a table, so that none can come between."""
    path = table_path(settings, table.full_name)
    rows.select(*table.column_names).write.format("delta").mode("append").save(path)


def is_unwritten(settings: Settings, table: Table) -> bool:
    """Whether the table was made and never written to, so that there is nothing to compare with."""
    delta = damage.opened(table_path(settings, table.full_name))
    return delta is not None and bool(delta.version() == 0)


def all_of(conditions: Sequence[Column]) -> Column:
    """The conjunction of one or more conditions."""
    return reduce(lambda left, right: left & right, conditions)


def _target(spark: SparkSession, settings: Settings, table: Table) -> DeltaTable:
    return DeltaTable.forPath(spark, table_path(settings, table.full_name)).alias("old")


def same_key(table: Table) -> Column:
    """Whether a row under the alias `old` and one under `new` have one key."""
    return all_of([F.col(f"old.{name}") == F.col(f"new.{name}") for name in table.key])


def _differs(table: Table) -> Column:
    others = [name for name in table.column_names if name not in table.key]
    if not others:
        return F.lit(False)
    return ~all_of([F.col(f"old.{name}").eqNullSafe(F.col(f"new.{name}")) for name in others])
