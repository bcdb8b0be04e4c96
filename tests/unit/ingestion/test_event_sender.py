import threading
from collections.abc import Iterator

import pytest
from events_by_type import event_of
from flask import Flask, Response, request
from recording_publisher import KEY, KnownKeys, RecordingPublisher, serving
from scripted_api import answer, scripted_api

from cinelake.errors import ServiceError
from ingestion.api.app import create_app
from ingestion.client import Batch, EventSender
from ingestion.topics import USER_LOGS

GOOD = event_of("page_view")
BAD = event_of("page_view", event_id="x")


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def api(publisher: RecordingPublisher) -> Iterator[str]:
    with serving(create_app(publisher=publisher, keys=KnownKeys())) as url:
        yield url


def test_a_batch_is_answered_with_its_counts_and_reasons(api: str) -> None:
    result = EventSender(api, api_key=KEY).send([GOOD, BAD])
    assert (result.accepted, result.rejected) == (1, 1)
    assert (result.errors[0]["index"], result.errors[0]["field"]) == (1, "event_id")
    assert EventSender(api, api_key=KEY).send([BAD]).rejected == 1


def test_the_user_agent_travels_as_it_is(api: str, publisher: RecordingPublisher) -> None:
    EventSender(api, api_key=KEY).send([GOOD], user_agent="Kinó/1 (テレビ)")
    assert publisher.values(USER_LOGS)[0]["context"]["user_agent"] == "Kinó/1 (テレビ)"


def test_while_the_api_is_away_the_same_events_are_sent_again(
    api: str, publisher: RecordingPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.api.problems.RETRY_AFTER_SECONDS", 1)
    publisher.is_away = True
    timer = threading.Timer(0.5, lambda: setattr(publisher, "is_away", False))
    timer.start()
    assert EventSender(api, api_key=KEY).send([GOOD]).accepted == 1
    assert [value["event_id"] for value in publisher.values(USER_LOGS)] == [GOOD["event_id"]]
    timer.join()


def test_the_key_is_sent_and_retry_after_honoured() -> None:
    with scripted_api() as api:
        api.answers.append(answer(429, retry_after="1"))
        assert EventSender(api.url, api_key="k").send([GOOD]).accepted == 1
    assert api.accepted[0].at - api.scripted[0].at >= 1
    assert [each.headers["Authorization"] for each in (*api.scripted, *api.accepted)] == [
        "Bearer k"
    ] * 2


def test_an_api_that_asks_for_more_than_the_patience_is_an_error_at_once() -> None:
    with scripted_api() as api, pytest.raises(ServiceError, match="503"):
        api.answers.append(answer(503, retry_after="600"))
        EventSender(api.url, patience=5).send([GOOD])
    assert api.accepted == []


def test_a_body_that_was_too_slow_is_sent_again() -> None:
    with scripted_api() as api:
        api.answers.append(answer(408))
        assert EventSender(api.url).send([GOOD]).accepted == 1
    assert api.accepted_ids() == api.scripted[0].ids


def test_an_api_that_stays_away_is_an_error() -> None:
    with pytest.raises(ServiceError, match="does not answer"):
        EventSender("http://127.0.0.1:9", patience=0.3).send([GOOD])


def test_an_answer_that_no_retry_mends_is_an_error_at_once() -> None:
    app = Flask("broken")
    calls: list[str] = []

    @app.post("/v1/events")
    def refuse() -> Response:
        calls.append(request.path)
        return Response("what?", status=418)

    with serving(app) as url, pytest.raises(ServiceError, match="418"):
        EventSender(url).send([GOOD])
    assert len(calls) == 1


def test_all_batches_are_sent_and_counted(api: str, publisher: RecordingPublisher) -> None:
    finished: list[int] = []
    batches = [Batch([GOOD, BAD], user_agent=f"Browser/{number}") for number in range(20)]
    totals = EventSender(api, api_key=KEY).send_all(
        iter(batches), workers=3, progress=finished.append
    )
    assert (totals.sent, totals.accepted, totals.rejected) == (40, 20, 20)
    assert sum(finished) == 40
    assert sum(totals.reasons.values()) == 20
    agents = {value["context"]["user_agent"] for value in publisher.values(USER_LOGS)}
    assert agents == {f"Browser/{number}" for number in range(20)}


def test_batches_of_one_lane_keep_their_order(api: str, publisher: RecordingPublisher) -> None:
    batches = [
        Batch(
            [event_of("page_view", session_id=f"{number:03d}", user_id=f"u{number % 2}")],
            lane=number % 2,
        )
        for number in range(40)
    ]
    EventSender(api, api_key=KEY).send_all(batches)
    values = publisher.values(USER_LOGS)
    for user in ("u0", "u1"):
        sent = [value["session_id"] for value in values if value["user_id"] == user]
        assert sent == sorted(sent)
        assert len(sent) == 20


def test_no_more_batches_are_read_than_are_on_their_way(
    api: str, publisher: RecordingPublisher
) -> None:
    ahead: list[int] = []

    def batches() -> Iterator[Batch]:
        for number in range(50):
            ahead.append(number - len(publisher.records))
            yield Batch([GOOD])

    EventSender(api, api_key=KEY).send_all(batches(), workers=2)
    assert max(ahead) <= 4


def test_a_failure_ends_the_sending() -> None:
    read: list[int] = []

    def batches() -> Iterator[Batch]:
        for number in range(1000):
            read.append(number)
            yield Batch([GOOD])

    with pytest.raises(ServiceError):
        EventSender("http://127.0.0.1:9", patience=0.1).send_all(batches(), workers=2)
    assert len(read) < 10
