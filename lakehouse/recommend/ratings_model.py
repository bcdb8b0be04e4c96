"""What a user would rate a movie: biases of users and movies, and a factorisation of what they leave.

Source of the form: Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", 2009.
"""

from dataclasses import dataclass

import numpy as np
from pyspark.sql import SparkSession

from lakehouse.recommend import als
from lakehouse.recommend.interactions import Floats, Interactions, Ints

LEAST_STARS, MOST_STARS = 0.5, 5.0
BIAS_SWEEPS = 10


@dataclass(frozen=True)
class Parameters:
    """How the model is fitted.

    Args:
        user_prior: As many ratings of no bias stand beside each user's own.
        movie_prior: The same for movies.
        residuals: The factorisation of what the biases leave.
    """

    user_prior: float
    movie_prior: float
    residuals: als.Parameters


@dataclass(frozen=True)
class RatingsModel:
    """A fitted model.

    Args:
        mean: Of all ratings, in stars.
        user_bias: Stars that each user gives above it.
        movie_bias: Stars that each movie gets above it.
        factors: Of the residuals.
    """

    mean: float
    user_bias: Floats
    movie_bias: Floats
    factors: als.Factors

    def predict(self, users: Ints, movies: Ints) -> Floats:
        """Stars, 0.5 to 5, of pairs of users and movies."""
        products = np.einsum("ij,ij->i", self.factors.users[users], self.factors.movies[movies])
        stars = self.mean + self.user_bias[users] + self.movie_bias[movies] + products
        clipped: Floats = np.clip(stars, LEAST_STARS, MOST_STARS)
        return clipped


def fit(
    spark: SparkSession, entries: Interactions, shape: tuple[int, int], parameters: Parameters
) -> RatingsModel:
    """Fit the model to the ratings among some entries.

    Args:
        spark: The session.
        entries: What users did; entries without a rating are passed over.
        shape: Number of users and movies.
        parameters: How.
    """
    rated = entries.rated
    mean = float(rated.stars.mean()) if len(rated) else (LEAST_STARS + MOST_STARS) / 2
    user_bias, movie_bias = _biases(rated, mean, shape, parameters)
    left = rated.stars - mean - user_bias[rated.users] - movie_bias[rated.movies]
    factors = als.fit(
        spark, rated.users, rated.movies, left, shape, parameters.residuals, is_implicit=False
    )
    return RatingsModel(mean, user_bias, movie_bias, factors)


def _biases(
    rated: Interactions, mean: float, shape: tuple[int, int], parameters: Parameters
) -> tuple[Floats, Floats]:
    """Biases of users and movies by ridge regression, each solved in turn while the other stands."""
    users, movies = np.zeros(shape[0]), np.zeros(shape[1])
    for _ in range(BIAS_SWEEPS):
        left = rated.stars - mean - users[rated.users]
        movies = _shrunk_mean(rated.movies, left, shape[1], parameters.movie_prior)
        left = rated.stars - mean - movies[rated.movies]
        users = _shrunk_mean(rated.users, left, shape[0], parameters.user_prior)
    return users, movies


def _shrunk_mean(owners: Ints, values: Floats, size: int, prior: float) -> Floats:
    counts = np.bincount(owners, minlength=size)
    shrunk: Floats = np.bincount(owners, weights=values, minlength=size) / np.maximum(
        counts + prior, 1e-9
    )
    return shrunk


def movie_means(entries: Interactions, movie_count: int) -> Floats:
    """The baseline: the mean of each movie's ratings, and that of all for a movie without one."""
    rated = entries.rated
    counts = np.bincount(rated.movies, minlength=movie_count)
    sums = np.bincount(rated.movies, weights=rated.stars, minlength=movie_count)
    overall = rated.stars.mean() if len(rated) else np.nan
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall)
