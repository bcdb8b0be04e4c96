"""How good predictions and rankings are."""

from dataclasses import dataclass

import numpy as np

from lakehouse.recommend.interactions import Floats, Interactions
from lakehouse.recommend.ranking_model import Ranker, best

LIST_LENGTH = 10


@dataclass(frozen=True)
class RankingMetrics:
    """Means over the users who liked something that was held out; each 0 to 1.

    Args:
        precision: Share of the ten recommended movies that the user liked.
        recall: Share of the movies they liked that are among the ten.
        ndcg: Normalised discounted cumulative gain of the ten, with gain 1 for a movie they liked (Järvelin and
            Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002).
        coverage: Share of all movies that were recommended to anybody.
    """

    precision: float
    recall: float
    ndcg: float
    coverage: float


def rmse(predicted: Floats, stars: Floats) -> float:
    """Root of the mean squared error, in stars; NaN without ratings."""
    return float(np.sqrt(np.mean((predicted - stars) ** 2))) if len(stars) else float("nan")


def measure_ranking(
    ranker: Ranker, known: Interactions, held_out: Interactions, movie_count: int
) -> RankingMetrics:
    """Measure a ranking on what users liked later.

    Args:
        ranker: Fitted to `known`.
        known: What users did; these movies are not recommended to them again.
        held_out: What they did later.
        movie_count: Number of movies.
    """
    liked = held_out.liked
    users = np.unique(liked.users)
    if not len(users):
        return RankingMetrics(0.0, 0.0, 0.0, 0.0)
    discounts = 1 / np.log2(np.arange(2, LIST_LENGTH + 2))
    wanted = np.bincount(liked.users, minlength=int(users.max()) + 1)
    pairs = liked.users * movie_count + liked.movies
    hits, recommended = [], np.zeros(movie_count, np.bool_)
    for block, movies, scores in best(ranker, users, known, LIST_LENGTH):
        is_hit = np.isin(block[:, None] * movie_count + movies, pairs) & np.isfinite(scores)
        hits.append(np.pad(is_hit, ((0, 0), (0, LIST_LENGTH - movies.shape[1]))))
        recommended[movies[np.isfinite(scores)]] = True
    found = np.concatenate(hits).astype(np.float64)
    possible = np.minimum(wanted[users], LIST_LENGTH)
    ideal = np.cumsum(discounts)[possible - 1]
    return RankingMetrics(
        precision=float(found.mean()),
        recall=float((found.sum(axis=1) / wanted[users]).mean()),
        ndcg=float((found @ discounts / ideal).mean()),
        coverage=float(recommended.mean()),
    )
