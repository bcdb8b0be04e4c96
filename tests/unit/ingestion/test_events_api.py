import base64
import uuid
from typing import Any

import orjson
import pytest
from events_by_type import event_of
from flask.testing import FlaskClient
from recording_publisher import RecordingPublisher
from werkzeug.test import TestResponse

from ingestion.api.app import create_app
from ingestion.topics import MAX_MESSAGE_BYTES, USER_LOGS, USER_LOGS_REJECTED

GOOD = event_of("rating")
BAD = event_of("rating", properties={"rating": 11})


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def client(publisher: RecordingPublisher) -> FlaskClient:
    return create_app(publisher=publisher).test_client()


def post(client: FlaskClient, body: Any, **headers: str) -> TestResponse:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {"Content-Type": "application/json", "User-Agent": "Browser/1", **headers}
    response = client.post("/v1/events", data=data, headers=sent)
    assert "Set-Cookie" not in response.headers
    assert b"Traceback" not in response.data
    if response.status_code >= 400:
        assert response.mimetype == "application/problem+json"
        assert response.get_json()["status"] == response.status_code
    return response


def kept_bytes(publisher: RecordingPublisher) -> list[bytes]:
    return [base64.b64decode(v["body_base64"]) for v in publisher.values(USER_LOGS_REJECTED)]


def test_one_event_is_accepted(client: FlaskClient, publisher: RecordingPublisher) -> None:
    response = post(client, GOOD)
    assert response.status_code == 202
    assert response.get_json() == {"accepted": 1, "rejected": 0, "errors": []}
    (record,) = publisher.records
    assert (record.topic, record.key) == (USER_LOGS, b"user-1")


def test_the_server_adds_what_it_observes(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    post(client, GOOD, **{"User-Agent": "Café/1".encode().decode("latin-1")})
    (value,) = publisher.values(USER_LOGS)
    assert value["received_at"].endswith("Z")
    assert value["context"]["ip"] == "127.0.0.1"
    assert value["context"]["user_agent"] == "Café/1"


@pytest.mark.parametrize("as_object", [True, False])
def test_of_a_batch_with_one_good_and_two_bad_the_good_one_arrives(
    client: FlaskClient, publisher: RecordingPublisher, as_object: bool
) -> None:
    batch = [BAD, GOOD, event_of("rating", event_id=...)]
    response = post(client, {"events": batch} if as_object else batch)
    assert response.status_code == 202
    answer = response.get_json()
    assert (answer["accepted"], answer["rejected"]) == (1, 2)
    assert answer["errors"] == [
        {
            "index": 0,
            "field": "properties.rating",
            "reason": "should be less than or equal to 10",
        },
        {"index": 2, "field": "event_id", "reason": "is required"},
    ]
    assert len(publisher.values(USER_LOGS)) == 1
    assert kept_bytes(publisher) == [orjson.dumps(batch[0]), orjson.dumps(batch[2])]


def test_a_refused_event_is_kept_with_its_reasons_and_its_bytes(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    body = b'  {"event_type" : "teleport"}\n'
    assert post(client, body).status_code == 422
    (value,) = publisher.values(USER_LOGS_REJECTED)
    assert set(value) == {"received_at", "reason", "body_base64"}
    assert value["reason"][0]["field"] == "event_type"
    assert kept_bytes(publisher) == [body]


def test_the_bytes_of_one_event_in_a_batch_are_kept_as_they_were(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    odd = b'{"event_id":"a",\n  "x": "\\u0041 ],{\\"", "x": 1e0 }'
    post(client, b'{"events": [ ' + odd + b" , " + orjson.dumps(GOOD) + b", 5 ] }")
    assert kept_bytes(publisher) == [odd, b"5"]
    assert len(publisher.values(USER_LOGS)) == 1


def test_all_bad_is_422_with_the_errors(client: FlaskClient) -> None:
    response = post(client, [BAD, BAD])
    assert response.status_code == 422
    assert [error["index"] for error in response.get_json()["errors"]] == [0, 1]


@pytest.mark.parametrize(
    "body", [b"", b"nope", b"{", b'{"a":NaN}', b"[1,]", b"\xff\xfe", b"\xef\xbb\xbf{}"]
)
def test_what_is_not_json_is_400_and_kept(
    client: FlaskClient, publisher: RecordingPublisher, body: bytes
) -> None:
    assert post(client, body).status_code == 400
    assert kept_bytes(publisher) == [body]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"events":[]}',
        b'{"events":5}',
        b'{"events":[],"x":1}',
        b"7",
        b"null",
        b'"x"',
        b"{}",
    ],
)
def test_json_without_events_is_422_and_kept(
    client: FlaskClient, publisher: RecordingPublisher, body: bytes
) -> None:
    assert post(client, body).status_code == 422
    assert kept_bytes(publisher) == [body]


@pytest.mark.parametrize("mimetype", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_415(client: FlaskClient, mimetype: str) -> None:
    assert post(client, GOOD, **{"Content-Type": mimetype}).status_code == 415


def test_a_compressed_body_is_415(client: FlaskClient) -> None:
    assert post(client, GOOD, **{"Content-Encoding": "gzip"}).status_code == 415


def test_a_batch_takes_500_events_and_no_more(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    batch = [event_of("page_view", event_id=str(uuid.uuid4()), context=...) for _ in range(501)]
    assert post(client, batch).status_code == 413
    assert publisher.records == []
    assert post(client, batch[:500]).get_json()["accepted"] == 500


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_takes_one_mebibyte_and_no_more(
    client: FlaskClient, publisher: RecordingPublisher, chunked: bool
) -> None:
    def send(size: int) -> int:
        body = orjson.dumps(GOOD).ljust(size)
        if not chunked:
            return post(client, body).status_code
        environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        return client.post(
            "/v1/events", data=body, content_type="application/json", environ_overrides=environ
        ).status_code

    assert send(1024 * 1024) == 202
    assert send(1024 * 1024 + 1) == 413
    assert send(3 * 1024 * 1024) == 413
    assert len(publisher.records) == 1


def test_the_largest_refused_body_fits_into_a_message(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    assert post(client, b"x" * 1024 * 1024).status_code == 400
    assert len(publisher.records[0].value) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 500_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"[" * 1000 + b"]" * 1000, 422),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, 422),
        (b'[{"a":"' + b"\\n" * 500_000 + b'"}]', 422),
        (b'{"event_id":1,"event_id":2}', 422),
        (b'{"a":' + b"9" * 100_000 + b"}", 422),
        (b'{"a":1e999}', 422),
        (b'[{"a":"\\ud800"}]', 422),
    ],
)
def test_hostile_json_gets_a_plain_refusal(client: FlaskClient, body: bytes, status: int) -> None:
    assert post(client, body).status_code == status


def test_half_a_surrogate_pair_costs_only_its_own_event(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    bad = orjson.dumps(GOOD).replace(b"user-1", b"\\ud800")
    response = post(client, b"[" + bad + b"," + orjson.dumps(GOOD) + b"]")
    assert response.get_json()["accepted"] == 1
    assert kept_bytes(publisher) == [bad]


def test_while_the_broker_is_away_nothing_is_claimed(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    publisher.is_away = True
    response = post(client, [GOOD, BAD])
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "accepted" not in response.get_json()
    assert b"secret" not in response.data
    assert b"192.0.2.9" not in response.data


@pytest.mark.parametrize("topic", [USER_LOGS, USER_LOGS_REJECTED])
def test_one_record_that_is_not_acknowledged_is_enough_for_503(
    client: FlaskClient, publisher: RecordingPublisher, topic: str
) -> None:
    publisher.refused_topic = topic
    response = post(client, [GOOD, BAD])
    assert response.status_code == 503
    assert "accepted" not in response.get_json()


def test_an_unexpected_error_shows_nothing_of_the_inside(
    client: FlaskClient, publisher: RecordingPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(publisher, "publish", fail)
    response = post(client, GOOD)
    assert response.status_code == 500
    assert b"secret" not in response.data


def test_health_needs_no_broker_and_readiness_does(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    assert client.get("/readyz").status_code == 200
    publisher.is_away = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_the_schema_is_published(client: FlaskClient) -> None:
    schema = client.get("/v1/schema").get_json()
    assert len(schema["versions"][str(schema["current_version"])]["oneOf"]) == 18


def test_wrong_paths_and_methods_are_problems_too(client: FlaskClient) -> None:
    assert client.get("/nope").mimetype == "application/problem+json"
    response = client.get("/v1/events")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
