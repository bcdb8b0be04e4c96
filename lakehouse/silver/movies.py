"""`silver.movies`: the latest metadata of each movie, from the TMDB answers in `bronze.movie`.

Which answer is the latest is decided by what it says (`fetched_at`, `deleted_at`), never by when it arrived, so that
batches in any order, cut anywhere and repeated, leave the same table.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import cast

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from lakehouse.contract import Column as ContractColumn
from lakehouse.contract import table
from lakehouse.quarantine import (
    COORDINATES,
    IN_WORDS,
    NUL_PATTERN,
    Rule,
    ahead_of_message,
    column_rules,
    contract_rules,
    first_broken,
    plain,
)
from lakehouse.silver.answers import ANSWER_DDL, parse
from lakehouse.silver.iso_codes import is_known, language_names
from lakehouse.silver.json_kinds import (
    BOOLEAN,
    LIST,
    OBJECT,
    first_of_another_kind,
    in_words,
    kind_of,
    shapes_of,
)
from lakehouse.silver.movie_versions import genre_ids
from lakehouse.silver.values import (
    NOT_FINITE,
    NUMBER,
    as_whole,
    calendar_date,
    number,
    utc_time,
    whole,
)

LISTS = ["genres", "production_companies", "production_countries", "spoken_languages"]
"""Lists that every answer has, named as TMDB names them."""
KEYWORDS = ["keywords"]
CREDITS = ["cast_credits", "crew_credits"]
"""Lists that only an answer has that was asked for them; one without says nothing about them."""
PARTS = [*LISTS, *KEYWORDS, *CREDITS]
"""Lists in an answer that feed tables of their own."""

MOVIE = table("silver.movies").column_names
NUMBERS = {
    "id": "bigint",
    "runtime": "double",
    "budget": "bigint",
    "revenue": "bigint",
    "popularity": "double",
    "vote_average": "double",
    "vote_count": "bigint",
}
"""Fields of an answer that are numbers, and the type of each: a `bigint` has no fraction."""
_NAMED = {"name": "name"}
_PERSON = {name: name for name in ("name", "original_name", "known_for_department")}
ELEMENTS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "genres": [("genres", {"id": "genre_id"} | _NAMED)],
    "production_companies": [
        ("production_companies", {"id": "company_id", "origin_country": "origin_country"} | _NAMED)
    ],
    "production_countries": [("countries", {"iso_3166_1": "country_code"} | _NAMED)],
    "spoken_languages": [
        (
            "languages",
            {"iso_639_1": "language_code", "english_name": "english_name"} | _NAMED,
        )
    ],
    "keywords": [("keywords", {"id": "keyword_id"} | _NAMED)],
    "cast_credits": [
        ("people", {"id": "person_id"} | _PERSON),
        (
            "movie_cast",
            {"credit_id": "credit_id", "character": "character_name", "order": "cast_order"},
        ),
    ],
    "crew_credits": [
        ("people", {"id": "person_id"} | _PERSON),
        ("movie_crew", {"credit_id": "credit_id", "department": "department", "job": "job"}),
    ],
}
"""The tables that each list feeds, and the column that each field of its elements becomes."""
ELEMENT_NUMBERS = {"id": "bigint", "order": "int"}
"""Fields of the elements that are numbers, in every list."""
ELEMENT_CASES: dict[str, Callable[[Column], Column]] = {
    "iso_639_1": F.lower,
    "iso_3166_1": F.upper,
    "origin_country": F.upper,
}
"""Fields of the elements that are codes, and their case. They are judged in it, as some letters become two."""
ANY = "any"
"""The kind of a value of any type, as a text, in a reason: what it is, its beginning tells."""
KIND = "kind"
"""A value in a reason that is itself the kind of another, in Spark's words."""
OF_THE_ANSWER = [name for name in MOVIE if name not in ("keywords_at", "credits_at")]
"""Columns of `silver.movies` that come from one answer, the latest."""


def transform(messages: DataFrame, future_tolerance_minutes: int = 5) -> DataFrame:
    """Read, clean and judge TMDB answers.

    A budget, revenue or runtime of 0 means unknown at TMDB and becomes null, as does blank text. A number may be sent as
    a text.

    Args:
        messages: Rows of `bronze.movie`.
        future_tolerance_minutes: An answer fetched, or a movie gone, later than this after Kafka's time breaks a rule:
            as the latest answer it would hide all others until then.

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
        _verdict(future_tolerance_minutes).alias("broken"),
    )


@cache
def _verdict(future_tolerance_minutes: int) -> Column:
    """A struct of `rule` and `reason`; null of a good answer. To make it anew takes longer than to judge a few answers."""
    return F.coalesce(
        first_broken(_rules(future_tolerance_minutes), _shown), *map(_element_verdict, PARTS)
    )


def _clean(answers: DataFrame) -> DataFrame:
    """Typed columns named as in the contract, beside those of `parse` that the rules ask for."""
    fetched_at = utc_time(F.col("fetched_at"))
    language = F.lower("movie.original_language")
    keywords, credits = F.col("movie.keywords.keywords"), F.col("movie.credits")
    same = ["title", "original_title", "overview", "tagline", "status", "homepage", "imdb_id"]
    same += ["adult"]
    runtime = as_whole(F.round(number(F.col("movie.runtime"))), "int")
    return answers.select(
        *COORDINATES,
        *("timestamp", "payload", "text", "is_utf8", "_corrupt", "movie"),
        F.col("fetched_at").alias("fetched_at_text"),
        F.col("deleted_at").alias("deleted_at_text"),
        F.col("movie.release_date").alias("release_date_text"),
        whole(F.col("movie.id")).alias("movie_id"),
        *(F.col(f"movie.{name}") for name in same),
        language.alias("original_language"),
        is_known(language, language_names()).alias("original_language_is_iso"),
        calendar_date(F.col("movie.release_date")).alias("release_date"),
        F.nullif(runtime, F.lit(0)).alias("runtime_minutes"),
        F.nullif(whole(F.col("movie.budget")), F.lit(0)).alias("budget_usd"),
        F.nullif(whole(F.col("movie.revenue")), F.lit(0)).alias("revenue_usd"),
        number(F.col("movie.popularity")).alias("popularity"),
        number(F.col("movie.vote_average")).alias("vote_average"),
        whole(F.col("movie.vote_count")).alias("vote_count"),
        fetched_at.alias("fetched_at"),
        "content_hash",
        F.col("deleted_at").isNotNull().alias("is_deleted"),
        utc_time(F.col("deleted_at")).alias("deleted_at"),
        F.when(keywords.isNotNull(), fetched_at).alias("keywords_at"),
        F.when(credits.isNotNull(), fetched_at).alias("credits_at"),
        *(_elements(name).alias(name) for name in PARTS),
    )


def _sent(name: str) -> Column:
    """A list of an answer as it was sent; null where the answer was not asked for it."""
    if name in KEYWORDS:
        return F.col("movie.keywords.keywords")
    if name in CREDITS:
        listed = F.col(f"movie.credits.{name.removesuffix('_credits')}")
        return F.when(F.col("movie.credits").isNotNull(), F.coalesce(listed, F.array()))
    return F.col(f"movie.{name}")


def _elements(name: str) -> Column:
    """A list with the numbers of its elements as numbers, and their codes in one case."""
    read: dict[str, Callable[[Column], Column]] = {
        **{field: partial(whole, kind=kind) for field, kind in ELEMENT_NUMBERS.items()},
        **ELEMENT_CASES,
    }

    def cleaned(element: Column) -> Column:
        for field in _columns_of(name):
            if field in read:
                element = element.withField(field, read[field](element[field]))
        return element

    return F.transform(_sent(name), cleaned)


def _rules(future_tolerance_minutes: int) -> list[Rule]:
    """Every way an answer can be wrong, the most basic first."""
    is_corrupt = F.col("_corrupt").isNotNull()
    unreadable = is_corrupt | F.col("movie.id").isNull()
    is_object = F.schema_of_variant(F.try_parse_json("text")).startswith("OBJECT")
    text = F.col("text")
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
            is_corrupt,
            # Texts and numbers have rules of their own.
            first_of_another_kind(shapes_of(_answer())),
            IN_WORDS,
        ),
        *_text_rules(),
        *(rule for name, kind in NUMBERS.items() for rule in _number_rules(name, kind)),
        *(
            _unread("bad_timestamp", name, "an ISO 8601 time")
            for name in ("fetched_at", "deleted_at")
        ),
        _unread("bad_format", "release_date", "a date"),
        *contract_rules(table("silver.movies")),
        *(
            ahead_of_message(name, future_tolerance_minutes, F.col(f"{name}_text"))
            for name in ("fetched_at", "deleted_at")
        ),
        *column_rules(table("silver.movie_versions").column("genre_ids"), genre_ids()),
    ]


def _unread(rule: str, name: str, what: str) -> Rule:
    """A text is there that was not read as what it should be."""
    sent = F.col(f"{name}_text")
    broken = F.col(name).isNull() & sent.isNotNull()
    return Rule(rule, f"{name} is not {what}", broken, sent, "text")


def _number_rules(name: str, kind: str) -> list[Rule]:
    """A number is none, is not finite, or has a fraction that it cannot have."""
    sent = F.col(f"movie.{name}")
    rules = [
        Rule("out_of_range", f"{name} is not finite", sent.rlike(NOT_FINITE), sent, ANY),
        Rule("wrong_type", f"{name} is not a number", ~sent.rlike(NUMBER), sent, ANY),
    ]
    if kind == "bigint":
        broken = sent.isNotNull() & whole(sent).isNull()
        rules.append(Rule("wrong_type", f"{name} is not a whole number", broken, sent, ANY))
    return rules


def _shown(value: Column, kind: Column) -> Column:
    """A `Form` for what answers hold; of a text that is a number both look alike."""
    is_any = kind == ANY
    of_any = (
        F.when(value.rlike(NUMBER), "number")
        .when(value.rlike("^(true|false)$"), "boolean")
        .otherwise("text")
    )
    return (
        F.when(kind == KIND, in_words(value))
        .when(is_any & value.startswith("{"), "an object")
        .when(is_any & value.startswith("["), "a list")
        .otherwise(plain(value, F.when(is_any, of_any).otherwise(kind)))
    )


def _element_verdict(name: str) -> Column:
    """What `first_broken` says of the first element of a list that breaks a rule; null where none does."""
    # Judged inside of one lambda: there an element is a name, and not the expression that finds it.
    verdicts = F.zip_with(
        _sent(name), name, lambda sent, read: first_broken(_element_rules(name, sent, read), _shown)
    )
    return F.get(F.filter(verdicts, lambda verdict: verdict.isNotNull()), F.lit(0))


def _element_rules(name: str, sent: Column, read: Column) -> list[Rule]:
    """What must hold of an element of a list: the limits of the columns that its fields become."""
    rules = []
    for field, column in _columns_of(name).items():
        place = f"{field} in {name}"
        value = read[field]
        if field in ELEMENT_NUMBERS:
            is_unread = sent[field].isNotNull() & value.isNull()
            reason = f"{place} is not a whole number"
            rules.append(Rule("wrong_type", reason, is_unread, sent[field], ANY))
        # Elements without an id or a name are passed over.
        optional = column.model_copy(update={"name": place, "required": False})
        rules += column_rules(optional, value)
    return rules


@cache
def _columns_of(name: str) -> dict[str, ContractColumn]:
    """The column that each field of a list's elements becomes."""
    return {
        field: table(f"silver.{other}").column(column)
        for other, columns in ELEMENTS[name]
        for field, column in columns.items()
    }


@cache
def _answer() -> StructType:
    return cast(StructType, StructType.fromDDL(ANSWER_DDL))


def _text_rules() -> list[Rule]:
    """A text is an object, a list or a boolean: `from_json` makes a text of any value."""
    movie = cast(StructType, _answer()["movie"].dataType)
    texts = [
        field.name
        for field in movie
        if isinstance(field.dataType, StringType) and field.name not in NUMBERS
    ]
    rules = []
    for name in texts:
        # Few texts look like one, and only for those the message is read a second time.
        looks_like_one = F.col(f"movie.{name}").rlike(r"(?s)^([\[{].*[\]}]|true|false)$")
        kind = kind_of(f"movie.{name}")
        broken = looks_like_one & kind.rlike(f"^({OBJECT}|{LIST}|{BOOLEAN})")
        rules.append(Rule("wrong_type", f"{name} is not a text", broken, kind, KIND))
    return rules


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


def _takes(moment: str) -> Column:
    """Whether the lists of a moment are to replace those that silver has; of two answers of one moment the same one counts as of all."""
    at, before = F.col(moment), F.col(f"held.{moment}")
    # Where either is of an answer before the latest, nobody knows its hash any more.
    are_of_latest = (F.col("fetched_at") == at) & (F.col("held.fetched_at") == before)
    has_less = F.col("content_hash") < F.col("held.content_hash")
    gives_way = F.coalesce((at == before) & are_of_latest & has_less, F.lit(False))
    return F.coalesce(at >= F.coalesce(before, at), F.lit(False)) & ~gives_way


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
    takes_keywords, takes_credits = map(_takes, ("keywords_at", "credits_at"))
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
