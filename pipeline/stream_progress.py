"""What the streaming queries have done so far: a row a query in `ops.stream_progress`, which grows with each batch.

What its seconds went into is in `ops.stream_phases`, a row a query and phase.
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
create table if not exists ops.stream_phases (
    query text not null,
    phase text not null,
    seconds double precision not null,
    primary key (query, phase)
);
comment on table ops.stream_phases is
    'What the seconds of each streaming query went into, in Spark''s words.';
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
        phases: What all seconds went into, in Spark's words.
    """

    query: str
    batches: int
    rows: int
    seconds: float
    last_rows: int
    last_seconds: float
    state_rows: int
    updated_at: datetime
    phases: dict[str, float]


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
            cursor = connection.cursor()
            cursor.executemany(
                "insert into ops.stream_progress as known"
                " (query, batches, rows, seconds, last_rows, last_seconds, state_rows)"
                " values (%(query)s, 1, %(rows)s, %(seconds)s, %(rows)s, %(seconds)s, %(state_rows)s)"
                " on conflict (query) do update set batches = known.batches + 1,"
                " rows = known.rows + excluded.rows, seconds = known.seconds + excluded.seconds,"
                " last_rows = excluded.rows, last_seconds = excluded.seconds,"
                " state_rows = excluded.state_rows, updated_at = now()",
                [vars(batch) for batch in batches],
            )
            cursor.executemany(
                "insert into ops.stream_phases as known values (%s, %s, %s)"
                " on conflict (query, phase) do update set seconds = known.seconds + excluded.seconds",
                [(batch.query, *phase) for batch in batches for phase in batch.phases.items()],
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
        return cursor.execute(
            "select progress.*, coalesce("
            " (select jsonb_object_agg(phase, seconds) from ops.stream_phases"
            " where stream_phases.query = progress.query), '{}') as phases"
            " from ops.stream_progress as progress order by progress.query"
        ).fetchall()


def _ensure(connection: psycopg.Connection) -> None:
    create_missing(connection, STREAM_PROGRESS_DDL)
