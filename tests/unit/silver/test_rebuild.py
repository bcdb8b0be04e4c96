"""Silver of other rules, or of anything, becomes in place what the messages of bronze say by the present ones."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import tables as contracts
from lakehouse.silver import rebuild, rules
from lakehouse.silver.refresh import REFRESH_OF_SOURCE
from tests.unit.silver.test_refresh import (
    ANSWERS,
    MESSAGES,
    Contents,
    Message,
    answer,
    bronze,
    contents,
    sent,
    told,
)

CREDITS = {
    "cast": [{"credit_id": "a", "id": 31, "name": "Tom Hanks", "character": "Forrest", "order": 0}],
    "crew": [{"credit_id": "b", "id": 24, "name": "Robert Zemeckis", "job": "Director"}],
}
WHOLE: Message = (
    2,
    0,
    answer(
        16,
        1,
        (12, "Adventure"),
        production_companies=[{"id": 1, "name": "Lucasfilm", "origin_country": "US"}],
        production_countries=[{"iso_3166_1": "US", "name": "United States"}],
        spoken_languages=[{"iso_639_1": "en", "name": "English"}],
        keywords={"keywords": [{"id": 2, "name": "hope"}]},
        credits=CREDITS,
    ),
)
"""An answer that feeds every table of movies."""
NOT_FROM_BRONZE = ("recoveries", "recommendation_models", "movie_recommendations", "similar_movies")
FROM_BRONZE = [
    contract.name for contract in contracts("silver") if contract.name not in NOT_FROM_BRONZE
]


def as_others_read_it(messages: Iterable[Message]) -> list[Message]:
    """What other rules made of these events: other visitors, a good one that was refused and a bad one that was taken."""
    changed = []
    for partition, offset, value in messages:
        other = dict(value)
        if other["event_type"] == "sneeze":
            other["event_type"] = "page_view"
        elif (partition, offset) == (0, 1):
            other["event_type"] = "sneeze"
        for name in ("user_id", "anonymous_id"):
            other[name] = other[name] and f"{other[name]} of others"
        changed.append((partition, offset, other))
    gone = told("gone", 50, "comment", comment_id="c9", text="9", user_id="gone")
    return [*changed, (9, 0, gone), (9, 1, gone), (9, 2, sent("gone too", 51, event_type="sneeze"))]


def as_others_read_them(answers: Iterable[Message]) -> list[Message]:
    """What other rules made of these answers: all that they name has another id, and another one was refused."""
    read = []
    for partition, offset, value in answers:
        movie = _renumbered(value["movie"])
        movie["status"] = "Lost" if movie["id"] == 114 else "Released"
        read.append((partition, offset, value | {"movie": movie}))
    return read


OTHER_CODES = {"US": "GB", "en": "fr"}


def _renumbered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _renumbered(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_renumbered(each) for each in value]
    return value + 100 if isinstance(value, int) else OTHER_CODES.get(value, value)


def put(spark: SparkSession, lake: Settings, source: str, messages: Iterable[Message]) -> None:
    rows = bronze(spark, source.removeprefix("bronze."), messages)
    rows.write.format("delta").mode("append").save(tables.table_path(lake, source))


def forget_rules(spark: SparkSession, lake: Settings) -> None:
    """Make silver one that does not know its rules, as it was before it did."""
    for contract in contracts("silver"):
        path = tables.table_path(lake, contract.full_name)
        spark.sql(f"alter table delta.`{path}` unset tblproperties ('{rules.PROPERTY}')")


def refresh(spark: SparkSession, lake: Settings, source: str, messages: Iterable[Message]) -> None:
    rows = bronze(spark, source.removeprefix("bronze."), messages)
    REFRESH_OF_SOURCE[source](spark, lake, rows)


def rebuild_all(spark: SparkSession, lake: Settings) -> None:
    for source in rebuild.outdated(lake):
        rebuild.rebuild(spark, lake, source)


SENT: dict[str, list[Message]] = {"bronze.movie": [*ANSWERS, WHOLE], "bronze.user_logs": MESSAGES}


@pytest.fixture(scope="module")
def fresh(
    spark: SparkSession,
    spark_settings: Settings,
    with_tables: Callable[[Settings], Settings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Contents:
    """What an empty silver holds once it has read every message."""
    folder = tmp_path_factory.mktemp("fresh") / "lake"
    lake = with_tables(spark_settings.model_copy(update={"lake": str(folder)}))
    for source, messages in SENT.items():
        refresh(spark, lake, source, messages)
    return contents(lake, FROM_BRONZE)


@pytest.fixture
def old_lake(spark: SparkSession, empty_lake: Settings) -> Settings:
    """A lake whose bronze holds the messages, and whose silver what other rules made of them."""
    for source, messages in SENT.items():
        put(spark, empty_lake, source, messages)
    refresh(spark, empty_lake, "bronze.movie", as_others_read_them(SENT["bronze.movie"]))
    refresh(spark, empty_lake, "bronze.user_logs", as_others_read_it(MESSAGES))
    forget_rules(spark, empty_lake)
    return empty_lake


def test_silver_of_other_rules_becomes_what_an_empty_one_becomes_and_a_second_rebuild_writes_nothing(
    spark: SparkSession, old_lake: Settings, fresh: Contents
) -> None:
    before = contents(old_lake, FROM_BRONZE)
    assert [name for name in FROM_BRONZE if not before[name] or before[name] == fresh[name]] == []
    assert rebuild.outdated(old_lake) == list(SENT)

    rebuild_all(spark, old_lake)

    assert contents(old_lake, FROM_BRONZE) == fresh
    assert rebuild.outdated(old_lake) == []
    versions = {name: changes.current_version(old_lake, f"silver.{name}") for name in FROM_BRONZE}
    for source in SENT:
        rebuild.rebuild(spark, old_lake, source)
    noted = {"movies": 1, "events": 1}
    assert {
        name: changes.current_version(old_lake, f"silver.{name}") - version - noted.get(name, 0)
        for name, version in versions.items()
    } == dict.fromkeys(FROM_BRONZE, 0)
