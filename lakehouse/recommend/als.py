"""Alternating least squares by Spark MLlib, from arrays to arrays."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession

from lakehouse.recommend.interactions import Floats, Ints

BLOCKS = 2
"""Few on purpose, as the session's shuffle partitions; results depend on their number, so it is not a setting."""


@dataclass(frozen=True)
class Parameters:
    """How a factorisation is fitted.

    Args:
        rank: Factors a user and a movie.
        regularisation: Weight of the factors' squares, which MLlib multiplies by the number of entries of each
            user and movie (ALS-WR; Zhou et al., "Large-scale Parallel Collaborative Filtering", 2008).
        alpha: By how much an implicit signal is more certain than none (Hu, Koren and Volinsky, "Collaborative
            Filtering for Implicit Feedback Datasets", 2008); not used with ratings.
        sweeps: How often users and movies are solved in turn.
        seed: Of the first factors.
    """

    rank: int
    regularisation: float
    alpha: float = 1.0
    sweeps: int = 10
    seed: int = 1


@dataclass(frozen=True)
class Factors:
    """Factors, a row a user or movie; rows of zeros for those that had no entries."""

    users: Floats
    movies: Floats


def fit(
    spark: SparkSession,
    users: Ints,
    movies: Ints,
    values: Floats,
    shape: tuple[int, int],
    parameters: Parameters,
    *,
    is_implicit: bool,
) -> Factors:
    """Factorise a sparse matrix.

    Args:
        spark: The session.
        users: Row of each entry.
        movies: Column of each entry.
        values: The entries; with `is_implicit` how sure each is, above 0.
        shape: Number of users and movies.
        parameters: How.
        is_implicit: Whether places without an entry count as (uncertain) zeros.

    Returns:
        The factors, the same for the same entries in the same order.
    """
    if not len(users):
        zeros = [np.zeros((size, parameters.rank)) for size in shape]
        return Factors(*zeros)
    columns = {"user": users.astype(np.int32), "movie": movies.astype(np.int32), "value": values}
    als = ALS(
        rank=parameters.rank,
        maxIter=parameters.sweeps,
        regParam=parameters.regularisation,
        alpha=parameters.alpha,
        seed=parameters.seed,
        implicitPrefs=is_implicit,
        userCol="user",
        itemCol="movie",
        ratingCol="value",
        numUserBlocks=BLOCKS,
        numItemBlocks=BLOCKS,
    )
    model = als.fit(spark.createDataFrame(pa.table(columns)).coalesce(BLOCKS))
    return Factors(
        _dense(model.userFactors, shape[0], parameters.rank),
        _dense(model.itemFactors, shape[1], parameters.rank),
    )


def _dense(factors: DataFrame, size: int, rank: int) -> Floats:
    rows = factors.toArrow()
    dense = np.zeros((size, rank))
    flat = rows["features"].combine_chunks().flatten().to_numpy()
    dense[rows["id"].to_numpy()] = flat.reshape(-1, rank)
    return dense
