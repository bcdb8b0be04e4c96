"""`silver.movie_languages`: which languages are spoken in a movie."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """Pair movies with their languages.

    Args:
        movies: Columns `movie_id` and `spoken_languages` (array with `iso_639_1`, in small letters), one row a movie.

    Returns:
        Rows of `silver.movie_languages`, each pair once.
    """
    return (
        movies.select("movie_id", F.explode("spoken_languages.iso_639_1").alias("code"))
        .where("code is not null")
        .select("movie_id", F.col("code").alias("language_code"))
        .distinct()
    )
