"""`silver.countries`: the countries that movies were produced in."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver import named
from lakehouse.silver.iso_codes import country_names, is_known, name_of


def transform(movies: DataFrame) -> DataFrame:
    """List countries.

    Args:
        movies: Columns `fetched_at` and `production_countries` (array of `iso_3166_1`, in capitals, and `name`); any
            number of rows a movie.

    Returns:
        Rows of `silver.countries`: a row a code, also of one that ISO 3166-1 does not know;
        `named_at` tells when that was fetched.
    """
    code = F.col("country.iso_3166_1")
    countries = movies.select("fetched_at", F.explode("production_countries").alias("country"))
    return named.latest(
        countries.select(
            code.alias("country_code"),
            F.col("country.name").alias("name"),
            name_of(code, country_names()).alias("iso_name"),
            is_known(code, country_names()).alias("is_iso"),
            F.col("fetched_at").alias("named_at"),
        ),
        "country_code",
    )
