"""`silver.movie_versions`: how each movie looked when.

A version begins with the first answer that shows another title, status, popularity bucket or set of genres than the
answer fetched before it, and ends when the next one begins.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

TRACKED = ["title", "status", "popularity_bucket", "genre_ids"]
"""What makes a version; all else is kept as the latest answer says."""

BUCKETS = {"0-1": 1, "1-10": 10, "10-100": 100}
"""Popularity buckets and the score each ends below; powers of ten, as the score has a long tail and changes daily."""


def observe(movies: DataFrame) -> DataFrame:
    """What each answer shows of its movie.

    Args:
        movies: Rows of `movies.transform` that broke no rule.

    Returns:
        `movie_id`, `observed_at` (when it was fetched), the columns in `TRACKED`, and `content_hash`.
    """
    return movies.select(
        "movie_id",
        F.col("fetched_at").alias("observed_at"),
        "title",
        "status",
        _bucket(F.col("popularity")).alias("popularity_bucket"),
        genre_ids().alias("genre_ids"),
        "content_hash",
    )


def genre_ids() -> Column:
    """The ids in the column `genres`, each once, ascending, joined by commas; null for none."""
    ids = F.array_sort(F.array_distinct(F.filter("genres.id", lambda genre: genre.isNotNull())))
    return F.nullif(F.array_join(ids, ","), F.lit(""))


def _bucket(popularity: Column) -> Column:
    bucket = F.when(popularity.isNull(), "unknown")
    for name, limit in BUCKETS.items():
        bucket = bucket.when(popularity < limit, name)
    return bucket.otherwise("100+")


def held_observations(versions: DataFrame) -> DataFrame:
    """What is known of a movie's past when only its versions are at hand.

    Together with answers that were all fetched later it gives the same versions as the whole history.

    Args:
        versions: Rows of `silver.movie_versions`.
    """
    return versions.select(
        "movie_id",
        F.col("valid_from").alias("observed_at"),
        *TRACKED,
        F.lit("").alias("content_hash"),
    )


def transform(observations: DataFrame) -> DataFrame:
    """Cut the history of movies into versions.

    Args:
        observations: Rows of `observe` or `held_observations`: the whole history of each movie that occurs, in any
            order, repeated or not. Of two answers fetched at one time the one with the larger hash counts.

    Returns:
        Rows of `silver.movie_versions`: a row a movie and version, without gaps and overlaps.
    """
    state = F.struct(*TRACKED)
    in_order = Window.partitionBy("movie_id").orderBy("observed_at")
    changed = (
        observations.groupBy("movie_id", "observed_at")
        .agg(F.max_by(state, "content_hash").alias("state"))
        .withColumn("before", F.lag("state").over(in_order))
        .where("before is null or not state <=> before")
    )
    next_from = F.lead("observed_at").over(in_order)
    return changed.select(
        "movie_id",
        F.col("observed_at").alias("valid_from"),
        next_from.alias("valid_to"),
        next_from.isNull().alias("is_current"),
        "state.*",
    )
