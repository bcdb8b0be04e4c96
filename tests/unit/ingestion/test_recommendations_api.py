"""What is recommended, by a model or as a fallback that says so; a wrong id is told what is wrong with it."""

import hmac
from typing import Any
from urllib.parse import quote

import pytest
from events_by_type import event_of
from flask.testing import FlaskClient
from recording_publisher import KEY, KnownKeys, RecordingPublisher

from cinelake.errors import ServiceError
from cinelake.settings import load_settings
from ingestion.api.app import create_app
from ingestion.api.document import Recommended
from ingestion.api.recommendations import Recommendations
from ingestion.events import validate_event

ADA = {
    "movie_id": 949,
    "title": "Heat",
    "rank": 1,
    "predicted_rating": 8.7,
    "basis": "taste",
    "explanation": "because you rated Ronin 9",
    "model_id": "f" * 64,
}
LIKE_HEAT = {"movie_id": 8195, "title": "Ronin", "rank": 1, "score": 0.9, "basis": "taste", "model_id": "f" * 64}  # fmt: skip
POPULAR = {"movie_id": 13, "title": "Forrest Gump", "rank": 1, "rating_count": 9, "mean_rating": 8.1}  # fmt: skip


class _Gold:
    """Knows one user, and one movie of two that is like another."""

    is_away = False

    def of_user(self, user_id: str, count: int) -> list[dict[str, Any]]:
        if self.is_away:
            raise ServiceError("PostgreSQL cannot be reached: secret-host", "")
        return [ADA] if user_id == "ada" else []

    def alike(self, movie_id: int, count: int) -> list[dict[str, Any]]:
        return [LIKE_HEAT] if movie_id == 949 else []

    def is_movie(self, movie_id: int) -> bool:
        return movie_id in (949, 40)

    def popular(self, count: int, but: int | None = None) -> list[dict[str, Any]]:
        return [POPULAR]


@pytest.fixture
def gold() -> _Gold:
    return _Gold()


@pytest.fixture
def client(gold: _Gold) -> FlaskClient:
    app = create_app(publisher=RecordingPublisher(), keys=KnownKeys(), recommendations=gold)
    return app.test_client()


def _get(client: FlaskClient, path: str, status: int) -> dict[str, Any]:
    response = client.get(path, headers={"X-API-Key": KEY})
    assert response.status_code == status, response.data
    body: dict[str, Any] = response.get_json()
    if status == 200:
        Recommended.model_validate(body)
    else:
        assert response.mimetype == "application/problem+json"
        assert body["detail"]
    return body


def test_a_user_gets_movies_with_the_reason(client: FlaskClient) -> None:
    body = _get(client, "/v1/recommendations/ada", 200)
    assert (body["source"], body["model_id"]) == ("model", "f" * 64)
    assert body["movies"] == [{name: ADA[name] for name in ADA if name != "model_id"}]


def test_an_unknown_user_gets_a_fallback_that_says_so(client: FlaskClient) -> None:
    body = _get(client, "/v1/recommendations/nobody", 200)
    assert body["source"] == "fallback"
    assert "popular" in body["reason"]
    assert body["movies"] == [POPULAR]


def test_a_movie_gets_those_like_it_and_one_like_none_a_fallback(client: FlaskClient) -> None:
    assert _get(client, "/v1/similar/949", 200)["source"] == "model"
    body = _get(client, "/v1/similar/40", 200)
    assert (body["source"], body["movies"]) == ("fallback", [POPULAR])
    assert "compared with no other" in body["reason"]


def test_a_movie_that_nobody_knows_is_not_found(client: FlaskClient) -> None:
    body = _get(client, "/v1/similar/41", 404)
    assert body["type"] == "urn:cinelake:problem:unknown-movie"


@pytest.mark.parametrize(
    "path",
    [
        *(f"/v1/similar/{name}" for name in ("heat", "0", "-1", "1.5", "9" * 16, "9" * 5000, "%C2%B2", "1%00")),
        *(f"/v1/recommendations/{name}" for name in ("a" * 129, "a%00", "a%0Ab", "%1B[31m", "a%7F", "a%C2%85")),
    ],
)  # fmt: skip
def test_a_malformed_id_is_refused_with_a_reason(client: FlaskClient, path: str) -> None:
    body = _get(client, path, 422)
    assert body["type"] == "urn:cinelake:problem:malformed-id"
    assert " id " in body["detail"]


@pytest.mark.parametrize(
    "user_id", ["👩\u200d💻", "ada\u00a0l", "a\u00adb", "\u202eada", "\ue000", "a b", "a\u2028b"]
)
def test_who_can_send_events_can_ask_for_recommendations(client: FlaskClient, user_id: str) -> None:
    assert validate_event(event_of("page_view", user_id=user_id)).user_id == user_id
    assert _get(client, f"/v1/recommendations/{quote(user_id)}", 200)["movies"] == [POPULAR]


def test_who_has_no_key_gets_nothing(client: FlaskClient) -> None:
    for path in ("/v1/recommendations/ada", "/v1/similar/949"):
        assert client.get(path).status_code == 401


def test_when_gold_cannot_be_read_the_client_is_told_to_come_back(
    client: FlaskClient, gold: _Gold
) -> None:
    gold.is_away = True
    response = client.get("/v1/recommendations/ada", headers={"X-API-Key": KEY})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert b"secret-host" not in response.data


@pytest.mark.parametrize("key", ["a-key-for-tests-only", None])
def test_who_asks_by_an_address_finds_what_its_pseudonym_is_recommended(
    key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    gold = Recommendations(load_settings(CINELAKE_PSEUDONYM_KEY=key))
    monkeypatch.setattr(gold, "_rows", lambda _, *values: asked.append(values))
    for user_id in ("Ada@Example.org", "ada"):
        gold.of_user(user_id, 5)
    pseudonym = key and hmac.new(key.encode(), b"ada@example.org", "sha256").hexdigest()
    assert asked == [(pseudonym or "Ada@Example.org", 5), ("ada", 5)]
