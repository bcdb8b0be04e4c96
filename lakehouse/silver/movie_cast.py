"""`silver.movie_cast`: who played what in a movie."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(movies: DataFrame) -> DataFrame:
    """List the cast of movies.

    Args:
        movies: Columns `movie_id` and `cast_credits` (array of `credit_id`, `id`, `character`, `order`), one row
            a movie.

    Returns:
        Rows of `silver.movie_cast`: a row a credit. A credit without its id or its person is passed over.
    """
    credits = movies.select("movie_id", F.explode("cast_credits").alias("credit"))
    return (
        credits.where("credit.credit_id is not null and credit.id is not null")
        .groupBy("movie_id", "credit.credit_id")
        .agg(
            F.min(F.struct("credit.id", "credit.character", "credit.order")).alias("played"),
        )
        .select(
            "movie_id",
            "credit_id",
            F.col("played.id").alias("person_id"),
            F.col("played.character").alias("character_name"),
            F.col("played.order").alias("cast_order"),
        )
    )
