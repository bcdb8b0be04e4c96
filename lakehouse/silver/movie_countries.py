"""`silver.movie_countries`: which countries a movie was produced in."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """Pair movies with their countries.

    Args:
        movies: Columns `movie_id` and `production_countries` (array with `iso_3166_1`, in capitals), one row a movie.

    Returns:
        Rows of `silver.movie_countries`, each pair once.
    """
    return (
        movies.select("movie_id", F.explode("production_countries.iso_3166_1").alias("code"))
        .where("code is not null")
        .select("movie_id", F.col("code").alias("country_code"))
        .distinct()
    )
