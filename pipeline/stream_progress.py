"""What the streaming queries have done so far, in `ops.stream_progress`: a row a query, which grows with each batch.

Their processes end or have no address, so that nobody can ask them; what they did stays in PostgreSQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from cinelake.errors import CinelakeError, message_of
from cinelake.log import get_logger
from cinelake.postgres import connect, create_missing
from cinelake.settings import Settings
from spark_streaming.bronze import Batch

STREAM_PROGRESS_DDL = """
create table if not exists ops.stream_progress (
    query text primary key,
    batches bigint not null,
    rows bigint not null,
    seconds double precision not null,
    last_rows bigint not null,
    last_seconds double precision not null,
    state_rows bigint not null,
    updated_at timestamptz not null default now()
);
comment on table ops.stream_progress is
    'What each streaming query has done: batches, rows and seconds in all, and those of its last batch.';
"""

log = get_logger("streams")


@dataclass(frozen=True)
class Progress:
    """What a query has done.

    Args:
        query: Its name.
        batches: Micro-batches with rows that it wrote.
        rows: Rows that it read in them.
        seconds: How long they took.
        last_rows: Rows of the last one.
        last_seconds: How long that took.
        state_rows: Rows that its stateful operators hold; 0 where it has none.
        updated_at: When the last one was noted.
    """

    query: str
    batches: int
    rows: int
    seconds: float
    last_rows: int
    last_seconds: float
    state_rows: int
    updated_at: datetime


def note(settings: Settings, batches: Sequence[Batch]) -> None:
    """Add micro-batches to what their queries have done.

    A stream goes on when PostgreSQL is away; these batches are then missing from the figures.

    Args:
        settings: Tells where PostgreSQL is.
        batches: Those that ended since the last call, in their order.
    """
    if not batches:
        return
    try:
        with connect(settings, "loader") as connection:
            _ensure(connection)
            connection.cursor().executemany(
                "insert into ops.stream_progress as known"
                " (query, batches, rows, seconds, last_rows, last_seconds, state_rows)"
                " values (%(query)s, 1, %(rows)s, %(seconds)s, %(rows)s, %(seconds)s, %(state_rows)s)"
                " on conflict (query) do update set batches = known.batches + 1,"
                " rows = known.rows + excluded.rows, seconds = known.seconds + excluded.seconds,"
                " last_rows = excluded.rows, last_seconds = excluded.seconds,"
                " state_rows = excluded.state_rows, updated_at = now()",
                [vars(batch) for batch in batches],
            )
    except (CinelakeError, psycopg.Error) as error:
        log.warning("progress not noted", batches=len(batches), reason=message_of(error))


def read(settings: Settings) -> list[Progress]:
    """What every query has done.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    with connect(settings, "loader") as connection:
        _ensure(connection)
        cursor = connection.cursor(row_factory=class_row(Progress))
        return cursor.execute("select * from ops.stream_progress order by query").fetchall()


def _ensure(connection: psycopg.Connection) -> None:
    create_missing(connection, STREAM_PROGRESS_DDL)
