"""`silver.movie_crew`: who did what for a movie behind the camera."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """List the crew of movies.

    Args:
        movies: Columns `movie_id` and `crew_credits` (array of `credit_id`, `id`, `department`, `job`), one row a
            movie.

    Returns:
        Rows of `silver.movie_crew`: a row a credit. A credit without its id or its person is passed over.
    """
    credits = movies.select("movie_id", F.explode("crew_credits").alias("credit"))
    return (
        credits.where("credit.credit_id is not null and credit.id is not null")
        .groupBy("movie_id", "credit.credit_id")
        .agg(F.min(F.struct("credit.id", "credit.department", "credit.job")).alias("worked"))
        .select(
            "movie_id",
            "credit_id",
            F.col("worked.id").alias("person_id"),
            "worked.department",
            "worked.job",
        )
    )
