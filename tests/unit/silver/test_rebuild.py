"""Silver of other rules, or of anything, becomes in place what the messages of bronze say by the present ones."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.errors import DamagedDataError
from cinelake.settings import Settings
from lakehouse import changes, inspection, recoveries, tables
from lakehouse.contract import table
from lakehouse.contract import tables as contracts
from lakehouse.frames import frame_of
from lakehouse.quarantine import COORDINATES, replace_quarantine
from lakehouse.silver import rebuild, rules
from lakehouse.silver.refresh import REFRESH_OF_SOURCE
from pipeline.streams import rebuild_silver
from tests.unit.silver.test_refresh import (
    ANSWERS,
    MESSAGES,
    OF_MOVIES,
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


def forget_rules(spark: SparkSession, lake: Settings, *names: str) -> None:
    """Make tables of silver some that do not know their rules, as they were before they did."""
    for name in names:
        path = tables.table_path(lake, name)
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
    forget_rules(spark, empty_lake, "silver.movies", "silver.events")
    return empty_lake


@pytest.mark.usefixtures("full_scale")
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


def test_silver_that_was_never_made_or_by_the_present_rules_is_not_rebuilt(
    empty_lake: Settings, tmp_path: Path
) -> None:
    assert rebuild.outdated(empty_lake) == []
    assert rebuild.outdated(empty_lake.model_copy(update={"lake": str(tmp_path / "none")})) == []


def test_a_rebuild_that_was_killed_is_still_to_be_done(
    spark: SparkSession, empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    forget_rules(spark, empty_lake, "silver.movies")
    monkeypatch.setitem(REFRESH_OF_SOURCE, "bronze.movie", killed)
    with pytest.raises(KeyboardInterrupt):
        rebuild_all(spark, empty_lake)
    assert rebuild.outdated(empty_lake) == ["bronze.movie"]
    monkeypatch.setitem(REFRESH_OF_SOURCE, "bronze.movie", lambda *_, **__: None)
    rebuild_all(spark, empty_lake)
    assert rebuild.outdated(empty_lake) == []


def test_what_was_recommended_to_an_address_leaves_with_the_rebuild(
    spark: SparkSession, empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "silver.movie_recommendations"
    tables.ensure_table(lambda: spark, empty_lake, table(name))
    users = ["ada@example.org", "s|203.0.113.7", "ada", "f" * 64]
    recommended = [(user, 13, 1, 0.5, None, "taste", None, "f" * 64) for user in users]
    frame = frame_of(spark, recommended, table(name).spark_schema())
    frame.write.format("delta").mode("append").save(tables.table_path(empty_lake, name))
    monkeypatch.setitem(REFRESH_OF_SOURCE, "bronze.user_logs", lambda *_, **__: None)
    rebuild.rebuild(spark, empty_lake, "bronze.user_logs")
    left = changes.query(empty_lake, name, "select user_id from t order by 1")
    assert left["user_id"].to_pylist() == ["ada", "f" * 64]


def test_a_damaged_table_that_is_set_aside_comes_back_with_a_rebuild(
    spark: SparkSession, empty_lake: Settings, tmp_path: Path
) -> None:
    put(spark, empty_lake, "bronze.movie", [WHOLE])
    refresh(spark, empty_lake, "bronze.movie", [WHOLE])
    before = contents(empty_lake, OF_MOVIES)
    folder = Path(tables.table_path(empty_lake, "silver.genres"))
    file = next(folder.glob("*.parquet"))
    file.unlink()

    def rebuild_movies() -> None:
        # As another process has it, which knows nothing of the files.
        assert spark._jvm is not None
        spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
        with inspection.named(empty_lake):
            rebuild_silver(lambda: spark, empty_lake, ["bronze.movie"])

    with pytest.raises(DamagedDataError, match=rf"silver\.genres: {file} is missing"):
        rebuild_movies()
    folder.rename(tmp_path / "aside")
    rebuild_movies()
    assert contents(empty_lake, OF_MOVIES) == before


LONG_AGO = datetime(2020, 1, 1)


def put_aside(spark: SparkSession, lake: Settings, *rows: tuple[int, str, str]) -> None:
    """Messages of the topic `user_logs` in quarantine since long ago, judged twice: offset, rule and reason."""
    version = table("silver.events").version
    held = [
        ("user_logs", 0, offset, rule, reason, None, b"old", version, LONG_AGO, LONG_AGO, 2)
        for offset, rule, reason in rows
    ]
    contract = table("silver.quarantine")
    frame = frame_of(spark, held, contract.spark_schema())
    tables.insert_new(spark, lake, contract, frame)


def judged(spark: SparkSession, *rows: tuple[int, str, str]) -> DataFrame:
    verdicts = [
        ("user_logs", 0, offset, None, b"old", (rule, reason)) for offset, rule, reason in rows
    ]
    return frame_of(
        spark,
        verdicts,
        "kafka_topic string, kafka_partition int, kafka_offset bigint, event_id string, payload binary,"
        " broken struct<rule: string, reason: string>",
    )


def test_quarantine_keeps_what_was_judged_the_same_and_since_when_the_rest_is_there(
    spark: SparkSession, empty_lake: Settings
) -> None:
    missing, other = ("missing_field", "user_id is missing"), ("out_of_range", "rating is above 10")
    put_aside(spark, empty_lake, (0, *missing), (1, *missing), (2, *missing))
    contract = table("silver.events")
    bad = judged(spark, (0, *missing), (1, *other), (3, *other))
    replace_quarantine(spark, empty_lake, bad, contract, "user_logs")

    held = changes.query(
        empty_lake,
        "silver.quarantine",
        "select kafka_offset, rule, attempts, first_seen_at < timestamp '2021-01-01' as of_old,"
        " last_seen_at < timestamp '2021-01-01' as untouched from t order by 1",
    )
    assert [tuple(row.values()) for row in held.to_pylist()] == [
        (0, "missing_field", 2, True, True),
        (1, "out_of_range", 2, True, False),
        (3, "out_of_range", 1, False, False),
    ]
    replace_quarantine(spark, empty_lake, judged(spark), table("silver.movies"), "movie")
    assert changes.count_rows(empty_lake, "silver.quarantine") == 3


def test_a_recovery_that_no_longer_helps_is_taken_back(
    spark: SparkSession, empty_lake: Settings
) -> None:
    noted = judged(spark, (0, "bad_format", "x"), (1, "bad_format", "x")).select(
        *COORDINATES, "event_id", "broken.rule", F.lit(None).cast("string").alias("mapping")
    )
    recoveries.record(spark, empty_lake, noted.na.fill("e", ["event_id"]), "run")
    assert not recoveries.take_back(spark, empty_lake)
    put_aside(spark, empty_lake, (1, "bad_format", "x"))
    assert recoveries.take_back(spark, empty_lake)
    left = changes.query(empty_lake, recoveries.RECOVERIES, "select kafka_offset from t")
    assert left["kafka_offset"].to_pylist() == [0]
