"""`silver.movie_companies`: which companies produced a movie."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """Pair movies with their companies.

    Args:
        movies: Columns `movie_id` and `production_companies` (array with `id`), one row a movie.

    Returns:
        Rows of `silver.movie_companies`, each pair once.
    """
    return (
        movies.select("movie_id", F.explode("production_companies.id").alias("company_id"))
        .where("company_id is not null")
        .distinct()
    )
