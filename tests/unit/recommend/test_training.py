"""Both models on a small world, and what tuning may see."""

from dataclasses import replace

import numpy as np
import pytest
from pyspark.sql import SparkSession

from lakehouse.recommend import als, ranking_model, ratings_model, training
from lakehouse.recommend.interactions import Dataset, by_time

SMALL = training.Parameters(
    ratings_model.Parameters(5.0, 4.0, als.Parameters(2, 0.05, sweeps=3)),
    als.Parameters(2, 0.02, sweeps=3),
)


def test_the_models_beat_both_baselines_where_there_are_tastes(
    spark: SparkSession, two_tastes: Dataset
) -> None:
    figures = training.measure(spark, two_tastes, SMALL)
    assert figures.rmse < 0.5 * figures.item_mean_rmse
    assert figures.ranking.ndcg > 1.5 * figures.popularity.ndcg
    assert 0 < figures.ranking.precision <= figures.ranking.recall <= 1
    assert figures.ranking.coverage > figures.popularity.coverage


def test_a_result_can_be_made_again(spark: SparkSession, two_tastes: Dataset) -> None:
    one, other = (training.measure(spark, two_tastes, SMALL) for _ in range(2))
    assert one == other


def test_another_seed_gives_another_model(spark: SparkSession, two_tastes: Dataset) -> None:
    shape = training.shape_of(two_tastes)
    one, other = (
        ranking_model.fit(spark, two_tastes.entries, shape, replace(SMALL.ranking, seed=seed))
        for seed in (1, 2)
    )
    assert not np.allclose(one.factors.movies, other.factors.movies)


def test_without_ratings_the_middle_is_predicted_and_without_likes_nothing_is_ranked(
    spark: SparkSession, two_tastes: Dataset
) -> None:
    none = two_tastes.entries.where(np.zeros(len(two_tastes.entries), np.bool_))
    models = training.fit(spark, none, training.shape_of(two_tastes), SMALL)
    assert models.ratings.predict(np.array([0]), np.array([1])).tolist() == [2.75]
    assert not models.ranking.scores(np.array([0])).any()


def test_predictions_stay_on_the_scale(spark: SparkSession, two_tastes: Dataset) -> None:
    wild = replace(two_tastes.entries, stars=np.where(two_tastes.entries.likes > 0, 5.0, 0.5))
    model = ratings_model.fit(spark, wild, training.shape_of(two_tastes), SMALL.ratings)
    predicted = model.predict(wild.users, wild.movies)
    assert predicted.min() >= 0.5
    assert predicted.max() <= 5


def test_a_movie_without_ratings_has_the_mean_of_all(two_tastes: Dataset) -> None:
    first = two_tastes.entries.where(two_tastes.entries.movies == 0)
    means = ratings_model.movie_means(first, 2)
    assert means.tolist() == [pytest.approx(first.stars.mean())] * 2


def test_tuning_takes_the_best_candidate_and_never_looks_at_what_is_held_out(
    spark: SparkSession, two_tastes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = replace(SMALL.ranking, regularisation=100.0)
    monkeypatch.setattr(training, "RANKING_GRID", (bad, SMALL.ranking))
    monkeypatch.setattr(training, "RATINGS_GRID", (SMALL.ratings,))
    tuned = training.tune(spark, two_tastes, 600)
    assert tuned == training.Tuned(SMALL, 3, 3)
    known, _ = by_time(two_tastes.entries, training.TRAINED_SHARE, 1.0)
    shuffled = replace(two_tastes, entries=known)
    monkeypatch.setattr(training, "FOLDS", tuple((a / 0.8, b / 0.8) for a, b in training.FOLDS))
    assert training.tune(spark, shuffled, 600) == tuned


def test_tuning_ends_in_time_with_the_first_candidates(
    spark: SparkSession, two_tastes: Dataset
) -> None:
    moments = iter((0.0, 5.0, 10.0))
    tuned = training.tune(spark, two_tastes, 10, lambda: next(moments))
    assert tuned == training.Tuned(training.DEFAULTS, 0, tuned.offered)
    assert training.RATINGS_GRID[0] == training.DEFAULTS.ratings
    assert training.RANKING_GRID[0] == training.DEFAULTS.ranking
