"""Expectation suites of the star schema, run as SQL inside PostgreSQL on `gold_next`."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import great_expectations as gx
from great_expectations.expectations.expectation import Expectation

from expectations.query_rule import QueryRule
from expectations.suites import (
    UNKNOWN_KEY,
    columns_expectation,
    key_expectation,
    not_null_expectation,
    range_expectation,
    row_count_expectation,
    rule_meta,
    values_expectation,
)
from expectations.trends import trend_expectations
from lakehouse.contract import table

SCHEMA = "gold_next"
"""Where dbt builds what is to become `gold`."""


@dataclass(frozen=True)
class GoldTable:
    """What the gate knows about one table of the star schema.

    Args:
        name: Its name in the schema.
        key: The columns that make a row unique.
        has_unknown: Whether it is a dimension with exactly one unknown member.
        is_counted: Whether it holds all events: as many rows as the run says the layer before it holds, which are
            compared with how they usually are.
        references: Each foreign key: its column, and the dimension whose key of the same name it must be found in.
        ranges: Lowest and highest value by column.
        valid_values: Allowed values by column.
    """

    name: str
    key: tuple[str, ...]
    has_unknown: bool = False
    is_counted: bool = False
    references: tuple[tuple[str, str], ...] = ()
    ranges: tuple[tuple[str, float, float], ...] = ()
    valid_values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def full_name(self) -> str:
        """`gold.<table>`: the name under which results are kept, whichever schema was checked."""
        return f"gold.{self.name}"


def _event_types() -> tuple[str, ...]:
    columns = table("silver.events").columns
    return next(column.valid_values for column in columns if column.name == "event_type")


def _bridge(name: str, member: str, key: str = "") -> GoldTable:
    """A bridge between the current versions of movies and a dimension; by default it has a row a pair."""
    member_key = f"{member}_key"
    return GoldTable(
        f"bridge_movie_{name}",
        ("movie_key", key or member_key),
        references=(("movie_key", "dim_movie"), (member_key, f"dim_{member}")),
    )


OF_MOVIE = (("movie_key", "dim_movie"), ("user_key", "dim_user"))
"""References of a fact about what a user did with a movie."""

GOLD_TABLES = (
    GoldTable("dim_movie", ("movie_key",), has_unknown=True),
    GoldTable("dim_user", ("user_key",), has_unknown=True),
    GoldTable(
        "dim_user_personal",
        ("user_key",),
        has_unknown=True,
        references=(("user_key", "dim_user"),),
    ),
    GoldTable("dim_session", ("session_key",), has_unknown=True),
    GoldTable("dim_date", ("date_key",), has_unknown=True),
    GoldTable("dim_genre", ("genre_key",), has_unknown=True),
    GoldTable("dim_company", ("company_key",), has_unknown=True),
    GoldTable("dim_country", ("country_key",), has_unknown=True),
    GoldTable("dim_language", ("language_key",), has_unknown=True),
    GoldTable("dim_keyword", ("keyword_key",), has_unknown=True),
    GoldTable("dim_person", ("person_key",), has_unknown=True),
    _bridge("genre", "genre"),
    _bridge("company", "company"),
    _bridge("country", "country"),
    _bridge("language", "language"),
    _bridge("keyword", "keyword"),
    _bridge("cast", "person", key="credit_id"),
    _bridge("crew", "person", key="credit_id"),
    GoldTable(
        "fact_user_event",
        ("event_id",),
        is_counted=True,
        references=(
            ("movie_key", "dim_movie"),
            ("user_key", "dim_user"),
            ("session_key", "dim_session"),
            ("date_key", "dim_date"),
        ),
        ranges=(("rating", 0.5, 10),),
        valid_values=(("event_type", _event_types()),),
    ),
    GoldTable(
        "ratings", ("user_id", "movie_id"), references=OF_MOVIE, ranges=(("rating", 0.5, 10),)
    ),
    GoldTable("comments", ("comment_id",), references=OF_MOVIE),
    GoldTable(
        "comment_votes",
        ("user_id", "comment_id"),
        references=(("user_key", "dim_user"),),
        valid_values=(("vote", ("up", "down")),),
    ),
    GoldTable(
        "movie_reactions",
        ("user_id", "movie_id"),
        references=OF_MOVIE,
        valid_values=(("reaction", ("like", "dislike")),),
    ),
    GoldTable("watchlist", ("user_id", "movie_id"), references=OF_MOVIE),
    GoldTable(
        "watch_history", ("watch_id",), references=(*OF_MOVIE, ("session_key", "dim_session"))
    ),
    GoldTable("movie_daily", ("movie_id", "date_day"), ranges=(("mean_rating", 0.5, 10),)),
    GoldTable(
        "movie_popularity",
        ("movie_id",),
        references=(("movie_key", "dim_movie"),),
        ranges=(("weighted_rating", 0.5, 10),),
    ),
    GoldTable("user_activity", ("date_day",), ranges=(("stickiness", 0, 1),)),
    GoldTable(
        "user_retention", ("cohort_week", "week_number"), ranges=(("retention_share", 0, 1),)
    ),
    GoldTable(
        "session_funnel",
        ("date_day", "device"),
        ranges=tuple((f"{step}_share", 0, 1) for step in ("view", "play", "complete", "rating")),
    ),
    GoldTable(
        "genre_trends",
        ("genre_key", "month_start"),
        references=(("genre_key", "dim_genre"),),
        ranges=(("play_share", 0, 1),),
    ),
    GoldTable(
        "movie_recommendations",
        ("user_id", "movie_id"),
        references=OF_MOVIE,
        ranges=(("predicted_rating", 0.5, 10),),
    ),
    GoldTable(
        "similar_movies", ("movie_id", "similar_movie_id"), references=(("movie_key", "dim_movie"),)
    ),
)
"""The tables that must be right before they may replace those in `gold`."""


def gold_suites(
    schema: str = SCHEMA, blocking: Collection[str] = frozenset()
) -> dict[str, gx.ExpectationSuite]:
    """The suites of the star schema by full name, for example `gold.fact_user_event`.

    Args:
        schema: Where the tables are that relationships are checked against.
        blocking: Rules of trends that stop a run instead of warning.

    Raises:
        SettingError: There is no such rule.
    """
    return {
        gold.full_name: gx.ExpectationSuite(
            name=gold.full_name, expectations=list(_expectations(gold, schema, blocking))
        )
        for gold in GOLD_TABLES
    }


def _expectations(gold: GoldTable, schema: str, blocking: Collection[str]) -> Iterator[Expectation]:
    name = gold.full_name
    ranged = [column for column, *_ in gold.ranges]
    listed = [column for column, _ in gold.valid_values]
    foreign = [column for column, _ in gold.references]
    yield columns_expectation(name, list(dict.fromkeys([*gold.key, *foreign, *ranged, *listed])))
    for column in dict.fromkeys([*gold.key, *foreign]):
        yield not_null_expectation(name, column)
    yield key_expectation(name, list(gold.key))
    for column, minimum, maximum in gold.ranges:
        yield range_expectation(name, column, minimum, maximum)
    for column, values in gold.valid_values:
        yield values_expectation(name, column, list(values))
    for column, dimension in gold.references:
        yield _reference_expectation(gold, column, dimension, schema)
    if gold.is_counted:
        yield row_count_expectation(name)
        yield from trend_expectations(name, blocking)
    if gold.has_unknown:
        yield _unknown_expectation(gold)


def _reference_expectation(
    gold: GoldTable, column: str, dimension: str, schema: str
) -> Expectation:
    shown = ", ".join(f"child.{name}" for name in dict.fromkeys([*gold.key, column]))
    return QueryRule(
        unexpected_rows_query=f"""
            select {shown}
            from {{batch}} as child
            left join {schema}.{dimension} as parent on parent.{column} = child.{column}
            where child.{column} is not null and parent.{column} is null
        """,
        meta=rule_meta(gold.full_name, "reference", f"each is a {column} of {dimension}")
        | {"column": column},
    )


def _unknown_expectation(gold: GoldTable) -> Expectation:
    column = gold.key[0]
    # Great Expectations gives the batch an alias of its own where a query joins nothing.
    return QueryRule(
        unexpected_rows_query=f"""
            select count(*) as unknown_members
            from {{batch}}
            where {column} = {UNKNOWN_KEY}
            having count(*) <> 1
        """,
        meta=rule_meta(gold.full_name, "one_unknown_member", f"one row with {column} {UNKNOWN_KEY}")
        | {"column": column, "broken": "none, or more than one"},
    )
