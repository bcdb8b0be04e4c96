"""`silver.movies`: the latest metadata of each movie, from the TMDB answers in `bronze.movie`.

Which answer is the latest is decided by what it says (`fetched_at`, `deleted_at`), never by when it arrived, so that
batches in any order, cut anywhere and repeated, leave the same table.
"""

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
from lakehouse.silver.answers import parse
from lakehouse.silver.iso_codes import is_known, language_names

LISTS = ["genres", "production_companies", "production_countries", "spoken_languages"]
"""Lists that every answer has, named as TMDB names them."""
KEYWORDS = ["keywords"]
CREDITS = ["cast_credits", "crew_credits"]
"""Lists that only an answer has that was asked for them; one without says nothing about them."""
PARTS = [*LISTS, *KEYWORDS, *CREDITS]
"""Lists in an answer that feed tables of their own."""

MOVIE = table("silver.movies").column_names
OF_THE_ANSWER = [name for name in MOVIE if name not in ("keywords_at", "credits_at")]
"""Columns of `silver.movies` that come from one answer, the latest."""


def transform(messages: DataFrame) -> DataFrame:
    """Read, clean and judge TMDB answers.

    A budget, revenue or runtime of 0 means unknown at TMDB and becomes null, as does blank text.

    Args:
        messages: Rows of `bronze.movie`.

    Returns:
        A row a message: the columns of `silver.movies`, the lists in `PARTS`, the Kafka coordinates, `event_id`
        (always null), `payload` (the original bytes) and `broken`, null or a struct of `rule` and `reason`.
        Nothing is dropped.
    """
    return _clean(parse(messages)).select(
        *COORDINATES,
        F.lit(None).cast("string").alias("event_id"),
        "payload",
        *MOVIE,
        *PARTS,
        first_broken(_rules()).alias("broken"),
    )


def _clean(answers: DataFrame) -> DataFrame:
    """Typed columns named as in the contract, beside those of `parse` that the rules ask for."""
    fetched_at = F.try_to_timestamp("fetched_at")
    language = F.lower("movie.original_language")
    keywords, credits = F.col("movie.keywords.keywords"), F.col("movie.credits")
    same = ["title", "original_title", "overview", "tagline", "status", "homepage", "imdb_id"]
    same += ["popularity", "vote_average", "vote_count", "adult", *LISTS]
    return answers.select(
        *COORDINATES,
        *("payload", "text", "is_utf8", "_corrupt"),
        F.col("movie.id").alias("movie_id"),
        *(F.col(f"movie.{name}") for name in same),
        language.alias("original_language"),
        is_known(language, language_names()).alias("original_language_is_iso"),
        F.to_date(F.try_to_timestamp("movie.release_date")).alias("release_date"),
        F.col("movie.release_date").alias("release_date_text"),
        F.nullif(F.round("movie.runtime").try_cast("int"), F.lit(0)).alias("runtime_minutes"),
        F.round("movie.runtime").alias("runtime"),
        F.nullif("movie.budget", F.lit(0)).alias("budget_usd"),
        F.nullif("movie.revenue", F.lit(0)).alias("revenue_usd"),
        fetched_at.alias("fetched_at"),
        "content_hash",
        F.col("deleted_at").isNotNull().alias("is_deleted"),
        F.try_to_timestamp("deleted_at").alias("deleted_at"),
        keywords.alias("keywords"),
        F.when(keywords.isNotNull(), fetched_at).alias("keywords_at"),
        F.when(credits.isNotNull(), F.coalesce("movie.credits.cast", F.array())).alias(
            "cast_credits"
        ),
        F.when(credits.isNotNull(), F.coalesce("movie.credits.crew", F.array())).alias(
            "crew_credits"
        ),
        F.when(credits.isNotNull(), fetched_at).alias("credits_at"),
    )


def _rules() -> list[Rule]:
    """Every way an answer can be wrong, the most basic first."""
    unreadable = F.col("_corrupt").isNotNull() | F.col("movie_id").isNull()
    is_object = F.schema_of_variant(F.try_parse_json("text")).startswith("OBJECT")
    text = F.col("text")
    with_ids = ["genres", "production_companies", *KEYWORDS, *CREDITS]
    return [
        Rule("text_not_storable", "the message is not valid UTF-8", ~F.col("is_utf8")),
        Rule("not_json", "the message has no value", F.col("payload").isNull()),
        Rule(
            "not_json",
            "the message is not a JSON object",
            unreadable & ~F.coalesce(is_object, F.lit(False)),
        ),
        Rule(
            "text_not_storable",
            "a text holds the NUL character",
            # The pattern looks behind each backslash; most answers need no such look.
            (text.contains("\\u0000") | text.contains("\0")) & text.rlike(NUL_PATTERN),
        ),
        Rule(
            "wrong_type",
            "a field has another type than in TMDB's answers",
            F.col("_corrupt").isNotNull(),
        ),
        Rule(
            "bad_timestamp",
            "deleted_at is not an ISO 8601 time",
            F.col("is_deleted") & F.col("deleted_at").isNull(),
        ),
        Rule(
            "bad_format",
            "release_date is not a date",
            F.col("release_date").isNull() & F.col("release_date_text").isNotNull(),
        ),
        Rule(
            "out_of_range",
            "runtime is not a number of minutes",
            F.col("runtime").isNotNull() & F.col("runtime").try_cast("int").isNull(),
        ),
        *contract_rules(table("silver.movies")),
        *(
            Rule(
                "out_of_range",
                f"an id in {name} is below 1",
                F.exists(name, lambda element: element["id"] < 1),
            )
            for name in with_ids
        ),
    ]


def recency(name: str = "") -> Column:
    """What answers about one movie are ordered by.

    When an answer was fetched or its movie found to be deleted, whichever is later; of two at one time the deletion,
    and then the one with the larger hash, counts.

    Args:
        name: The struct that holds the columns of `silver.movies`; empty where they are columns themselves.
    """
    of = f"{name}." if name else ""
    return F.struct(
        F.greatest(f"{of}fetched_at", f"{of}deleted_at"),
        f"{of}is_deleted",
        f"{of}fetched_at",
        f"{of}content_hash",
    )


def latest(movies: DataFrame) -> DataFrame:
    """One row a movie: the latest answer, with the keywords and credits of the latest answer that had some.

    Args:
        movies: Rows of `transform` that broke no rule.

    Returns:
        The columns of `silver.movies`, the lists in `PARTS`, and `first_fetched_at`, the earliest `fetched_at`.
    """
    answer = F.struct(*OF_THE_ANSWER, *LISTS)
    return (
        movies.groupBy("movie_id")
        .agg(
            F.max_by(answer, recency()).alias("answer"),
            *_latest_asked_for("keywords_at", KEYWORDS),
            *_latest_asked_for("credits_at", CREDITS),
            F.min("fetched_at").alias("first_fetched_at"),
        )
        .select("answer.*", "keywords_at", "credits_at", *KEYWORDS, *CREDITS, "first_fetched_at")
    )


def _latest_asked_for(moment: str, names: list[str]) -> list[Column]:
    # max_by passes over rows whose order is null.
    order = F.when(F.col(moment).isNotNull(), F.struct(moment, "content_hash"))
    return [F.max(moment).alias(moment), *(F.max_by(name, order).alias(name) for name in names)]


def merge(newest: DataFrame, held: DataFrame) -> DataFrame:
    """Weigh the newest answers of a batch against what silver holds.

    Args:
        newest: Rows of `latest`.
        held: Rows of `silver.movies`.

    Returns:
        A row a movie of `newest`: the columns of `silver.movies` as they are to be, the lists in `PARTS`, and
        whether each is to replace what silver has: `takes_answer` for those in `LISTS`, `takes_keywords` and
        `takes_credits` (never null). `is_late` tells that silver holds an answer at least as recent as
        `first_fetched_at`, when the earliest of the batch was fetched.
    """
    known = held.select("movie_id", F.struct(*MOVIE).alias("held"))
    takes_answer = F.col("held").isNull() | (recency() >= recency("held"))
    takes_keywords, takes_credits = (
        F.coalesce(F.col(moment) >= F.coalesce(f"held.{moment}", moment), F.lit(False))
        for moment in ("keywords_at", "credits_at")
    )
    held_at = F.greatest("held.fetched_at", "held.deleted_at")
    answer = F.when(takes_answer, F.struct(*OF_THE_ANSWER)).otherwise(
        F.struct(*(F.col(f"held.{name}") for name in OF_THE_ANSWER))
    )
    return (
        newest.join(known, "movie_id", "left")
        .select(
            answer.alias("answer"),
            *(
                F.greatest(name, f"held.{name}").alias(name)
                for name in ("keywords_at", "credits_at")
            ),
            *PARTS,
            takes_answer.alias("takes_answer"),
            takes_keywords.alias("takes_keywords"),
            takes_credits.alias("takes_credits"),
            F.coalesce(F.col("first_fetched_at") <= held_at, F.lit(False)).alias("is_late"),
            "first_fetched_at",
        )
        .select("answer.*", "*")
        .drop("answer")
    )
