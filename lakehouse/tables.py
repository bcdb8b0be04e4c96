"""Where the Delta tables are, how they are made from their contracts, and the three ways to write to one."""

from collections.abc import Sequence
from functools import reduce

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.settings import Settings
from lakehouse.contract import SPARK_TYPES, Table, tables


def table_path(settings: Settings, full_name: str) -> str:
    """The folder or URI of a table, for example `silver.ratings` under `<lake>/silver/ratings`."""
    return f"{settings.lake_uri}/{full_name.replace('.', '/')}"


def checkpoint_path(settings: Settings, full_name: str) -> str:
    """Where the streaming query that feeds a table keeps its checkpoint."""
    return f"{settings.checkpoints}/{full_name.replace('.', '/')}"


def ensure_table(spark: SparkSession, settings: Settings, table: Table) -> DeltaTable:
    """Make the table from its contract when it is not there, with change data feed and deletion vectors."""
    builder = (
        DeltaTable.createIfNotExists(spark)
        .location(table_path(settings, table.full_name))
        .comment(table.purpose)
        .property("delta.enableChangeDataFeed", "true")
        .property("delta.enableDeletionVectors", "true")
    )
    for column in table.columns:
        builder = builder.addColumn(
            column.name,
            SPARK_TYPES[column.type],
            nullable=not column.required,
            comment=column.description,
        )
    if table.cluster_by:
        builder = builder.clusterBy(*table.cluster_by)
    return builder.execute()


def ensure_layer(spark: SparkSession, settings: Settings, layer: str) -> None:
    """Make every table of a layer (`bronze` or `silver`) that is not there yet."""
    for table in tables(layer):
        path = table_path(settings, table.full_name)
        if not DeltaTable.isDeltaTable(spark, path):
            ensure_table(spark, settings, table)


def read(spark: SparkSession, settings: Settings, full_name: str) -> DataFrame:
    """The table as it is now."""
    return spark.read.format("delta").load(table_path(settings, full_name))


def insert_new(spark: SparkSession, settings: Settings, table: Table, rows: DataFrame) -> None:
    """Add the rows whose key the table does not hold; running it again adds nothing.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        table: The table's contract.
        rows: New rows with the contract's columns, one row a key.
    """
    (
        _target(spark, settings, table)
        .merge(rows.select(*table.column_names).alias("new"), _same_key(table))
        .whenNotMatchedInsertAll()
        .execute()
    )


def upsert(spark: SparkSession, settings: Settings, table: Table, rows: DataFrame) -> None:
    """Insert rows with new keys and update those that differ; an equal row is not written again.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        table: The table's contract.
        rows: Rows with the contract's columns, one row a key.
    """
    (
        _target(spark, settings, table)
        .merge(rows.select(*table.column_names).alias("new"), _same_key(table))
        .whenMatchedUpdateAll(condition=_differs(table))
        .whenNotMatchedInsertAll()
        .execute()
    )


def replace_for(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    rows: DataFrame,
    owners: DataFrame,
) -> None:
    """Make the table hold exactly `rows` for the given owners, in one commit; others are left alone.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        table: The table's contract.
        rows: The complete rows of the owners, with the contract's columns.
        owners: Distinct values of the columns that say whose rows they are, for example `visitor_id`.
    """
    current = read(spark, settings, table.full_name).join(
        F.broadcast(owners), owners.columns, "left_semi"
    )
    gone = current.join(rows.select(*table.key), table.key, "left_anti")
    changes = rows.select(*table.column_names, F.lit(False).alias("_gone")).unionByName(
        gone.select(*table.column_names, F.lit(True).alias("_gone"))
    )
    values = {name: f"new.{name}" for name in table.column_names}
    (
        _target(spark, settings, table)
        .merge(changes.alias("new"), _same_key(table))
        .whenMatchedDelete(condition="new._gone")
        .whenMatchedUpdate(condition=_differs(table), set=values)
        .whenNotMatchedInsert(condition="not new._gone", values=values)
        .execute()
    )


def all_of(conditions: Sequence[Column]) -> Column:
    """The conjunction of one or more conditions."""
    return reduce(lambda left, right: left & right, conditions)


def _target(spark: SparkSession, settings: Settings, table: Table) -> DeltaTable:
    return DeltaTable.forPath(spark, table_path(settings, table.full_name)).alias("old")


def _same_key(table: Table) -> Column:
    return all_of([F.col(f"old.{name}") == F.col(f"new.{name}") for name in table.key])


def _differs(table: Table) -> Column:
    others = [name for name in table.column_names if name not in table.key]
    if not others:
        return F.lit(False)
    return ~all_of([F.col(f"old.{name}").eqNullSafe(F.col(f"new.{name}")) for name in others])
