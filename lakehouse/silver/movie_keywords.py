"""`silver.movie_keywords`: which keywords describe a movie."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """Pair movies with their keywords.

    Args:
        movies: Columns `movie_id` and `keywords` (array with `id`), one row a movie.

    Returns:
        Rows of `silver.movie_keywords`, each pair once.
    """
    return (
        movies.select("movie_id", F.explode("keywords.id").alias("keyword_id"))
        .where("keyword_id is not null")
        .distinct()
    )
