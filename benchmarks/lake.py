"""A lake with the events that PostgreSQL holds, written without Spark."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema

from cinelake.postgres import connect
from cinelake.settings import Settings
from lakehouse.contract import table
from lakehouse.tables import table_path

BATCH = 50_000


def fill(settings: Settings) -> None:
    """Put the events of PostgreSQL's silver into that of the lake, and as many messages into its bronze."""
    landed = 0
    for batch in _events(settings):
        write_deltalake(table_path(settings, "silver.events"), batch, mode="append")
        messages = _messages(landed, batch.num_rows)
        write_deltalake(table_path(settings, "bronze.user_logs"), messages, mode="append")
        landed += batch.num_rows


def _events(settings: Settings) -> Iterator[pa.Table]:
    columns = table("silver.events").published_columns
    names = [column.name for column in columns]
    kinds = to_arrow_schema(table("silver.events").spark_schema())
    with connect(settings, "loader") as connection, connection.cursor("events") as cursor:
        cursor.execute(f"select {', '.join(names)} from silver.events".encode())
        while rows := cursor.fetchmany(BATCH):
            values = zip(*rows, strict=True)
            arrays = [
                pa.array(map(str, of) if column.is_uuid else of, kinds.field(column.name).type)
                for of, column in zip(values, columns, strict=True)
            ]
            yield pa.Table.from_arrays(arrays, names)


def _messages(first: int, count: int) -> pa.Table:
    now = datetime.now(UTC)
    return pa.table(
        {
            "topic": ["user_logs"] * count,
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(first, first + count), pa.int64()),
            "timestamp": [now] * count,
            "key": [b"key"] * count,
            "value": [b"{}"] * count,
            "ingest_date": [now.date()] * count,
        }
    )
