"""A model that is published recommends; a worse one is refused, and what was recommended stays."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError, GateFailedError, ServiceError
from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.recommend import registry, signals, training
from lakehouse.recommend.interactions import Dataset
from pipeline import recommend
from tests.unit.recommend.test_training import SMALL

WORSE = replace(SMALL, ranking=replace(SMALL.ranking, rank=1, regularisation=50.0))
SILVER = ("ratings", "watch_history", "watchlist", "movies", "movie_genres", "movie_keywords")


def _put(spark: SparkSession, settings: Settings, name: str, rows: list[dict[str, Any]]) -> None:
    contract = table(f"silver.{name}")
    values = [tuple(row.get(column) for column in contract.column_names) for row in rows]
    tables.upsert(spark, settings, contract, frame_of(spark, values, contract.spark_schema()))


@pytest.fixture
def rated(spark: SparkSession, lake: Settings, two_tastes: Dataset) -> Settings:
    """A lake with the ratings of `two_tastes`, and one new movie that has the genre of the first."""
    for name in SILVER:
        tables.ensure_table(lambda: spark, lake, table(f"silver.{name}"))
    entries = two_tastes.entries
    began = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "user_id": two_tastes.user_ids[user],
            "movie_id": two_tastes.movie_ids[movie],
            "rating": 2 * stars,
            "event_id": str(UUID(int=number)),
            "rated_at": began + timedelta(minutes=int(at)),
            "is_removed": False,
        }
        for number, (user, movie, stars, at) in enumerate(
            zip(entries.users, entries.movies, entries.stars, entries.times, strict=True)
        )
    ]
    _put(spark, lake, "ratings", rows)
    about = {"fetched_at": began, "content_hash": "0" * 64, "is_deleted": False}
    movies = [*two_tastes.movie_ids, 900]
    _put(spark, lake, "movies", [{"movie_id": m, "title": f"Movie {m}", **about} for m in movies])
    _put(spark, lake, "movie_genres", [{"movie_id": m, "genre_id": 18} for m in (101, 900)])
    return lake


def _recommended(settings: Settings) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = changes.query(
        settings, "silver.movie_recommendations", "select * from t order by user_id, rank"
    ).to_pylist()
    return rows


def test_a_worse_model_is_refused_and_the_recommendations_stay(
    spark: SparkSession, rated: Settings, two_tastes: Dataset
) -> None:
    trained = recommend.train(spark, rated, 0, SMALL)
    written = recommend.score(spark, rated)
    before = _recommended(rated)
    assert written["silver.movie_recommendations"] == len(before) > 0
    _are_of_their_taste(before, two_tastes)

    with pytest.raises(GateFailedError, match=r"NDCG@10 .* is below that of the published model"):
        recommend.train(spark, rated, 0, WORSE)
    versions = [changes.current_version(rated, name) for name in recommend.OWNER]
    assert recommend.score(spark, rated) == written
    assert _recommended(rated) == before
    assert [changes.current_version(rated, name) for name in recommend.OWNER] == versions

    latest, first = registry.entries(rated)
    assert (latest.verdict, first.verdict) == ("refused", "published")
    assert latest.parameters == WORSE
    assert "published model" in latest.facts["objections"]
    assert registry.published(rated) == first
    assert first.model_id == trained.model_id

    # Whatever is needed to make the result again was kept with it.
    again = training.measure(spark, signals.read(spark, rated, first.data), first.parameters)
    assert again == trained.figures
    assert first.facts["ndcg_at_10"] == again.ranking.ndcg
    assert first.facts["popularity_ndcg_at_10"] == again.popularity.ndcg


def _are_of_their_taste(rows: list[dict[str, Any]], data: Dataset) -> None:
    liked = {
        (data.user_ids[user], data.movie_ids[movie])
        for user, movie in zip(data.entries.liked.users, data.entries.liked.movies, strict=True)
    }
    known = {
        (data.user_ids[user], data.movie_ids[movie])
        for user, movie in zip(data.entries.users, data.entries.movies, strict=True)
    }
    assert not known & {(row["user_id"], row["movie_id"]) for row in rows}
    reasons = {(row["user_id"], row["because_movie_id"]) for row in rows}
    assert {reason for reason in reasons if reason[1]} <= liked
    firsts = [row for row in rows if row["rank"] == 1]
    assert all(row["because_movie_id"] for row in firsts)
    hits = [row for row in firsts if int(row["user_id"][-2:]) % 2 == (row["movie_id"] - 101) % 2]
    assert len(hits) > 0.9 * len(firsts)


def test_what_cannot_be_done_is_said(spark: SparkSession, lake: Settings) -> None:
    with pytest.raises(ServiceError, match=r"silver\.ratings does not exist"):
        recommend.train(spark, lake, 0)
    with pytest.raises(BadInputError, match="No model of recommendations is published"):
        recommend.score(spark, lake)
    for name in SILVER[:3]:
        tables.ensure_table(lambda: spark, lake, table(f"silver.{name}"))
    with pytest.raises(BadInputError, match="Nobody has liked a movie yet"):
        recommend.train(spark, lake, 0)


def test_parameters_are_read_as_they_are_kept() -> None:
    kept = registry._as_json(SMALL)
    assert registry.read_parameters(kept) == SMALL
    assert asdict(registry.read_parameters(kept)) == asdict(SMALL)
    with pytest.raises(BadInputError, match=r"ratings\.residuals\.rank: "):
        registry.read_parameters(
            kept.replace('"rank": 2', '"rank": "two"', 1).replace('"rank": 2', '"rank": "two"')
        )
    with pytest.raises(BadInputError, match="the text: Invalid JSON"):
        registry.read_parameters("{")
