"""The history of refreshes says how each one really ended."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog

from cinelake.errors import ServiceError
from cinelake.postgres import connect
from cinelake.settings import Settings
from ingestion.topics import ensure_topics
from pipeline import runs
from pipeline.refresh import RefreshReport, recorded, refresh
from pipeline.steps import step


@pytest.fixture(autouse=True)
def _run_id() -> Iterator[None]:
    with structlog.contextvars.bound_contextvars(run_id="this-run"):
        yield


def outcome(settings: Settings) -> str:
    run = runs.latest(settings)
    assert run is not None
    return run.outcome


def test_the_latest_run_is_the_one_that_ended_last(settings: Settings) -> None:
    assert runs.latest(settings) is None
    runs.record(settings, "one", "published", [("bronze", 1.5), ("silver", 2.0)])
    runs.record(settings, "two", "The gate refused.", [])
    assert (latest := runs.latest(settings)) is not None
    assert (latest.run_id, latest.outcome, latest.stages) == ("two", "The gate refused.", [])
    runs.record(settings, "one", "published", [("bronze", 1.25)])
    assert (latest := runs.latest(settings)) is not None
    assert (latest.run_id, latest.stages) == ("one", [("bronze", 1.25)])
    with psycopg.connect(settings.postgres) as connection:
        assert connection.execute("select count(*) from ops.runs").fetchone() == (2,)


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (ServiceError("Kafka is away.", "Look for it."), "Kafka is away."),
        (RuntimeError("no memory"), "RuntimeError: no memory"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_a_refresh_that_did_not_end_well_is_never_recorded_as_published(
    settings: Settings, error: BaseException, recorded: str
) -> None:
    ensure_topics(settings)

    def fail(_: str) -> None:
        raise error

    with pytest.raises(type(error)):
        refresh(lambda: pytest.fail("there is nothing to do that needs Spark"), settings, fail)
    assert outcome(settings) == recorded
    assert (run := runs.latest(settings)) is not None
    assert (run.run_id, run.stages) == ("this-run", [])


@pytest.mark.parametrize("error", [ServiceError("Kafka is away."), KeyboardInterrupt()])
def test_a_run_that_failed_while_postgres_is_away_tells_of_its_own_error(
    settings: Settings, tmp_path: Path, error: BaseException
) -> None:
    away = _away(settings, tmp_path)
    with (
        structlog.testing.capture_logs() as lines,
        pytest.raises(type(error)) as caught,
        recorded(away, RefreshReport("this-run")),
    ):
        raise error
    assert caught.value is error
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("run not recorded", "warning")
    ]
    assert lines[0]["reason"].startswith("PostgreSQL cannot be reached")


def test_a_run_that_went_through_and_cannot_be_recorded_is_an_error(
    settings: Settings, tmp_path: Path
) -> None:
    with (
        pytest.raises(ServiceError, match="PostgreSQL cannot be reached"),
        recorded(_away(settings, tmp_path), RefreshReport("this-run")),
    ):
        pass


def _away(settings: Settings, tmp_path: Path) -> Settings:
    """The settings with a PostgreSQL at which nobody listens, and a home without alerts."""
    uri = "postgresql://nobody@127.0.0.1:1/none"
    return settings.model_copy(update={"postgres_uri": uri, "home": tmp_path})


def test_a_connection_that_breaks_in_the_middle_is_a_service_error(settings: Settings) -> None:
    with pytest.raises(ServiceError, match="PostgreSQL"), connect(settings, "loader") as connection:
        with psycopg.connect(settings.postgres) as killer:
            killer.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
        connection.execute("select 1")


def test_the_stages_of_a_run_add_up_and_a_repeated_one_takes_its_place(settings: Settings) -> None:
    runs.record(settings, "before", runs.PUBLISHED, [])
    runs.add_stage(settings, "ours", "bronze", 1.0, runs.RUNNING)
    runs.add_stage(settings, "ours", "silver", 2.0, "Kafka is away.")
    assert (run := runs.latest(settings)) is not None
    assert (run.run_id, run.outcome) == ("ours", "Kafka is away.")

    runs.add_stage(settings, "ours", "silver", 3.0, runs.RUNNING)
    # It runs: how it ends is not known yet.
    assert (run := runs.latest(settings)) is not None
    assert run.run_id == "before"

    runs.add_stage(settings, "ours", "swap", 0.5, runs.PUBLISHED)
    runs.add_stage(settings, "ours", "bronze", 4.0, "Too late to matter.")
    assert (run := runs.latest(settings)) is not None
    assert (run.run_id, run.is_published) == ("ours", True)
    assert run.stages == [("silver", 3.0), ("swap", 0.5), ("bronze", 4.0)]


def test_only_a_step_of_a_named_run_is_kept(settings: Settings) -> None:
    with step(settings, "bronze"):
        pass
    assert runs.latest(settings) is None
    named = settings.model_copy(update={"run_id": "named"})
    with pytest.raises(ServiceError), step(named, "bronze"):
        raise ServiceError("Kafka is away.", "Look for it.")
    assert (run := runs.latest(settings)) is not None
    assert (run.run_id, run.outcome) == ("named", "Kafka is away.")
    assert [name for name, _ in run.stages] == ["bronze"]
