"""What an event's movie was like when the event occurred: its title, genres and runtime."""

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import table

COLUMNS = ["movie_title", "movie_genre_ids", "movie_runtime_minutes"]


def transform(events: DataFrame, versions: DataFrame, movies: DataFrame) -> DataFrame:
    """Set `COLUMNS`: title and genres of the version that was valid, the runtime as it is known now.

    An event that is older than the first version sees that one, as `dim_movie` has it.

    Args:
        events: Rows shaped as `silver.events`; what stands in `COLUMNS` is replaced.
        versions: Rows of `silver.movie_versions`.
        movies: Rows of `silver.movies`.
    """
    in_order = Window.partitionBy("movie_id").orderBy("valid_from")
    version = versions.select(
        F.col("movie_id").alias("_movie_id"),
        F.when(F.row_number().over(in_order) > 1, F.col("valid_from")).alias("_from"),
        F.col("valid_to").alias("_to"),
        F.col("title").alias("movie_title"),
        F.col("genre_ids").alias("movie_genre_ids"),
    )
    movie = movies.select("movie_id", F.col("runtime_minutes").alias("movie_runtime_minutes"))
    at = F.col("occurred_at")
    is_valid = (
        (F.col("movie_id") == F.col("_movie_id"))
        & (F.col("_from").isNull() | (at >= F.col("_from")))
        & (F.col("_to").isNull() | (at < F.col("_to")))
    )
    return (
        events.drop(*COLUMNS)
        .join(version, is_valid, "left")
        .join(movie, "movie_id", "left")
        .drop("_movie_id", "_from", "_to")
    )


def refresh(spark: SparkSession, settings: Settings, movie_ids: DataFrame) -> None:
    """Bring the events of movies that have changed up to date; run twice, the second finds nothing to do.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        movie_ids: The movies, in a column `movie_id`.
    """
    contract = table("silver.events")
    if tables.is_unwritten(settings, contract):
        return
    touched = F.broadcast(movie_ids.distinct())
    versions, movies, events = (
        tables.read(spark, settings, name).join(touched, "movie_id", "left_semi")
        for name in ("silver.movie_versions", "silver.movies", contract.full_name)
    )
    before = events.withColumn("_before", F.struct(*COLUMNS))
    after = transform(before, versions, movies)
    changed = tables.computed(after.where(~F.struct(*COLUMNS).eqNullSafe(F.col("_before"))))
    if count := changed.count():
        tables.upsert(spark, settings, contract, changed, count)
