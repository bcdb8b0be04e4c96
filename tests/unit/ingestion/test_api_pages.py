"""Who opens the API's address finds the way, and web pages get the tracker from there."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from recording_publisher import KnownKeys, RecordingPublisher

from ingestion.api.app import create_app
from ingestion.api.pages import INDEX, STATIC


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app(publisher=RecordingPublisher(), keys=KnownKeys()).test_client()


def test_the_root_names_every_page_and_each_is_there(client: FlaskClient) -> None:
    root = client.get("/")
    assert root.status_code == 200
    assert root.get_json() == INDEX
    for name, path in root.get_json()["links"].items():
        answer = client.get(path)
        # Events are posted there.
        assert answer.status_code == (405 if name == "events" else 200), path


def test_every_route_that_needs_no_more_than_its_address_is_named_at_the_root(
    client: FlaskClient,
) -> None:
    named = set(INDEX["links"].values())
    rules = [rule for rule in client.application.url_map.iter_rules() if not rule.arguments]
    ours = {rule.rule for rule in rules if not rule.rule.startswith("/openapi")} - {"/"}
    assert ours <= named


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_each_file_has_its_type_and_is_what_is_in_the_folder(
    client: FlaskClient, path: Path
) -> None:
    answer = client.get(f"/static/{path.name}")
    assert answer.data == path.read_bytes()
    kind = {".js": "text/javascript", ".html": "text/html"}[path.suffix]
    assert answer.content_type == f"{kind}; charset=utf-8"
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert len(answer.headers.getlist("Cache-Control")) == 1


def test_a_browser_keeps_the_tracker_for_an_hour_and_then_asks_whether_it_changed(
    client: FlaskClient,
) -> None:
    first = client.get("/static/cinelake.js")
    assert first.headers["Cache-Control"] == "public, max-age=3600"
    again = client.get("/static/cinelake.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/static/demo.html").headers["Cache-Control"] == "no-cache"


def test_answers_about_events_are_kept_by_nobody(client: FlaskClient) -> None:
    for path in ("/", "/v1/schema", "/nowhere"):
        assert client.get(path).headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.parametrize(
    "name", ["nothing.js", "../api/app.py", "..%2Fapi%2Fapp.py", "__pycache__", ".", "%00"]
)
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
