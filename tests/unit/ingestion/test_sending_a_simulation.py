import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from flask import Flask, request
from recording_publisher import KEY, KnownKeys, RecordingPublisher, serving
from typer.testing import CliRunner

from cinelake.cli import app
from cinelake.errors import LedgerMismatchError
from cinelake.settings import get_settings
from ingestion.api.app import create_app
from ingestion.client import EventSender
from ingestion.simulate import SimulationTruth, send_simulation, simulate
from ingestion.topics import USER_LOGS

RATES = {"bad_rate": 0.1, "late_rate": 0.05, "duplicate_rate": 0.1}


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def api(publisher: RecordingPublisher) -> Iterator[str]:
    with serving(create_app(publisher=publisher, keys=KnownKeys())) as url:
        yield url


def test_the_api_answers_as_the_truth_says(api: str, publisher: RecordingPublisher) -> None:
    truth = SimulationTruth()
    totals = send_simulation(EventSender(api, api_key=KEY), simulate(20, 4, truth=truth, **RATES))
    assert totals.sent == truth.sent
    assert (totals.accepted, totals.rejected) == (truth.accepted, truth.refused)
    assert totals.reasons == truth.reasons
    assert len(publisher.values(USER_LOGS)) == truth.accepted


def test_each_event_has_the_user_agent_of_its_device(
    api: str, publisher: RecordingPublisher
) -> None:
    sent = list(simulate(10, 2))
    send_simulation(EventSender(api, api_key=KEY), sent)
    agents = {one.event["event_id"]: one.user_agent for one in sent}
    for value in publisher.values(USER_LOGS):
        assert value["context"]["user_agent"] == agents[value["event_id"]]


@pytest.mark.parametrize(("events", "rate", "seconds"), [(90, 40.0, 2.0), (3, 2.0, 1.0)])
def test_a_rate_is_kept(api: str, events: int, rate: float, seconds: float) -> None:
    sent = list(simulate(10, 3))[:events]
    times: list[float] = []
    begun = time.monotonic()

    def timed() -> Iterator[object]:
        for one in sent:
            times.append(time.monotonic() - begun)
            yield one

    totals = send_simulation(EventSender(api, api_key=KEY), timed(), rate=rate)  # type: ignore[arg-type]
    assert totals.accepted == events
    # What is due later is not even asked for before; the last piece is due after `seconds`.
    assert time.monotonic() - begun >= seconds
    assert times[0] < 1


@pytest.fixture
def command() -> Iterator[CliRunner]:
    """The command line, with settings of the test's own."""
    get_settings.cache_clear()
    yield CliRunner()
    get_settings.cache_clear()


def test_the_command_sends_so_many_events_and_writes_their_truth(
    command: CliRunner, api: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CINELAKE_API_PORT", api.rpartition(":")[2])
    monkeypatch.setenv("CINELAKE_API_KEY", KEY)
    get_settings.cache_clear()
    path = tmp_path / "truth.json"
    arguments = ["simulate", "--users", "10", "--days", "5", "--events", "300", "--bad-rate", "0.1"]
    done = command.invoke(app, [*arguments, "--truth", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    truth = orjson.loads(path.read_bytes())
    assert truth["counts"]["sent"] == 300
    assert truth["arguments"]["events"] == 300
    shown = f"{truth['counts']['accepted']:,} accepted, {truth['counts']['refused']:,} rejected"
    assert shown in done.stdout
    few = command.invoke(app, ["simulate", "--users", "1", "--days", "1", "--events", "99999"])
    assert "no more than that" in few.stdout


def test_an_api_that_takes_bad_events_ends_the_command_with_exit_code_4(
    command: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lax = Flask("lax")

    @lax.post("/v1/events")
    def post() -> tuple[dict[str, object], int]:
        events = request.get_json()["events"]
        return {"accepted": len(events), "rejected": 0, "errors": []}, 202

    path = tmp_path / "truth.json"
    with serving(lax) as url:
        monkeypatch.setenv("CINELAKE_API_PORT", url.rpartition(":")[2])
        monkeypatch.setenv("CINELAKE_API_KEY", KEY)
        get_settings.cache_clear()
        arguments = ["simulate", "--users", "10", "--days", "3", "--bad-rate", "0.3"]
        done = command.invoke(app, [*arguments, "--truth", str(path)])
    assert isinstance(done.exception, LedgerMismatchError)
    assert done.exception.exit_code == 4
    assert not path.exists()
