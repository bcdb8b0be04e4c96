"""A request that names its run is logged under it, with the reasons why it failed; no other one is."""

import json
from collections.abc import Iterator

import pytest
import structlog
from events_by_type import event_of
from recording_publisher import KEY, KnownKeys, RecordingPublisher, serving

from cinelake.log import RUN_ID_HEADER, configure_logging
from cinelake.settings import load_settings
from ingestion.api.app import create_app
from ingestion.sender import EventSender

GOOD = event_of("rating")
BAD = event_of("rating", properties={"rating": 11})


@pytest.fixture(autouse=True)
def _json_lines() -> Iterator[None]:
    before = structlog.get_config()
    configure_logging(load_settings(CINELAKE_LOG_FORMAT="json", CINELAKE_RUN_ID="the-api"))
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_events_of_a_run_are_logged_under_it(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(publisher=RecordingPublisher(), keys=KnownKeys())
    with serving(app) as url:
        with structlog.contextvars.bound_contextvars(run_id="demo-1"):
            sender = EventSender(url, api_key=KEY)
        sender.send([GOOD, BAD])
    (line,) = lines(capsys)
    line.pop("timestamp")
    assert line == {
        "event": "events",
        "accepted": 1,
        "rejected": 1,
        "run_id": "demo-1",
        "stage": "api",
        "level": "info",
    }


@pytest.mark.parametrize("named", [None, "two words", "x" * 121, "a\tb"])
def test_a_visitor_is_not_logged_and_cannot_name_a_run_at_will(
    named: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    client = create_app(publisher=RecordingPublisher(), keys=KnownKeys()).test_client()
    headers = {"X-API-Key": KEY} | ({RUN_ID_HEADER: named} if named else {})
    assert client.post("/v1/events", json=GOOD, headers=headers).status_code == 202
    assert lines(capsys) == []


def test_what_goes_wrong_carries_the_run_and_the_next_request_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    publisher = RecordingPublisher()
    client = create_app(publisher=publisher, keys=KnownKeys()).test_client()
    publisher.is_away = True
    for headers in ({RUN_ID_HEADER: "demo-2"}, {}):
        answer = client.post("/v1/events", json=GOOD, headers={"X-API-Key": KEY, **headers})
        assert answer.status_code == 503
    assert [(line["event"], line["run_id"]) for line in lines(capsys)] == [
        ("events_not_acknowledged", "demo-2"),
        ("events_not_acknowledged", "the-api"),
    ]
