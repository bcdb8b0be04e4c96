"""The data sources of the project of Great Expectations, each written once with all of its tables.

To add a table to a source writes the whole project anew, which for all tables together takes as long as to check them.
"""

from collections.abc import Callable
from typing import cast

import pandas as pd
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context.data_context.file_data_context import FileDataContext
from great_expectations.datasource.fluent import (
    Datasource,
    PandasDatasource,
    PostgresDatasource,
    SparkDatasource,
)
from great_expectations.datasource.fluent.interfaces import TestConnectionError
from great_expectations.datasource.fluent.sql_datasource import TableAsset
from pyspark.sql import DataFrame

from cinelake.errors import GateFailedError
from expectations.batches import Pieces
from expectations.engine import ColumnEngine
from expectations.gold import GOLD_TABLES, SCHEMA, GoldTable
from expectations.project import POSTGRES_VARIABLE
from lakehouse.contract import Table, tables


def lake_batch(
    context: FileDataContext, table: Table, frame: pd.DataFrame | DataFrame | Pieces
) -> BatchDefinition:
    """Rows of a table of the lake that are in memory.

    Args:
        context: The project.
        table: The table.
        frame: The rows, which are given anew to each run; their type says which engine checks them.

    Returns:
        What the project calls them.
    """
    # One source for each engine, as a source cannot change its engine, and a table's batches may.
    kind = SparkDatasource if isinstance(frame, DataFrame) else PandasDatasource
    # Not a class of our own, whose name in the project's files nobody else's Great Expectations would know.
    PandasDatasource.execution_engine_override = ColumnEngine

    def make() -> Datasource:
        source = kind(name=kind.__name__)
        contracts = (*tables("bronze"), *tables("silver"))
        for name in sorted({table.full_name, *(contract.full_name for contract in contracts)}):
            source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        return source

    return _all_rows(context, kind.__name__, table.full_name, make)


def forget_rows(data: BatchDefinition) -> None:
    """Let go of the rows that were checked last: the engine of a data source, which serves all tables, keeps them."""
    known = data.data_asset.datasource.get_execution_engine().batch_manager
    known.batch_data_cache.clear()
    known.batch_cache.clear()


def gold_batch(context: FileDataContext, gold: GoldTable) -> BatchDefinition:
    """The rows of a table of `gold_next`, where they are.

    Args:
        context: The project, whose variables hold the address of PostgreSQL.
        gold: The table.

    Returns:
        What the project calls them.

    Raises:
        GateFailedError: The table is not there.
    """
    rows = _all_rows(context, SCHEMA, gold.full_name, _gold_source)
    try:
        rows.data_asset.test_connection()
    except TestConnectionError as error:
        raise GateFailedError(
            f"The gold gate found no table {SCHEMA}.{gold.name}.",
            "Run `cinelake gold`, which builds it first; analysts still see the last good version.",
        ) from error
    return rows


def _gold_source() -> PostgresDatasource:
    source = PostgresDatasource(
        name=SCHEMA,
        connection_string=f"${{{POSTGRES_VARIABLE}}}",
        create_temp_table=False,
        assets=[
            TableAsset(name=gold.full_name, table_name=gold.name, schema_name=SCHEMA)
            for gold in GOLD_TABLES
        ],
    )
    for gold in GOLD_TABLES:
        source.get_asset(gold.full_name).add_batch_definition_whole_table(gold.full_name)
    return source


def _all_rows(
    context: FileDataContext, source: str, table: str, make: Callable[[], Datasource]
) -> BatchDefinition:
    """What the project calls the rows of a table; where it does not know them, it is given their source anew."""
    try:
        known = context.data_sources.get(source).get_asset(table).get_batch_definition(table)
    except LookupError:
        known = context.update_datasource(make()).get_asset(table).get_batch_definition(table)
    return cast(BatchDefinition, known)
