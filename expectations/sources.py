"""The data sources of the project of Great Expectations, each written once with all of its tables.

To add a table to a source writes the whole project anew, which for all tables together takes as long as to check them.
"""

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
from expectations.engine import ColumnEngine
from expectations.gold import GOLD_TABLES, SCHEMA, GoldTable
from expectations.project import POSTGRES_VARIABLE
from lakehouse.contract import Table, tables


def lake_batch(
    context: FileDataContext, table: Table, frame: pd.DataFrame | DataFrame
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
    kind = PandasDatasource if isinstance(frame, pd.DataFrame) else SparkDatasource
    # Not a class of our own, whose name in the project's files nobody else's Great Expectations would know.
    PandasDatasource.execution_engine_override = ColumnEngine
    name, wanted = kind.__name__, table.full_name
    known = context.data_sources.all().get(name)
    if known is None or wanted not in known.get_asset_names():
        source = kind(name=name)
        contracts = (*tables("bronze"), *tables("silver"))
        for each in sorted({wanted, *(contract.full_name for contract in contracts)}):
            source.add_dataframe_asset(each).add_batch_definition_whole_dataframe(each)
        known = context.update_datasource(source)
    return _all_rows(known, wanted)


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
    known = context.data_sources.all().get(SCHEMA)
    if known is None or gold.full_name not in known.get_asset_names():
        known = context.update_datasource(_gold_source())
    try:
        known.get_asset(gold.full_name).test_connection()
    except TestConnectionError as error:
        raise GateFailedError(
            f"The gold gate found no table {SCHEMA}.{gold.name}.",
            "Run `cinelake gold`, which builds it first; analysts still see the last good version.",
        ) from error
    return _all_rows(known, gold.full_name)


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


def _all_rows(source: Datasource, name: str) -> BatchDefinition:
    return cast(BatchDefinition, source.get_asset(name).get_batch_definition(name))
