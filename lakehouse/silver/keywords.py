"""`silver.keywords`: TMDB's keywords, gathered from the movies they describe."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver import named


def transform(movies: DataFrame) -> DataFrame:
    """List keywords.

    A keyword is its id: two ids of one name stay apart, and one with a blank name stays, without a name.

    Args:
        movies: Columns `fetched_at` and `keywords` (array of `id`, `name`); any number of rows a movie.

    Returns:
        Rows of `silver.keywords`: a row an id, with the name in the latest answer;
        `named_at` tells when that was fetched.
    """
    keywords = movies.select("fetched_at", F.explode("keywords").alias("keyword")).select(
        F.col("keyword.id").alias("keyword_id"),
        F.col("keyword.name").alias("name"),
        F.col("fetched_at").alias("named_at"),
    )
    return named.latest(keywords, "keyword_id")
