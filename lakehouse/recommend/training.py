"""Fitting both models, tuning them on the past, and measuring them on what came after."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from pyspark.sql import SparkSession

from lakehouse.recommend import als, ranking_model, ratings_model
from lakehouse.recommend.interactions import Dataset, Interactions, by_time
from lakehouse.recommend.metrics import RankingMetrics, measure_ranking, rmse
from lakehouse.recommend.ranking_model import Popularity, RankingModel
from lakehouse.recommend.ratings_model import RatingsModel

TRAINED_SHARE = 0.8
"""Of each user's entries, the earliest: the others are held out to measure on, and never tuned on."""
FOLDS = ((0.4, 0.6), (0.6, 0.8))
"""Cross-validation forward in time: each fold trains on what is before the first share, and looks at what is between."""

C = TypeVar("C")


@dataclass(frozen=True)
class Parameters:
    """Of both models; with the data, all that a result depends on."""

    ratings: ratings_model.Parameters
    ranking: als.Parameters


DEFAULTS = Parameters(
    ratings_model.Parameters(5.0, 4.0, als.Parameters(20, 0.15)),
    als.Parameters(20, 0.02),
)
"""What serves MovieLens; where tuning has no time, they stand."""

RATINGS_GRID = tuple(
    ratings_model.Parameters(5.0, movie_prior, als.Parameters(rank, regularisation))
    for rank, regularisation in ((20, 0.15), (40, 0.15), (20, 0.2), (10, 0.2))
    for movie_prior in (4.0, 2.0)
)
RANKING_GRID = tuple(
    als.Parameters(rank, regularisation, alpha)
    for rank, regularisation in ((20, 0.02), (10, 0.05), (40, 0.05), (20, 0.1))
    for alpha in (1.0, 3.0)
)


@dataclass(frozen=True)
class Models:
    """Both models, fitted to the same entries."""

    ratings: RatingsModel
    ranking: RankingModel


@dataclass(frozen=True)
class Figures:
    """How good the models are on what was held out, beside the baselines.

    Args:
        rmse: Of the predicted ratings, in stars.
        item_mean_rmse: Of each movie's mean in their place.
        ranking: Of the recommended lists.
        popularity: Of the most liked movies in their place.
    """

    rmse: float
    item_mean_rmse: float
    ranking: RankingMetrics
    popularity: RankingMetrics


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Args:
        parameters: The best ones.
        tried: How many candidates of both models there was time for.
        offered: How many there were.
    """

    parameters: Parameters
    tried: int
    offered: int


def shape_of(data: Dataset) -> tuple[int, int]:
    """Number of users and movies."""
    return len(data.user_ids), len(data.movie_ids)


def fit(
    spark: SparkSession, entries: Interactions, shape: tuple[int, int], parameters: Parameters
) -> Models:
    """Fit both models to some entries."""
    return Models(
        ratings_model.fit(spark, entries, shape, parameters.ratings),
        ranking_model.fit(spark, entries, shape, parameters.ranking),
    )


def measure(spark: SparkSession, data: Dataset, parameters: Parameters) -> Figures:
    """Fit the models to the earlier entries of each user, and measure them on the last ones.

    Args:
        spark: The session.
        data: All entries.
        parameters: Of the models.
    """
    shape = shape_of(data)
    known, held_out = by_time(data.entries, TRAINED_SHARE, 1.0)
    models = fit(spark, known, shape, parameters)
    rated = held_out.rated
    means = ratings_model.movie_means(known, shape[1])
    return Figures(
        rmse=rmse(models.ratings.predict(rated.users, rated.movies), rated.stars),
        item_mean_rmse=rmse(means[rated.movies], rated.stars),
        ranking=measure_ranking(models.ranking, known, held_out, shape[1]),
        popularity=measure_ranking(Popularity(known, shape[1]), known, held_out, shape[1]),
    )


def tune(
    spark: SparkSession,
    data: Dataset,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Choose the parameters that do best on the entries that `measure` trains on.

    Args:
        spark: The session.
        data: All entries; those that `measure` holds out are not looked at.
        seconds: No candidate is begun after so long. The two models have half of it each.
        clock: Tells the time, in seconds.

    Returns:
        The best candidates; the first of each model, which stands in `DEFAULTS`, where there was time for none.
    """
    folds = [by_time(data.entries, *shares) for shares in FOLDS]
    shape = shape_of(data)

    def ratings_loss(candidate: ratings_model.Parameters) -> float:
        return _mean(_rmse_on(spark, fold, shape, candidate) for fold in folds)

    def ranking_loss(candidate: als.Parameters) -> float:
        return -_mean(_ndcg_on(spark, fold, shape, candidate) for fold in folds)

    began = clock()
    ratings, tried = _best(RATINGS_GRID, ratings_loss, began + seconds / 2, clock)
    ranking, also_tried = _best(RANKING_GRID, ranking_loss, began + seconds, clock)
    return Tuned(
        replace(DEFAULTS, ratings=ratings, ranking=ranking),
        tried + also_tried,
        len(RATINGS_GRID) + len(RANKING_GRID),
    )


def _best(
    candidates: Sequence[C], loss: Callable[[C], float], until: float, clock: Callable[[], float]
) -> tuple[C, int]:
    """The candidate with the least loss, and how many were tried before time was up."""
    chosen, least, tried = candidates[0], float("inf"), 0
    for candidate in candidates:
        if clock() >= until:
            break
        lost = loss(candidate)
        tried += 1
        if lost < least:
            chosen, least = candidate, lost
    return chosen, tried


def _rmse_on(
    spark: SparkSession,
    fold: tuple[Interactions, Interactions],
    shape: tuple[int, int],
    parameters: ratings_model.Parameters,
) -> float:
    known, later = fold
    rated = later.rated
    model = ratings_model.fit(spark, known, shape, parameters)
    return rmse(model.predict(rated.users, rated.movies), rated.stars)


def _ndcg_on(
    spark: SparkSession,
    fold: tuple[Interactions, Interactions],
    shape: tuple[int, int],
    parameters: als.Parameters,
) -> float:
    known, later = fold
    model = ranking_model.fit(spark, known, shape, parameters)
    return measure_ranking(model, known, later, shape[1]).ndcg


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
