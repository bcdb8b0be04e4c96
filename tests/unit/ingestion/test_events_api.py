import base64
import gzip
import re
import uuid
import zlib
from typing import Any

import orjson
import pytest
from events_by_type import event_of
from flask.testing import FlaskClient
from recording_publisher import KEY, KnownKeys, RecordingPublisher
from werkzeug.test import TestResponse

from cinelake.settings import load_settings, new_api_key
from ingestion.api.app import create_app
from ingestion.topics import MAX_MESSAGE_BYTES, USER_LOGS, USER_LOGS_REJECTED

GOOD = event_of("rating")
BAD = event_of("rating", properties={"rating": 11})


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture(params=["", "https://page.example"], ids=["shortcut", "through Flask"])
def client(request: pytest.FixtureRequest, publisher: RecordingPublisher) -> FlaskClient:
    """A client whose events go both ways: those of a page from elsewhere go through Flask."""
    settings = load_settings(CINELAKE_CORS_ORIGINS=request.param)
    client = create_app(settings, publisher, KnownKeys()).test_client()
    if request.param:
        client.environ_base["HTTP_ORIGIN"] = request.param
    return client


def post(client: FlaskClient, body: Any, **headers: str) -> TestResponse:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {
        "Content-Type": "application/json",
        "User-Agent": "Browser/1",
        "X-API-Key": KEY,
        **headers,
    }
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
    assert set(value) == {"received_at", "key_id", "reason", "body_base64"}
    assert value["key_id"] == KEY.split("_")[1]
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
    "body", [b"", b"nope", b"{", b'{"a":NaN}', b"[1,]", b"\xff\xfe", b"\xef\xbb{}", b"\xef\xbb\xbf"]
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


@pytest.mark.parametrize("mimetype", ["application/x-www-form-urlencoded", "text/html", ""])
def test_another_content_type_is_415(client: FlaskClient, mimetype: str) -> None:
    assert post(client, GOOD, **{"Content-Type": mimetype}).status_code == 415


def test_a_beacon_may_say_text_plain_and_carry_the_key_in_the_address(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    response = client.post(
        f"/v1/events?key={KEY}", data=orjson.dumps(GOOD), content_type="text/plain;charset=UTF-8"
    )
    assert response.status_code == 202
    assert len(publisher.values(USER_LOGS)) == 1


def test_a_gzip_body_is_inflated(client: FlaskClient, publisher: RecordingPublisher) -> None:
    body = gzip.compress(orjson.dumps([GOOD, BAD]))
    response = post(client, body, **{"Content-Encoding": "gzip"})
    assert response.status_code == 202
    assert len(publisher.values(USER_LOGS)) == 1
    assert kept_bytes(publisher) == [orjson.dumps(BAD)]


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 200 * 1024 * 1024])
def test_a_gzip_bomb_is_413_and_never_inflated(client: FlaskClient, size: int) -> None:
    stream = zlib.compressobj(wbits=31)
    bomb = b"".join(stream.compress(b" " * 1024 * 1024) for _ in range(size // 1024**2))
    bomb += stream.compress(b" " * (size % 1024**2)) + stream.flush()
    assert post(client, bomb, **{"Content-Encoding": "gzip"}).status_code == 413


@pytest.mark.parametrize("damage", ["plain", "cut", "tail", "empty"])
def test_a_broken_gzip_body_is_400_and_kept_as_it_came(
    client: FlaskClient, publisher: RecordingPublisher, damage: str
) -> None:
    whole = gzip.compress(orjson.dumps(GOOD))
    body = {"plain": b"{}", "cut": whole[:-9], "tail": whole + b"x", "empty": b""}[damage]
    assert post(client, body, **{"Content-Encoding": "gzip"}).status_code == 400
    assert kept_bytes(publisher) == [body]


@pytest.mark.parametrize(
    ("coding", "times"),
    [
        *(("GZIP", 1), ("x-gzip", 1), ("X-Gzip", 1), (" gzip ", 1), ("identity, gzip", 1)),
        *(("gzip,", 1), ("gzip, gzip", 2), ("Identity", 0), ("", 0), ("identity, ,", 0)),
    ],
)
def test_a_coding_is_named_in_any_case_and_in_a_list(
    client: FlaskClient, publisher: RecordingPublisher, coding: str, times: int
) -> None:
    body = orjson.dumps(GOOD)
    for _ in range(times):
        body = gzip.compress(body)
    assert post(client, body, **{"Content-Encoding": coding}).status_code == 202
    assert len(publisher.values(USER_LOGS)) == 1


def test_a_gzip_body_may_have_several_members(
    client: FlaskClient, publisher: RecordingPublisher
) -> None:
    whole = orjson.dumps(GOOD)
    body = gzip.compress(whole[:50]) + gzip.compress(b"") + gzip.compress(whole[50:])
    assert post(client, body, **{"Content-Encoding": "gzip"}).status_code == 202
    assert len(publisher.values(USER_LOGS)) == 1
    many = gzip.compress(whole) + gzip.compress(b"") * 10_000
    assert post(client, many, **{"Content-Encoding": "gzip"}).status_code == 400


@pytest.mark.parametrize("coding", ["br", "gzip, br", "deflate", "gzip;q=1", "gzip, gzip, gzip"])
def test_another_coding_is_415(client: FlaskClient, coding: str) -> None:
    assert post(client, GOOD, **{"Content-Encoding": coding}).status_code == 415


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_may_begin_with_a_byte_order_mark(
    client: FlaskClient, publisher: RecordingPublisher, packed: bool
) -> None:
    body = b"\xef\xbb\xbf" + orjson.dumps([GOOD, BAD])
    coding = {"Content-Encoding": "gzip"} if packed else {}
    assert post(client, gzip.compress(body) if packed else body, **coding).status_code == 202
    assert len(publisher.values(USER_LOGS)) == 1
    assert kept_bytes(publisher) == [orjson.dumps(BAD)]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": ""},
        {"X-API-Key": "cl_000000000000_wrong-secret-wrong-secret"},
        {"X-API-Key": "", "Authorization": "Basic " + KEY},
        {"X-API-Key": KEY, "Authorization": "Bearer wrong"},
    ],
)
def test_without_a_good_key_nothing_is_read(
    client: FlaskClient, publisher: RecordingPublisher, headers: dict[str, str]
) -> None:
    response = post(client, GOOD, **headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert publisher.records == []


def test_a_key_may_come_as_a_bearer_token(client: FlaskClient) -> None:
    headers = {"X-API-Key": "", "Authorization": f"Bearer {KEY}"}
    assert post(client, GOOD, **headers).status_code == 202


def test_a_key_that_has_used_up_its_rate_is_told_when_to_come_back(
    publisher: RecordingPublisher,
) -> None:
    key = new_api_key()
    client = create_app(
        publisher=publisher, keys=KnownKeys(key, requests_per_second=3)
    ).test_client()
    answers = [post(client, GOOD, **{"X-API-Key": key}) for _ in range(8)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:3] == [202] * 3
    assert statuses[-1] == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert len(publisher.records) == statuses.count(202)


@pytest.mark.parametrize(
    "forged",
    [
        {"received_at": "2020-01-01T00:00:00Z"},
        {"key_id": "abc"},
        {"context": {"ip": "192.0.2.1"}},
        {"context": {"user_agent": "Forged/1"}},
    ],
)
def test_a_client_cannot_forge_what_the_server_observes(
    client: FlaskClient, publisher: RecordingPublisher, forged: dict[str, Any]
) -> None:
    response = post(client, event_of("page_view", **forged))
    assert response.status_code == 422
    assert "is set by the server" in response.get_json()["errors"][0]["reason"]
    assert publisher.values(USER_LOGS) == []


@pytest.mark.parametrize(("proxies", "ip"), [("0", "127.0.0.1"), ("1", "198.51.100.7")])
def test_a_forwarded_address_is_believed_only_behind_a_proxy(
    publisher: RecordingPublisher, proxies: str, ip: str
) -> None:
    settings = load_settings(CINELAKE_TRUSTED_PROXIES=proxies)
    client = create_app(settings, publisher, KnownKeys()).test_client()
    post(client, GOOD, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
    assert publisher.values(USER_LOGS)[0]["context"]["ip"] == ip


def test_pages_of_configured_origins_may_send_and_others_may_not(
    publisher: RecordingPublisher,
) -> None:
    settings = load_settings(CINELAKE_CORS_ORIGINS="https://movies.example")
    client = create_app(settings, publisher, KnownKeys()).test_client()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    allowed = client.options("/v1/events", headers={"Origin": "https://movies.example", **asked})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://movies.example"
    assert "X-API-Key".lower() in allowed.headers["Access-Control-Allow-Headers"].lower()
    refused = client.options("/v1/events", headers={"Origin": "https://evil.example", **asked})
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_the_document_describes_every_route_and_event_type(client: FlaskClient) -> None:
    document = client.get("/openapi/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        *("/v1/events", "/v1/schema", "/healthz", "/readyz", "/metrics"),
        *("/v1/recommendations/{user_id}", "/v1/similar/{movie_id}"),
    }
    assert len(document["components"]["schemas"]["Event"]["oneOf"]) == 18
    text = client.get("/openapi/openapi.json").get_data(as_text=True)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named <= set(document["components"]["schemas"])
    assert b"swagger" in client.get("/openapi/swagger").data.lower()


def test_metrics_count_what_happened(client: FlaskClient) -> None:
    def figure(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    accepted = 'cinelake_api_events_total{outcome="accepted"}'
    refused = 'cinelake_api_requests_total{route="/v1/events",status="401"}'
    before = (figure(accepted), figure(refused))
    post(client, [GOOD, BAD, GOOD])
    post(client, GOOD, **{"X-API-Key": "wrong"})
    assert (figure(accepted), figure(refused)) == (before[0] + 2, before[1] + 1)


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
            f"/v1/events?key={KEY}",
            data=body,
            content_type="application/json",
            environ_overrides=environ,
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
