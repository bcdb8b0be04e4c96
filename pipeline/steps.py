"""Stages of a refresh one at a time, each in a process of its own: what an orchestrator calls.

The processes of one run share its id (`CINELAKE_RUN_ID`), under which each adds its seconds to the history of runs. Every
step can be repeated: it takes what is still to be taken, and finds nothing to do when that was done.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext

from cinelake.errors import BadInputError, message_of
from cinelake.log import current_run_id
from cinelake.settings import Settings
from expectations.results import load_results
from lakehouse import inspection
from lakehouse.publish import EVERYTHING_NEW, Scope
from lakehouse.tables import SparkSource
from pipeline import alerts, runs
from pipeline.refresh import recording_failed
from pipeline.stages import BY_NAME, Work

GATES = ("bronze", "silver", "gold")
"""The layers that have a gate."""


def run_alone(
    spark_session: SparkSource,
    settings: Settings,
    *names: str,
    scope: Scope = EVERYTHING_NEW,
    full_refresh: bool = False,
    sources: Collection[str] = (),
    published_one: Callable[[int], None] = lambda done: None,
) -> Work:
    """Run stages of a run whose others run in other processes.

    Args:
        spark_session: Makes the session, should a stage need it.
        settings: All of them; `run_id` tells whether somebody has named the run.
        names: Of the stages, in their order.
        scope: Which rows the publication takes.
        full_refresh: Build gold from scratch.
        sources: The tables of bronze that silver is to take; empty for all.
        published_one: Called with 1 after each table that was published.

    Returns:
        What the stages found and left.

    Raises:
        CinelakeError: As the stage has it.
    """
    work = Work(
        settings,
        spark_session,
        current_run_id(),
        scope,
        full_refresh,
        sources=sources,
        is_alone=True,
        published_one=published_one,
    )
    for name in names:
        stage = BY_NAME[name]
        # How a run ended is known before it is counted.
        with nullcontext() if stage.is_last else step(settings, name, work):
            stage.run(work)
        if work.swapped or (stage.decides and work.analysts_see_all):
            _tell(settings, work.run_id)
    return work


@contextmanager
def step(settings: Settings, name: str, work: Work | None = None) -> Iterator[None]:
    """Keep how long a stage took and how it ended, if it is a part of a run that somebody named.

    Args:
        settings: `run_id` tells whether it is.
        name: The stage.
        work: Tells whether the run is over with it.
    """
    started = time.monotonic()
    try:
        with inspection.named(settings):
            yield
    except Exception as error:
        with recording_failed():
            _keep(settings, name, started, message_of(error))
        raise
    outcome = runs.PUBLISHED if work and work.analysts_see_all else runs.RUNNING
    _keep(settings, name, started, outcome)


def gate_of(layer: str) -> str:
    """The stage in which the gate of a layer looks at what the next stage would take.

    Raises:
        BadInputError: There is no such gate.
    """
    if layer not in GATES:
        raise BadInputError(f"There is no gate of {layer!r}.", f"There are: {', '.join(GATES)}.")
    return f"{layer} gate"


def _tell(settings: Settings, run_id: str) -> None:
    """Tell people of what the gates of a run warned of, and of what is over now that it went through."""
    found = [kept.result for kept in load_results(settings, run_id)]
    alerts.after_run(settings, run_id, None, found)


def _keep(settings: Settings, name: str, started: float, outcome: str) -> None:
    if settings.run_id:
        runs.add_stage(settings, settings.run_id, name, time.monotonic() - started, outcome)
