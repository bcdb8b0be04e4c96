"""A lake with the events that PostgreSQL holds, written without Spark."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake

from cinelake.postgres import connect
from cinelake.settings import Settings
from lakehouse.contract import Column, table
from lakehouse.tables import table_path

BATCH = 50_000
ARROW_TYPES = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "boolean": pa.bool_(),
}


def fill(settings: Settings) -> None:
    """Put the events of PostgreSQL's silver into that of the lake, and as many messages into its bronze."""
    for batch in _events(settings):
        write_deltalake(table_path(settings, "silver.events"), batch, mode="append")
        write_deltalake(
            table_path(settings, "bronze.user_logs"), _messages(batch.num_rows), mode="append"
        )


def _events(settings: Settings) -> Iterator[pa.Table]:
    columns = table("silver.events").published_columns
    names = [column.name for column in columns]
    with connect(settings, "loader") as connection, connection.cursor("events") as cursor:
        cursor.execute(f"select {', '.join(names)} from silver.events".encode())
        while rows := cursor.fetchmany(BATCH):
            values = zip(*rows, strict=True)
            arrays = [_array(of, column) for of, column in zip(values, columns, strict=True)]
            yield pa.Table.from_arrays(arrays, names)


def _array(values: tuple[object, ...], column: Column) -> pa.Array:
    kind = ARROW_TYPES[column.type]
    if column.is_uuid:
        return pa.array([None if value is None else str(value) for value in values], kind)
    return pa.array(values, kind)


def _messages(count: int) -> pa.Table:
    now = datetime.now(UTC)
    return pa.table(
        {
            "topic": ["user_logs"] * count,
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "timestamp": [now] * count,
            "key": [b"key"] * count,
            "value": [b"{}"] * count,
            "ingest_date": [now.date()] * count,
        }
    )
