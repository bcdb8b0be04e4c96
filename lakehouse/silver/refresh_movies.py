"""`bronze.movie` to silver: a micro-batch of TMDB answers updates the tables of movies and of all they name.

Every table follows from what the answers say and not from when they arrive: of a movie the latest answer counts, of a
name the latest answer that gives one, and the versions of a movie follow from its whole history. So batches that are
cut, ordered or repeated in any way leave the same tables.
"""

from functools import partial, reduce
from types import ModuleType

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion.topics import MOVIE
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.quarantine import quarantine, replace_quarantine
from lakehouse.recoveries import as_recovered
from lakehouse.silver import (
    countries,
    genres,
    keywords,
    languages,
    movie_cast,
    movie_companies,
    movie_context,
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
    side_by_side,
)
from lakehouse.silver.values import whole

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


def refresh_movies(
    spark: SparkSession, settings: Settings, messages: DataFrame, is_rebuild: bool = False
) -> None:
    """Bring every table of movies, `quarantine`, and the movie of each event, up to date with new TMDB answers.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        messages: New rows of `bronze.movie`.
        is_rebuild: They are all rows of it, and the tables are to hold what follows from them and nothing else.
    """
    judged = tables.computed(movies.transform(messages, settings.future_tolerance_minutes))
    bad = judged.where("broken is not null")
    if is_rebuild:
        replace_quarantine(spark, settings, bad, table("silver.movies"), MOVIE)
    elif not bad.isEmpty():
        quarantine(spark, settings, bad, table("silver.movies"))
    answers = judged.where("broken is null")
    _Batch(spark, settings, answers, is_rebuild).write()
    # In a rebuild a movie may also be gone.
    changed = tables.read(spark, settings, "silver.events") if is_rebuild else answers
    movie_context.refresh(spark, settings, changed.select("movie_id"))


class _Batch:
    """The valid answers of a micro-batch on their way into the tables.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        answers: Rows of `movies.transform` that broke no rule.
        is_rebuild: They are all there are: what silver holds of movies plays no part in what it is to hold.
    """

    def __init__(
        self, spark: SparkSession, settings: Settings, answers: DataFrame, is_rebuild: bool
    ) -> None:
        self.spark = spark
        self.settings = settings
        self.answers = answers
        self.is_rebuild = is_rebuild
        self.current = movies.merge(movies.latest(answers), self._held("movies"))
        self.newest_held = -1 if is_rebuild else _newest(settings)
        self.is_in_order = False

    def write(self) -> None:
        """Write every table that the answers change."""
        self.current.persist()
        try:
            counted = self._count()
            log.info("batch", **counted)
            if counted["movies"] or self.is_rebuild:
                side_by_side.run(self._writes(counted))
                # Last, as it is what makes an answer count as held, should this batch run again.
                self._upsert("movies", self.current)
        finally:
            self.current.unpersist()

    def _count(self) -> dict[str, int]:
        row = self.current.agg(
            F.count("*").alias("movies"),
            F.min(F.unix_micros("first_fetched_at")).alias("first"),
            F.count_if("takes_answer").alias("newer"),
            F.count("keywords").alias("with_keywords"),
            F.count("cast_credits").alias("with_credits"),
            F.count_if("is_late").alias("late"),
        ).collect()[0]
        counted = row.asDict()
        first = counted.pop("first")
        self.is_in_order = first is None or first > self.newest_held
        return counted

    def _writes(self, counted: dict[str, int]) -> list[side_by_side.Write]:
        """One write a table; those that the batch has nothing for are left out, but in a rebuild."""
        writes: list[side_by_side.Write] = [
            partial(self._write_versions, counted["late"] > 0),
            self._write_companies,
            *(partial(self._name, *item) for item in NAMED_IN_ANSWERS.items()),
        ]
        if counted["newer"] or self.is_rebuild:
            writes += [
                partial(self._replace, name, module, "takes_answer")
                for name, module in OF_ANSWERS.items()
            ]
        if counted["with_keywords"] or self.is_rebuild:
            writes += [
                partial(self._name, "keywords", keywords),
                partial(self._replace, "movie_keywords", movie_keywords, "takes_keywords"),
            ]
        if counted["with_credits"] or self.is_rebuild:
            writes += [
                partial(self._name, "people", people),
                *(
                    partial(self._replace, name, module, "takes_credits")
                    for name, module in OF_CREDITS.items()
                ),
            ]
        return writes

    def _name(self, name: str, module: ModuleType) -> None:
        """Bring a table of what answers name up to date."""
        held = self._held(name)
        self._upsert(name, named.superseding(self._found(name, module, held), held, _key(name)))

    def _write_companies(self) -> None:
        held = self._held("production_companies")
        found = self._found("production_companies", production_companies, held)
        self._upsert("production_companies", production_companies.merge(found, held))

    def _found(self, name: str, module: ModuleType, held: DataFrame) -> DataFrame:
        """What the answers name; where silver may know of a later answer, what all answers in bronze name."""
        found: DataFrame = module.transform(self.answers)
        if self.is_in_order:
            return found
        late = named.late(found, held, _key(name), self.newest_held).persist()
        try:
            if late.isEmpty():
                return found
            of_all = module.transform(self.answers.unionByName(self._history()))
            decided = of_all.join(F.broadcast(late), _key(name), "left_semi")
            others = found.join(F.broadcast(late), _key(name), "left_anti")
            return others.unionByName(decided)
        finally:
            late.unpersist()

    def _replace(self, name: str, module: ModuleType, flag: str) -> None:
        """Make a table hold, of the movies that the flag marks, what their answers list."""
        taken = self.current.where(flag)
        self._replace_for(name, module.transform(taken), taken.select("movie_id"))

    def _write_versions(self, some_are_late: bool) -> None:
        touched = self.current.select("movie_id")
        held = self._held("movie_versions").join(F.broadcast(touched), "movie_id", "left_semi")
        seen = [
            movie_versions.observe(self.answers),
            movie_versions.held_observations(held),
        ]
        if some_are_late:
            # Versions do not tell when a state that lasted was seen again; a late answer may fall in between.
            late = self.current.where("is_late").select("movie_id")
            seen.append(movie_versions.observe(self._history(late)))
        versions = movie_versions.transform(reduce(DataFrame.unionByName, seen))
        self._replace_for("movie_versions", versions, touched)

    def _history(self, of: DataFrame | None = None) -> DataFrame:
        """Every valid answer in bronze, for what cannot be decided by silver alone because an answer came late.

        Args:
            of: Movies to keep to, in a column `movie_id`. Default: all.
        """
        if changes.open_table(self.settings, "bronze.movie") is None:
            # A batch that did not come from bronze is all there is.
            return self.answers
        messages = as_recovered(
            self.spark, self.settings, tables.read(self.spark, self.settings, "bronze.movie")
        )
        if of is not None:
            movie_id = whole(F.get_json_object(F.col("value").cast("string"), "$.movie.id"))
            wanted = F.broadcast(of.select(F.col("movie_id").alias("_id")))
            messages = messages.join(wanted, movie_id == wanted["_id"], "left_semi")
        judged = movies.transform(messages, self.settings.future_tolerance_minutes)
        return judged.where("broken is null")

    def _held(self, name: str) -> DataFrame:
        """What the answers are weighed against of a table: nothing of it in a rebuild."""
        held = tables.read_written(self.spark, self.settings, table(f"silver.{name}"))
        return held.limit(0) if self.is_rebuild else held

    def _upsert(self, name: str, rows: DataFrame) -> None:
        """Bring rows into a table; in a rebuild they are all it holds."""
        contract = table(f"silver.{name}")
        if self.is_rebuild:
            tables.replace(self.spark, self.settings, contract, rows, None)
        else:
            tables.upsert(self.spark, self.settings, contract, rows)

    def _replace_for(self, name: str, rows: DataFrame, movie_ids: DataFrame) -> None:
        """Make a table hold these rows for the movies; in a rebuild there are no others."""
        contract = table(f"silver.{name}")
        of = None if self.is_rebuild else movie_ids
        tables.replace(self.spark, self.settings, contract, rows, of)


def _key(name: str) -> str:
    return table(f"silver.{name}").key[0]


def _newest(settings: Settings) -> int:
    """When the newest answer that silver holds was fetched or its movie found deleted; microseconds since 1970."""
    moment = "max(greatest(fetched_at, coalesce(deleted_at, fetched_at)))"
    found = changes.query(settings, "silver.movies", f"select {moment} as newest from t")["newest"][
        0
    ]
    return found.cast(pa.timestamp("us", "UTC")).value if found.is_valid else -1
