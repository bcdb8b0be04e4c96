"""Scores that were published reach gold through dbt, and whoever asks the API through PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from ingestion.api import keys
from ingestion.api.app import close_app, create_app
from ingestion.api.recommendations import Recommendations
from ingestion.api.scopes import Scope
from pipeline.dbt import run_dbt
from tests.integration.silver_writer import Silver

MODEL = "a" * 64
MODELS = ("movie_recommendations", "similar_movies", "movie_popularity")


@pytest.fixture
def client(settings: Settings, silver: Silver) -> Iterator[FlaskClient]:
    """The API on a gold in which Ada is recommended two movies, one because of another."""
    silver.version = 1
    silver.named()
    for movie_id in range(1, 41):
        silver.movie(movie_id)
    for user_id in ("ada", "nil"):
        silver.user(user_id)
        silver.session(f"{user_id} 1", user_id)
    silver.event(1, "ada", "ada 1", 1)
    silver.rating(1, "ada", 1, 9.0)
    silver.recommended("ada", 3, 1, because=1)
    silver.recommended("ada", 2, 2, because=None)
    silver.alike(1, 3, 1)
    key = keys.create_key(
        settings, "recommendations", requests_per_second=1_000_000, scopes=[Scope.READ]
    )
    app = create_app(settings)
    client = app.test_client()
    client.environ_base["HTTP_X_API_KEY"] = key
    yield client
    close_app(app)


def _get(client: FlaskClient, path: str, status: int = 200) -> dict[str, Any]:
    response = client.get(path)
    assert response.status_code == status, response.data
    found: dict[str, Any] = response.get_json()
    return found


def test_the_api_answers_from_gold_what_silver_was_scored(
    client: FlaskClient, settings: Settings, silver: Silver
) -> None:
    empty = _get(client, "/v1/recommendations/ada")
    assert (empty["source"], empty["movies"]) == ("fallback", [])

    for options in (
        ["run", "--select", *(f"+{name}" for name in MODELS)],
        ["test", "--select", *MODELS[:2]],
    ):
        done = run_dbt(settings, options, target="dev")
        assert done.success, done.failed

    ada = _get(client, "/v1/recommendations/ada")
    assert (ada["source"], ada["model_id"]) == ("model", MODEL)
    assert [(each["movie_id"], each["title"], each["explanation"]) for each in ada["movies"]] == [
        (3, "Movie 3", "because you rated Movie 1 9"),
        (2, "Movie 2", "because users with your taste liked it"),
    ]
    for user in ("nil", "nobody"):
        fallback = _get(client, f"/v1/recommendations/{user}")
        assert (fallback["source"], len(fallback["movies"])) == ("fallback", 20)
    alike = _get(client, "/v1/similar/1")
    assert (alike["source"], [each["movie_id"] for each in alike["movies"]]) == ("model", [3])
    of_no_genre = _get(client, "/v1/similar/7")
    assert of_no_genre["source"] == "fallback"
    assert 7 not in {each["movie_id"] for each in of_no_genre["movies"]}
    _get(client, "/v1/similar/999", 404)
    _get(client, "/v1/similar/seven", 422)

    silver.version = 2
    silver.delete("movie_recommendations", user_id="ada", movie_id=2)
    built = run_dbt(settings, ["run", "--select", "movie_recommendations"], target="dev")
    assert built.success, built.failed
    assert [each["movie_id"] for each in _get(client, "/v1/recommendations/ada")["movies"]] == [3]


def test_many_threads_share_few_connections(settings: Settings) -> None:
    recommendations = Recommendations(settings, connections=2)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(recommendations.popular, range(1, 65)))
    with psycopg.connect(settings.postgres) as connection:
        counted = connection.execute(
            "select count(*) from pg_stat_activity"
            " where pid <> pg_backend_pid() and query like '%gold.movie_popularity%'"
        ).fetchone()
    assert counted is not None
    assert 1 <= counted[0] <= 2


def test_who_finds_no_connection_free_is_told_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.api.recommendations.SECONDS", 0.1)
    recommendations = Recommendations(settings, connections=1)
    with recommendations._connection(), pytest.raises(ServiceError, match="Too many recommend"):
        recommendations.popular(1)
    assert recommendations.popular(1) is not None
