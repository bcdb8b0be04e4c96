"""`silver.genres`: TMDB's genres, gathered from the movies that name them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver import named


def transform(movies: DataFrame) -> DataFrame:
    """List genres.

    Args:
        movies: Columns `fetched_at` and `genres` (array of `id`, `name`); any number of rows a movie.

    Returns:
        Rows of `silver.genres`: a row an id, with the name in the latest answer;
        `named_at` tells when that was fetched.
    """
    genres = movies.select("fetched_at", F.explode("genres").alias("genre")).select(
        F.col("genre.id").alias("genre_id"),
        F.col("genre.name").alias("name"),
        F.col("fetched_at").alias("named_at"),
    )
    return named.latest(genres.where("name is not null"), "genre_id")
