"""`silver.genres`: TMDB's genres, gathered from the movies that name them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """List genres.

    Args:
        movies: Columns `fetched_at` and `genres` (array of `id`, `name`).

    Returns:
        Rows of `silver.genres`: a row an id, with the name in the latest answer.
    """
    named = movies.select("fetched_at", F.explode("genres").alias("genre"))
    return (
        named.where("genre.id is not null and genre.name is not null")
        .groupBy(F.col("genre.id").alias("genre_id"))
        .agg(F.max_by("genre.name", F.struct("fetched_at", "genre.name")).alias("name"))
    )
