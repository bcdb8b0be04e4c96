"""A page of an origin that is not allowed gets nothing into Kafka, and is told so."""

import orjson
import pytest
from events_by_type import event_of
from flask.testing import FlaskClient
from recording_publisher import KEY, KnownKeys, RecordingPublisher
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from cinelake.settings import load_settings
from ingestion.api.app import create_app

LISTED = "https://movies.example,http://Localhost:3000"
BODY = orjson.dumps(event_of("rating"))


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


def api(publisher: RecordingPublisher, **variables: str) -> FlaskClient:
    settings = load_settings(**variables)
    return create_app(settings, publisher, KnownKeys()).test_client()


def post(client: FlaskClient, origin: str, **headers: str) -> TestResponse:
    sent = {"Content-Type": "text/plain", "X-API-Key": KEY, "Origin": origin, **headers}
    return client.post("/v1/events", data=BODY, headers=sent)


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "text/html", ""])
@pytest.mark.parametrize(
    ("origin", "listed"),
    [
        ("https://evil.example", ""),
        ("https://evil.example", LISTED),
        ("null", LISTED),
        ("", LISTED),
        ("https://movies.example.evil.example", LISTED),
        ("https://amovies.example", LISTED),
        ("http://movies.example", LISTED),
        ("https://movies.example:8443", LISTED),
        ("https://localhost", ""),
        ("http://localhost:81", ""),
        ("https://movies.example, https://evil.example", LISTED),
    ],
)
def test_a_page_of_another_origin_is_refused_whatever_it_sends(
    publisher: RecordingPublisher, origin: str, listed: str, content_type: str
) -> None:
    client = api(publisher, CINELAKE_CORS_ORIGINS=listed)
    for key in (KEY, ""):
        answer = post(client, origin, **{"Content-Type": content_type, "X-API-Key": key})
        assert answer.status_code == 403
        assert answer.get_json()["type"] == "urn:cinelake:problem:origin-not-allowed"
        # The page may read why, so that it does not take the request for lost.
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert publisher.records == []


@pytest.mark.parametrize(
    ("origin", "listed"),
    [
        ("http://localhost", ""),
        ("https://movies.example", LISTED),
        ("http://localhost:3000", LISTED),
        ("https://anything.example", "*"),
        ("null", "*"),
    ],
)
def test_its_own_pages_and_those_that_are_listed_may_send(
    publisher: RecordingPublisher, origin: str, listed: str
) -> None:
    assert post(api(publisher, CINELAKE_CORS_ORIGINS=listed), origin).status_code == 202
    assert len(publisher.records) == 1


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/events", "OPTIONS"),
        ("/v1/recommendations/ada", "GET"),
        ("/v1/schema", "GET"),
        ("/openapi/openapi.json", "GET"),
        ("/nowhere", "GET"),
    ],
)
def test_every_route_refuses_other_origins(
    publisher: RecordingPublisher, path: str, method: str
) -> None:
    answer = api(publisher).open(path, method=method, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    # A browser that asks before it sends takes a header for leave.
    assert ("Access-Control-Allow-Origin" in answer.headers) == (method != "OPTIONS")


@pytest.mark.parametrize(("proxies", "status"), [("0", 403), ("1", 202)])
def test_its_own_origin_behind_a_proxy_is_the_one_that_the_proxy_tells(
    publisher: RecordingPublisher, proxies: str, status: int
) -> None:
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "events.example"}
    client = api(publisher, CINELAKE_TRUSTED_PROXIES=proxies)
    assert post(client, "https://events.example", **told).status_code == status


@pytest.mark.parametrize(
    ("protocol", "host", "status"),
    [("HTTP/1.1", None, 400), ("HTTP/1.1", "", 400), ("HTTP/1.0", None, 200)],
)
def test_http_1_1_has_a_host(
    publisher: RecordingPublisher, protocol: str, host: str | None, status: int
) -> None:
    app = create_app(publisher=publisher, keys=KnownKeys())
    environ = EnvironBuilder("/healthz").get_environ() | {"SERVER_PROTOCOL": protocol}
    del environ["HTTP_HOST"]
    environ |= {"HTTP_HOST": host} if host is not None else {}
    _, answered, _ = run_wsgi_app(app, environ)
    assert answered.startswith(str(status))
