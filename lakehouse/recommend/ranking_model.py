"""Which movies a user would like most: a factorisation of what users liked, and the baseline, popularity."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from pyspark.sql import SparkSession

from lakehouse.recommend import als
from lakehouse.recommend.interactions import Floats, Interactions, Ints

BLOCK = 1024
"""Users that are ranked at once: their scores of all movies are in memory together."""


class Ranker(Protocol):
    """Something that scores every movie for some users."""

    def scores(self, users: Ints) -> Floats:
        """A row a user and a column a movie; the higher, the better."""


class RankingModel:
    """Scores by the product of factors.

    Args:
        factors: Of implicit signals.
    """

    def __init__(self, factors: als.Factors) -> None:
        self.factors = factors

    def scores(self, users: Ints) -> Floats:
        """A row a user and a column a movie."""
        product: Floats = self.factors.users[users] @ self.factors.movies.T
        return product


class Popularity:
    """Scores every movie by how much it was liked, the same for everybody.

    Args:
        entries: What users did.
        movie_count: Number of movies.
    """

    def __init__(self, entries: Interactions, movie_count: int) -> None:
        self.counts: Floats = np.bincount(
            entries.movies, weights=entries.likes, minlength=movie_count
        ).astype(np.float64)

    def scores(self, users: Ints) -> Floats:
        """A row a user and a column a movie."""
        return np.broadcast_to(self.counts, (len(users), len(self.counts)))


def fit(
    spark: SparkSession, entries: Interactions, shape: tuple[int, int], parameters: als.Parameters
) -> RankingModel:
    """Fit the model to what users liked.

    Movies that a user rated low are left out like those they never saw: taken as liked, as counts of views would have
    it, they made the ranking of MovieLens worse by a fifth.

    Args:
        spark: The session.
        entries: What users did.
        shape: Number of users and movies.
        parameters: How.
    """
    liked = entries.liked
    factors = als.fit(
        spark, liked.users, liked.movies, liked.likes, shape, parameters, is_implicit=True
    )
    return RankingModel(factors)


def best(
    ranker: Ranker, users: Ints, known: Interactions, count: int
) -> Iterator[tuple[Ints, Ints, Floats]]:
    """The best movies of each user among those they did not have to do with.

    Args:
        ranker: Scores movies.
        users: Whose; each once.
        known: What they did.
        count: How many movies are wanted.

    Yields:
        For a block of users: the users; their movies, a row a user, the best first, of equal ones the lower first;
        the scores of these. A score of minus infinity fills a row of a user who has fewer movies left.
    """
    for start in range(0, len(users), BLOCK):
        block = users[start : start + BLOCK]
        scores = np.array(ranker.scores(block), np.float64)
        row_of = np.full(max(int(users.max()), int(known.users.max(initial=0))) + 1, -1)
        row_of[block] = np.arange(len(block))
        rows = row_of[known.users]
        scores[rows[rows >= 0], known.movies[rows >= 0]] = -np.inf
        movies = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        yield block, movies, np.take_along_axis(scores, movies, axis=1)
