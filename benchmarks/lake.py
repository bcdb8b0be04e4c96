"""A lake with the events that PostgreSQL holds, written without Spark."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake

from cinelake.postgres import connect
from cinelake.settings import Settings
from lakehouse.contract import table
from lakehouse.tables import table_path

BATCH = 50_000


def fill(settings: Settings) -> None:
    """Put the events of PostgreSQL's silver into that of the lake, and as many messages into its bronze."""
    for batch in _events(settings):
        write_deltalake(table_path(settings, "silver.events"), batch, mode="append")
        write_deltalake(
            table_path(settings, "bronze.user_logs"), _messages(batch.num_rows), mode="append"
        )


def _events(settings: Settings) -> Iterator[pa.Table]:
    names = [column.name for column in table("silver.events").published_columns]
    with connect(settings, "loader") as connection, connection.cursor("events") as cursor:
        cursor.execute(f"select {', '.join(names)} from silver.events".encode())
        while rows := cursor.fetchmany(BATCH):
            columns = zip(*rows, strict=True)
            yield pa.table(
                {name: _column(values) for name, values in zip(names, columns, strict=True)}
            )


def _column(values: tuple[object, ...]) -> pa.Array:
    first = next((value for value in values if value is not None), "")
    if type(first) in (int, float, bool) or hasattr(first, "isoformat"):
        return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values], pa.string())


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
