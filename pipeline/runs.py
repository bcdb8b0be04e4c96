"""The history of refreshes in `ops.runs`: how each ended and how long its stages took."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from cinelake.postgres import connect, create_missing
from cinelake.settings import Settings

RUNS_DDL = """
create table if not exists ops.runs (
    run_id text primary key,
    finished_at timestamptz not null default now(),
    outcome text not null,
    stages jsonb not null
);
"""

PUBLISHED = "published"
INTERRUPTED = "interrupted"
RUNNING = "running"
"""The outcome of a run whose stages an orchestrator calls one by one, until its swap or its first failure."""


_DETAILS = re.compile(r"(?m)^ *(?:DETAIL|CONTEXT): .*\n?")
"""What PostgreSQL adds to an error: the row that it is about, and where it stood."""


@dataclass(frozen=True)
class Run:
    """One refresh.

    Args:
        run_id: As in logs, gate results and ledger.
        finished_at: When it ended, UTC.
        outcome: `published`, `interrupted`, or the message of the error that ended it.
        stages: Name and seconds of each stage that ended, in order.
    """

    run_id: str
    finished_at: datetime
    outcome: str
    stages: list[tuple[str, float]]

    @property
    def is_published(self) -> bool:
        """It went through, and analysts see what it brought."""
        return self.outcome == PUBLISHED


def record(settings: Settings, run_id: str, outcome: str, stages: list[tuple[str, float]]) -> None:
    """Keep one run; recording it again replaces it. Analysts and the site read of its outcome no row."""
    with connect(settings, "loader") as connection:
        _ensure(connection)
        connection.execute(
            "insert into ops.runs (run_id, outcome, stages) values (%s, %s, %s)"
            " on conflict (run_id) do update"
            " set outcome = excluded.outcome, stages = excluded.stages, finished_at = now()",
            [run_id, without_rows(outcome), Jsonb(stages)],
        )


def add_stage(settings: Settings, run_id: str, name: str, seconds: float, outcome: str) -> None:
    """Add a stage to a run whose stages run one by one; a stage that is repeated takes the place of its first try.

    Args:
        settings: Tells where PostgreSQL is.
        run_id: The run.
        name: The stage.
        seconds: How long it took.
        outcome: How the run stands after it: `running`, `published` or the message of an error.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    with connect(settings, "loader") as connection:
        _ensure(connection)
        connection.execute(
            "insert into ops.runs (run_id, outcome, stages) values (%(run_id)s, %(outcome)s, %(stage)s)"
            " on conflict (run_id) do update set finished_at = now(), stages = ("
            "   select coalesce(jsonb_agg(stage order by place), '[]')"
            "   from jsonb_array_elements(runs.stages) with ordinality as kept (stage, place)"
            "   where stage ->> 0 <> %(name)s"
            " ) || excluded.stages, outcome = case"
            # What was published stays so, whatever becomes of the stages after the swap.
            "   when runs.outcome = %(published)s then runs.outcome else excluded.outcome"
            " end",
            {
                "run_id": run_id,
                "outcome": without_rows(outcome),
                "stage": Jsonb([(name, seconds)]),
                "name": name,
                "published": PUBLISHED,
            },
        )


def without_rows(message: str) -> str:
    """The message of an error without the lines in which PostgreSQL shows the row that it is about."""
    return _DETAILS.sub("", message).rstrip()


def is_known(settings: Settings, run_id: str) -> bool:
    """Whether a refresh of that id has begun to leave something in the history of runs."""
    with connect(settings, "loader") as connection:
        _ensure(connection)
        row = connection.execute("select from ops.runs where run_id = %s", [run_id]).fetchone()
    return row is not None


def latest(settings: Settings) -> Run | None:
    """The refresh that ended last, or None."""
    return next(iter(history(settings, 1)), None)


def history(settings: Settings, count: int) -> list[Run]:
    """The refreshes that ended last, newest first; one that is still running is not among them.

    Args:
        settings: Tells where PostgreSQL is.
        count: How many at most.
    """
    with connect(settings, "loader") as connection:
        _ensure(connection)
        rows = connection.execute(
            "select run_id, finished_at, outcome, stages from ops.runs where outcome <> %s"
            " order by finished_at desc limit %s",
            [RUNNING, count],
        ).fetchall()
    return [
        Run(run_id, finished_at, outcome, [(name, seconds) for name, seconds in stages])
        for run_id, finished_at, outcome, stages in rows
    ]


@dataclass(frozen=True)
class StageTotal:
    """A stage in all runs.

    Args:
        name: The stage.
        runs: How often it went through.
        seconds: How long that took in all.
        last_seconds: How long it took the last time.
    """

    name: str
    runs: int
    seconds: float
    last_seconds: float


def stage_totals(settings: Settings) -> list[StageTotal]:
    """Each stage of the history, those of runs that go on included, by name."""
    with connect(settings, "loader") as connection:
        _ensure(connection)
        rows = connection.execute(
            "select distinct on (name) name, count(*) over all_of_it, sum(seconds) over all_of_it, seconds"
            " from (select finished_at, stage ->> 0 as name, (stage ->> 1)::float8 as seconds"
            "  from ops.runs, jsonb_array_elements(stages) as each (stage)) as ended"
            " window all_of_it as (partition by name)"
            " order by name, finished_at desc"
        ).fetchall()
    return [StageTotal(*row) for row in rows]


def outcomes(settings: Settings) -> dict[str, tuple[int, datetime]]:
    """How many runs ended as `published`, `interrupted`, `failed` or not yet (`running`), and when the last one did, UTC."""
    with connect(settings, "loader") as connection:
        _ensure(connection)
        rows = connection.execute(
            "select case when outcome = any(%s) then outcome else 'failed' end, count(*), max(finished_at)"
            " from ops.runs group by 1 order by 1",
            [[PUBLISHED, RUNNING, INTERRUPTED]],
        ).fetchall()
    return {outcome: (total, last.astimezone(UTC)) for outcome, total, last in rows}


def _ensure(connection: Any) -> None:
    create_missing(connection, RUNS_DDL)
