"""Spark frames of Python rows."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

BLOCK = 10_000
"""Rows that are Python's values at a time; in Arrow they take a tenth of the memory."""


def frame_of(
    spark: SparkSession, rows: Iterable[tuple[Any, ...]], schema: StructType | str
) -> DataFrame:
    """A frame whose rows are in the JVM; `createDataFrame` of tuples asks a Python worker for them at every action.

    Args:
        spark: The session.
        rows: Tuples, or rows that were collected, with a value a field; a time without a zone is one of UTC. They may be
            made one after the other.
        schema: Names and types of the fields, or the same as DDL.

    Returns:
        The rows, in their order.
    """
    kind = (
        schema if isinstance(schema, StructType) else cast(StructType, StructType.fromDDL(schema))
    )
    fields = to_arrow_schema(kind)
    left = iter(rows)
    blocks = []
    while block := list(islice(left, BLOCK)):
        arrays = [
            pa.array([_plain(value, field.dataType) for value in column], type=arrow.type)
            for column, field, arrow in zip(
                zip(*block, strict=True), kind.fields, fields, strict=True
            )
        ]
        blocks.append(pa.RecordBatch.from_arrays(arrays, schema=fields))
    table = pa.Table.from_batches(blocks) if blocks else fields.empty_table()
    frame: DataFrame = spark.createDataFrame(table, kind)
    return frame


def _plain(value: Any, kind: DataType) -> Any:
    """A value as Arrow takes it: a struct as a dictionary, a map as pairs."""
    if value is None:
        return None
    if isinstance(kind, ArrayType):
        return [_plain(item, kind.elementType) for item in value]
    if isinstance(kind, MapType):
        return [
            (_plain(key, kind.keyType), _plain(item, kind.valueType)) for key, item in value.items()
        ]
    if isinstance(kind, StructType):
        items = [value[name] for name in kind.names] if isinstance(value, dict) else value
        return {
            field.name: _plain(item, field.dataType)
            for field, item in zip(kind.fields, items, strict=True)
        }
    return value
