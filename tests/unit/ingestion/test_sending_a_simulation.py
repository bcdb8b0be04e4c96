import time
from collections.abc import Iterator

import pytest
from recording_publisher import RecordingPublisher, serving

from ingestion.api.app import create_app
from ingestion.simulate import SimulationTruth, send_simulation, simulate
from ingestion.topics import USER_LOGS

RATES = {"bad_rate": 0.1, "late_rate": 0.05, "duplicate_rate": 0.1}


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def api(publisher: RecordingPublisher) -> Iterator[str]:
    with serving(create_app(publisher=publisher)) as url:
        yield url


def test_the_api_answers_as_the_truth_says(api: str, publisher: RecordingPublisher) -> None:
    truth = SimulationTruth()
    totals = send_simulation(api, simulate(20, 4, truth=truth, **RATES))
    assert totals.sent == truth.sent
    assert (totals.accepted, totals.rejected) == (truth.accepted, truth.refused)
    assert totals.reasons == truth.reasons
    assert len(publisher.values(USER_LOGS)) == truth.accepted


def test_each_event_has_the_user_agent_of_its_device(
    api: str, publisher: RecordingPublisher
) -> None:
    sent = list(simulate(10, 2))
    send_simulation(api, sent)
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

    totals = send_simulation(api, timed(), rate=rate)  # type: ignore[arg-type]
    assert totals.accepted == events
    # What is due later is not even asked for before; the last piece is due after `seconds`.
    assert time.monotonic() - begun >= seconds
    assert times[0] < 1
