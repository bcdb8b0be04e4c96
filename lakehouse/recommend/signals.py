"""Silver's tables as interactions: what users said of movies, and what they did with them."""

from dataclasses import asdict, dataclass, replace

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.pseudonyms import Pseudonyms
from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.recommend.interactions import Dataset, dataset_of

LIKED_STARS = 4.0
"""A rating from here on says that the user liked the movie; one below says that they did not."""
COMPLETED, LISTED, PLAYED = 0.8, 0.5, 0.2
"""How sure a play to the end, a place on the watchlist and a mere play are, where there is no rating."""


@dataclass(frozen=True)
class DataVersion:
    """The versions of the tables that a model is made of; reading them again gives the same data."""

    ratings: int
    watch_history: int
    watchlist: int

    def as_dict(self) -> dict[str, int]:
        """The version of each table by its full name."""
        return {f"silver.{name}": version for name, version in asdict(self).items()}


def current_version(settings: Settings) -> DataVersion:
    """The newest versions."""
    names = ("ratings", "watch_history", "watchlist")
    return DataVersion(*(changes.current_version(settings, f"silver.{name}") for name in names))


def read(spark: SparkSession, settings: Settings, version: DataVersion) -> Dataset:
    """What users did with movies, as silver told it in some versions; users have the names that silver gives them now.

    Args:
        spark: The session.
        settings: Tells where the lake is, and the key of the pseudonyms.
        version: Of each table.
    """
    ratings, watch_history, watchlist = (
        spark.read.format("delta")
        .option("versionAsOf", versions)
        .load(tables.table_path(settings, name))
        for name, versions in version.as_dict().items()
    )
    data = dataset_of(transform(ratings, watch_history, watchlist).toArrow())
    in_id = Pseudonyms(settings.pseudonym_secret).in_id
    return replace(data, user_ids=[in_id(user_id) for user_id in data.user_ids])


def transform(ratings: DataFrame, watch_history: DataFrame, watchlist: DataFrame) -> DataFrame:
    """Sum up what each user did with each movie.

    Args:
        ratings: Rows of `silver.ratings`.
        watch_history: Rows of `silver.watch_history`; plays of visitors who never signed in are passed over.
        watchlist: Rows of `silver.watchlist`.

    Returns:
        One row a user and movie: `user_id`, `movie_id`, `stars` (0.5 to 5, null without a rating), `likes` (0 to 1)
        and `at`, the time of the latest signal. Where there is a rating, it alone counts.
    """
    stars = F.col("rating") / 2
    said = ratings.where("not is_removed").select(
        "user_id",
        "movie_id",
        stars.alias("stars"),
        (stars >= LIKED_STARS).cast("double").alias("likes"),
        F.col("rated_at").alias("at"),
    )
    watched = watch_history.where("resolved_user_id is not null").select(
        F.col("resolved_user_id").alias("user_id"),
        "movie_id",
        _no_stars(),
        F.when(F.col("is_completed"), COMPLETED).otherwise(PLAYED).alias("likes"),
        F.col("ended_at").alias("at"),
    )
    listed = watchlist.where("is_listed").select(
        "user_id", "movie_id", _no_stars(), F.lit(LISTED).alias("likes"), F.col("changed_at")
    )
    is_rated = F.col("stars").isNotNull()
    return (
        said.union(watched)
        .union(listed)
        .groupBy("user_id", "movie_id")
        .agg(
            F.max("stars").alias("stars"),
            *(
                F.coalesce(F.max(F.when(is_rated, F.col(name))), F.max(name)).alias(name)
                for name in ("likes", "at")
            ),
        )
    )


def _no_stars() -> Column:
    return F.lit(None).cast("double").alias("stars")
