"""`silver.production_companies`: the companies that produced movies."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.silver import named
from lakehouse.silver.iso_codes import country_names, is_known


def transform(movies: DataFrame) -> DataFrame:
    """List companies.

    Args:
        movies: Columns `fetched_at` and `production_companies` (array of `id`, `name` and `origin_country`, in
            capitals); any number of rows a movie.

    Returns:
        Rows of `silver.production_companies` without `name_is_shared`: a row an id, with what the latest answer
        says of it; `named_at` tells when that was fetched.
    """
    country = F.col("company.origin_country")
    companies = movies.select("fetched_at", F.explode("production_companies").alias("company"))
    return named.latest(
        companies.select(
            F.col("company.id").alias("company_id"),
            F.col("company.name").alias("name"),
            country.alias("origin_country"),
            is_known(country, country_names()).alias("origin_country_is_iso"),
            F.col("fetched_at").alias("named_at"),
        ),
        "company_id",
    )


def merge(companies: DataFrame, held: DataFrame) -> DataFrame:
    """Bring new companies together with held ones, and flag the names that several ids bear.

    Args:
        companies: Rows of `transform`, no older than what is held of the same companies.
        held: `silver.production_companies`.

    Returns:
        Rows of `silver.production_companies`, all of them: a new company may share its name with any other.
    """
    known = held.drop("name_is_shared")
    new = named.superseding(companies, known, "company_id").select(known.columns)
    kept = known.join(new.select("company_id"), "company_id", "left_anti")
    is_shared = F.count("name").over(Window.partitionBy("name")) > 1
    return new.unionByName(kept).withColumn("name_is_shared", is_shared)
