"""`silver.movie_genres`: which genres a movie has."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """Pair movies with their genres.

    Args:
        movies: Columns `movie_id` and `genres` (array with `id`), one row a movie.

    Returns:
        Rows of `silver.movie_genres`, each pair once.
    """
    return (
        movies.select("movie_id", F.explode("genres.id").alias("genre_id"))
        .where("genre_id is not null")
        .distinct()
    )
