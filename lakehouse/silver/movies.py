"""`silver.movies`: the latest metadata of each movie, from the TMDB answers in `bronze.movie`."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contract import table
from lakehouse.quarantine import (
    COORDINATES,
    NUL_PATTERN,
    Rule,
    contract_rules,
    first_broken,
)

ANSWER_DDL = """
    fetched_at string, content_hash string,
    movie struct<
        id bigint, title string, original_title string, original_language string, overview string,
        tagline string, status string, release_date string, runtime double, budget bigint, revenue bigint,
        popularity double, vote_average double, vote_count bigint, homepage string, imdb_id string,
        adult boolean, genres array<struct<id bigint, name string>>
    >, _corrupt string
"""
"""The parts of a published answer that silver reads, named as TMDB's `/movie/{id}` names them."""


def transform(messages: DataFrame) -> DataFrame:
    """Read, clean and judge TMDB answers.

    A budget, revenue or runtime of 0 means unknown at TMDB and becomes null, as does blank text.

    Args:
        messages: Rows of `bronze.movie`.

    Returns:
        A row a message: the columns of `silver.movies`, `genres` (array of `id`, `name`), the Kafka coordinates,
        `event_id` (always null), `payload` (the original bytes) and `broken`, null or a struct of `rule` and
        `reason`. Nothing is dropped.
    """
    text = F.col("value").cast("string")
    answers = messages.select(
        F.col("topic").alias("kafka_topic"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        F.col("value").alias("payload"),
        text.alias("_text"),
        F.from_json(
            F.make_valid_utf8(text),
            ANSWER_DDL,
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt"},
        ).alias("answer"),
    ).select(*COORDINATES, "payload", "_text", "answer.*")
    cleaned = answers.select(
        *COORDINATES,
        "payload",
        "_text",
        "_corrupt",
        F.col("movie.id").alias("movie_id"),
        *(_text(name) for name in ("title", "original_title", "original_language")),
        *(_text(name) for name in ("overview", "tagline", "status")),
        F.to_date(F.try_to_timestamp(_text("release_date"))).alias("release_date"),
        F.nullif(F.round("movie.runtime").try_cast("int"), F.lit(0)).alias("runtime_minutes"),
        F.col("movie.runtime").alias("_runtime"),
        F.nullif("movie.budget", F.lit(0)).alias("budget_usd"),
        F.nullif("movie.revenue", F.lit(0)).alias("revenue_usd"),
        "movie.popularity",
        "movie.vote_average",
        "movie.vote_count",
        _text("homepage"),
        _text("imdb_id"),
        "movie.adult",
        F.try_to_timestamp("fetched_at").alias("fetched_at"),
        "content_hash",
        "movie.genres",
    )
    return cleaned.select(
        *COORDINATES,
        F.lit(None).cast("string").alias("event_id"),
        "payload",
        *table("silver.movies").column_names,
        "genres",
        first_broken(_rules()).alias("broken"),
    )


def _text(name: str) -> Column:
    return F.nullif(F.trim(F.col(f"movie.{name}")), F.lit("")).alias(name)


def _rules() -> list[Rule]:
    return [
        Rule("not_json", "the message has no value", F.col("payload").isNull()),
        Rule("text_not_storable", "the message is not valid UTF-8", ~F.is_valid_utf8("_text")),
        Rule(
            "text_not_storable", "a text holds the NUL character", F.col("_text").rlike(NUL_PATTERN)
        ),
        Rule(
            "not_json",
            "the message is not a JSON object shaped as a TMDB answer",
            F.col("_corrupt").isNotNull(),
        ),
        Rule(
            "out_of_range",
            "runtime is not a number of minutes",
            F.round("_runtime").isNotNull() & F.round("_runtime").try_cast("int").isNull(),
        ),
        *contract_rules(table("silver.movies")),
    ]


def latest(movies: DataFrame) -> DataFrame:
    """One row a movie: the answer fetched last, by Kafka offset when two were fetched at one time.

    Args:
        movies: Rows of `transform` that broke no rule.
    """
    order = F.struct("fetched_at", "kafka_offset")
    row = F.struct(*table("silver.movies").column_names, "genres")
    return movies.groupBy("movie_id").agg(F.max_by(row, order).alias("row")).select("row.*")
