"""`silver.people`: who played in movies or worked on them, as far as answers carry credits."""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver import named
from lakehouse.silver.movies import CREDITS


def transform(movies: DataFrame) -> DataFrame:
    """List people.

    Args:
        movies: Columns `fetched_at`, `cast_credits` and `crew_credits` (arrays with `id`, `name`,
            `original_name`, `known_for_department`); any number of rows a movie.

    Returns:
        Rows of `silver.people`: a row a person, with the names in the latest answer;
        `named_at` tells when that was fetched.
    """
    credited = [
        movies.select("fetched_at", F.explode(name).alias("credit")).select(
            F.col("credit.id").alias("person_id"),
            *(f"credit.{field}" for field in ("name", "original_name", "known_for_department")),
            F.col("fetched_at").alias("named_at"),
        )
        for name in CREDITS
    ]
    return named.latest(reduce(DataFrame.unionByName, credited), "person_id")
