"""`bronze.movie` to silver: a micro-batch of TMDB answers updates the tables of movies and of all they name.

Every table follows from what the answers say and not from when they arrive: of a movie the latest answer counts, of a
name the latest answer that gives one, and the versions of a movie follow from its whole history. So batches that are
cut, ordered or repeated in any way leave the same tables.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from types import ModuleType

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.log import get_logger
from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.quarantine import quarantine
from lakehouse.silver import (
    countries,
    genres,
    keywords,
    languages,
    movie_cast,
    movie_companies,
    movie_countries,
    movie_crew,
    movie_genres,
    movie_keywords,
    movie_languages,
    movie_versions,
    movies,
    named,
    people,
    production_companies,
)

log = get_logger("silver")

NAMED_IN_ANSWERS: dict[str, ModuleType] = {
    "genres": genres,
    "countries": countries,
    "languages": languages,
}
OF_ANSWERS: dict[str, ModuleType] = {
    "movie_genres": movie_genres,
    "movie_companies": movie_companies,
    "movie_countries": movie_countries,
    "movie_languages": movie_languages,
}
"""Tables whose rows of a movie its latest answer replaces."""
OF_CREDITS: dict[str, ModuleType] = {"movie_cast": movie_cast, "movie_crew": movie_crew}
"""Tables whose rows of a movie the latest answer with credits replaces."""

SIDE_BY_SIDE = 4
"""Tables written at once: a small MERGE mostly waits, for its plan, its tasks and its log."""

Write = Callable[[], None]


def refresh_movies(spark: SparkSession, settings: Settings, messages: DataFrame) -> None:
    """Bring every table of movies, and `quarantine`, up to date with new TMDB answers.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        messages: New rows of `bronze.movie`.
    """
    judged = movies.transform(messages).persist()
    try:
        bad = judged.where("broken is not null")
        if not bad.isEmpty():
            quarantine(spark, settings, bad, table("silver.movies"))
        _Batch(spark, settings, judged.where("broken is null")).write()
    finally:
        judged.unpersist()


class _Batch:
    """The valid answers of a micro-batch on their way into the tables.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        answers: Rows of `movies.transform` that broke no rule.
    """

    def __init__(self, spark: SparkSession, settings: Settings, answers: DataFrame) -> None:
        self.spark = spark
        self.settings = settings
        self.answers = answers
        self.current = movies.merge(movies.latest(answers), self._read("movies"))

    def write(self) -> None:
        """Write every table that the answers change."""
        self.current.persist()
        try:
            counted = self._count()
            log.info("batch", **counted)
            if counted["movies"]:
                _run(self._writes(counted))
                # Last, as it is what makes an answer count as held, should this batch run again.
                self._upsert("movies", self.current)
        finally:
            self.current.unpersist()

    def _count(self) -> dict[str, int]:
        row = self.current.agg(
            F.count("*").alias("movies"),
            F.count_if("takes_answer").alias("newer"),
            F.count("keywords").alias("with_keywords"),
            F.count("cast_credits").alias("with_credits"),
            F.count_if("is_late").alias("late"),
        ).collect()[0]
        return dict(row.asDict())

    def _writes(self, counted: dict[str, int]) -> list[Write]:
        """One write a table; those that the batch has nothing for are left out."""
        writes: list[Write] = [
            partial(self._write_versions, counted["late"] > 0),
            self._write_companies,
            *(partial(self._name, *item) for item in NAMED_IN_ANSWERS.items()),
        ]
        if counted["newer"]:
            writes += [
                partial(self._replace, name, module, "takes_answer")
                for name, module in OF_ANSWERS.items()
            ]
        if counted["with_keywords"]:
            writes += [
                partial(self._name, "keywords", keywords),
                partial(self._replace, "movie_keywords", movie_keywords, "takes_keywords"),
            ]
        if counted["with_credits"]:
            writes += [
                partial(self._name, "people", people),
                *(
                    partial(self._replace, name, module, "takes_credits")
                    for name, module in OF_CREDITS.items()
                ),
            ]
        return writes

    def _name(self, name: str, module: ModuleType) -> None:
        """Merge what the answers name into a table with `named_at`."""
        contract = table(f"silver.{name}")
        tables.upsert(
            self.spark,
            self.settings,
            contract,
            module.transform(self.answers),
            named.supersedes(contract.column_names),
        )

    def _write_companies(self) -> None:
        found = production_companies.transform(self.answers)
        held = self._read("production_companies")
        self._upsert("production_companies", production_companies.merge(found, held))

    def _replace(self, name: str, module: ModuleType, flag: str) -> None:
        """Make a table hold, of the movies that the flag marks, what their answers list."""
        taken = self.current.where(flag)
        tables.replace_for(
            self.spark,
            self.settings,
            table(f"silver.{name}"),
            module.transform(taken),
            taken.select("movie_id"),
        )

    def _write_versions(self, some_are_late: bool) -> None:
        touched = self.current.select("movie_id")
        held = self._read("movie_versions").join(F.broadcast(touched), "movie_id", "left_semi")
        seen = [
            movie_versions.observe(self.answers),
            movie_versions.held_observations(held),
        ]
        if some_are_late and changes.open_table(self.settings, "bronze.movie"):
            seen.append(movie_versions.observe(self._history()))
        tables.replace_for(
            self.spark,
            self.settings,
            table("silver.movie_versions"),
            movie_versions.transform(reduce(DataFrame.unionByName, seen)),
            touched,
        )

    def _history(self) -> DataFrame:
        """Every valid answer in bronze about the movies of which an earlier one has come late.

        Versions alone do not tell when a state that lasted was seen again, so one in between needs them all.
        """
        late = self.current.where("is_late").select(F.col("movie_id").cast("string").alias("_id"))
        messages = tables.read(self.spark, self.settings, "bronze.movie").withColumn(
            "_id", F.get_json_object(F.col("value").cast("string"), "$.movie.id")
        )
        answers = movies.transform(messages.join(F.broadcast(late), "_id", "left_semi"))
        return answers.where("broken is null")

    def _read(self, name: str) -> DataFrame:
        return tables.read(self.spark, self.settings, f"silver.{name}")

    def _upsert(self, name: str, rows: DataFrame) -> None:
        tables.upsert(self.spark, self.settings, table(f"silver.{name}"), rows)


def _run(writes: Sequence[Write]) -> None:
    """Run writes to different tables side by side; the first failure is raised once all have ended."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for done in [pool.submit(write) for write in writes]:
            done.result()
