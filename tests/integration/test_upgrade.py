"""A lake of an earlier version comes, with the first run after the update, to the gold of a fresh load of its messages.

`home_04e28ab.jsonl` has a table a line with its columns, and then its rows with their part: messages of bronze, and what
version 04e28ab made of those in the parts 1 and 2. Part 1 is what its gate had passed. In part 2 are messages that its gate,
or its gold, could not get by. Part 3 had not reached silver.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.settings import Settings
from ingestion.topics import USER_LOGS
from lakehouse import tables
from lakehouse.checkpoints import FIRST_FED
from lakehouse.contract import SPARK_TYPES, Table
from lakehouse.contract import tables as contracts
from lakehouse.frames import frame_of
from lakehouse.publish import publish
from lakehouse.silver import rebuild, rules
from lakehouse.silver import refresh as silver_refresh
from pipeline import gates, gold
from pipeline.dbt import run_dbt
from pipeline.streams import ONCE, run_silver
from tests.integration.conftest import own_database
from tests.integration.valid_rows import valid_rows
from tests.unit.silver.test_refresh import contents

RECORDED = Path(__file__).with_name("home_04e28ab.jsonl")
TOOK = datetime(2026, 1, 6)
"""When Kafka took the messages; no table of silver tells of it."""
OF_A_USER = "user-11@mail.example"
OF_THE_RUN = ("lake_version", "plays_lake_version", "votes_lake_version", "former_keys")
"""Columns of gold that tell of the run that made a row, or of what was there before it."""
OF_THE_PAST = ("int_event_places", "int_play_places")
"""Tables that keep every place where an event or a play was ever counted."""

NOT_FROM_BRONZE = ("recoveries", "recommendation_models", "movie_recommendations", "similar_movies")
FROM_BRONZE = [each for each in contracts("silver") if each.name not in NOT_FROM_BRONZE]

Contents = dict[str, list[str]]
"""Rows as text, by table."""


@dataclass
class Recorded:
    """The file.

    Args:
        rows: By table and part; of bronze `offset` and `value`, of silver every column as text.
    """

    rows: dict[tuple[str, int], list[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def read(cls) -> "Recorded":
        """All of it."""
        recorded = cls()
        table_name, columns = "", []
        # An application whose users are addresses.
        written = RECORDED.read_text("utf-8").replace("user-00011", OF_A_USER)
        for line in written.splitlines():
            each = json.loads(line)
            if isinstance(each, dict):
                table_name, columns = each["table"], each["columns"]
                continue
            part, *values = each
            recorded.rows[table_name, part].append(dict(zip(columns, values, strict=True)))
        return recorded


class Lake:
    """A lake that is filled with what was recorded.

    Args:
        spark: The session.
        settings: Tells where the lake is, whose tables are there and empty.
        recorded: What was recorded.
    """

    def __init__(self, spark: SparkSession, settings: Settings, recorded: Recorded) -> None:
        self.spark = spark
        self.settings = settings
        self.recorded = recorded

    def land(self, *parts: int) -> None:
        """Put messages in bronze."""
        for contract in contracts("bronze"):
            topic = contract.name
            for part in parts:
                rows = [
                    (topic, 0, row["offset"], TOOK, None, _bytes(row["value"]), TOOK.date())
                    for row in self.recorded.rows[contract.full_name, part]
                ]
                if rows:
                    self._append(contract, frame_of(self.spark, rows, contract.spark_schema()))

    def hold(self, part: int, besides: Mapping[str, DataFrame] = MappingProxyType({})) -> None:
        """Put rows in silver, and those besides, by table."""
        for contract in contracts("silver"):
            rows = self.recorded.rows[contract.full_name, part]
            frames = [self._typed(contract, rows)] if rows else []
            if contract.name in besides:
                frames.append(besides[contract.name])
            if frames:
                self._append(contract, reduce(DataFrame.unionByName, frames))

    def what_no_message_says(self) -> dict[str, DataFrame]:
        """A row of each table of silver that follows from bronze."""
        rng = random.Random(7)
        found = {}
        for contract in FROM_BRONZE:
            (row,) = valid_rows(contract, rng, 1)
            if contract.name == "quarantine":
                row["kafka_topic"] = USER_LOGS
            rows = [tuple(row.values())]
            found[contract.name] = frame_of(self.spark, rows, contract.spark_schema())
        return found

    def be_of_the_version_before(self) -> None:
        """Let silver not know by which rules it was made, and its queries have taken all of bronze."""
        for source, refresh in silver_refresh.REFRESH_OF_SOURCE.items():
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(silver_refresh.REFRESH_OF_SOURCE, source, _take_nothing)
                silver_refresh.start(self.spark, self.settings, source, ONCE).awaitTermination()
            assert silver_refresh.REFRESH_OF_SOURCE[source] is refresh
        for name in FIRST_FED.values():
            path = tables.table_path(self.settings, name)
            self.spark.sql(f"alter table delta.`{path}` unset tblproperties ('{rules.PROPERTY}')")

    def _append(self, contract: Table, rows: DataFrame) -> None:
        path = tables.table_path(self.settings, contract.full_name)
        rows.write.format("delta").mode("append").save(path)

    def _typed(self, contract: Table, rows: list[dict[str, str]]) -> DataFrame:
        """The rows in the types of the contract; a column that the version did not have is null."""
        values = [tuple(row.get(name) for name in contract.column_names) for row in rows]
        ddl = ", ".join(f"`{name}` string" for name in contract.column_names)
        typed = {
            column.name: F.unbase64(column.name)
            if column.type == "binary"
            else F.col(column.name).cast(SPARK_TYPES[column.type])
            for column in contract.columns
        }
        return frame_of(self.spark, values, ddl).withColumns(typed)


def _bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _take_nothing(*_: Any, **__: Any) -> None:
    pass


def contents_of_gold(settings: Settings) -> Contents:
    """Every table of `gold_next` but those of the past, row by row."""
    columns = (
        "select table_name, array_agg(column_name::text order by column_name)"
        " from information_schema.columns natural join information_schema.tables"
        " where table_schema = 'gold_next' and table_type = 'BASE TABLE' and column_name <> all(%s)"
        " and table_name <> all(%s)"
        " group by 1 order by 1"
    )
    with psycopg.connect(settings.postgres) as connection:
        return {
            name: [row[0] for row in connection.execute(_rows(name, names))]
            for name, names in connection.execute(
                columns, [list(OF_THE_RUN), list(OF_THE_PAST)]
            ).fetchall()
        }


def _rows(name: str, columns: list[str]) -> sql.Composed:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("select (row({}))::text from gold_next.{} order by 1").format(
        listed, sql.Identifier(name)
    )


def build_gold(settings: Settings) -> None:
    """Make all models, untested."""
    built = run_dbt(settings, ["run", "--no-write-json"])
    assert built.success, built.failed


@pytest.fixture
def recorded() -> Recorded:
    """What was recorded."""
    return Recorded.read()


@pytest.fixture
def upgraded(
    spark: SparkSession,
    settings: Settings,
    with_tables: Callable[[Settings], Settings],
    recorded: Recorded,
) -> Settings:
    """The lake of the version before, published and built up to where its gate stopped it; nothing has run since."""
    lake = Lake(spark, with_tables(settings), recorded)
    lake.land(1, 2)
    lake.hold(1, besides=lake.what_no_message_says())
    lake.be_of_the_version_before()
    publish(settings)
    build_gold(settings)
    lake.hold(2)
    lake.land(3)
    return settings


@pytest.fixture
def fresh(
    spark: SparkSession,
    stack: Settings,
    with_tables: Callable[[Settings], Settings],
    recorded: Recorded,
    tmp_path: Path,
) -> Iterator[Settings]:
    """A lake that has taken all messages for the first time, published and built."""
    with own_database(stack, tmp_path / "fresh") as settings:
        Lake(spark, with_tables(settings), recorded).land(1, 2, 3)
        run_silver(lambda: spark, settings)
        publish(settings)
        build_gold(settings)
        yield settings


def test_the_first_run_after_an_update_gives_the_silver_and_gold_of_a_fresh_load(
    spark: SparkSession, upgraded: Settings, fresh: Settings
) -> None:
    expected = contents_of_gold(fresh)
    old = contents_of_gold(upgraded)
    assert old["dim_session"] != expected["dim_session"]
    assert OF_A_USER in str(old)
    assert rebuild.outdated(upgraded) == list(silver_refresh.REFRESH_OF_SOURCE)

    run_silver(lambda: spark, upgraded)
    gates.require(gates.gate_silver(lambda: spark, upgraded, "upgrade"))
    publish(upgraded, upto=gates.passed_versions(upgraded, "silver"))
    gold.build_next(upgraded)

    names = [contract.name for contract in FROM_BRONZE]
    assert contents(upgraded, names) == contents(fresh, names)
    assert contents_of_gold(upgraded) == expected
    in_clear = contents(upgraded, [name for name in names if name != "quarantine"]), expected
    assert OF_A_USER not in str(in_clear)
