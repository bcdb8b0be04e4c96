"""A contract gains an optional column: it appears in the lake, PostgreSQL and gold, nothing is rebuilt, no row is lost."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.errors import ContractRefusedError, ServiceError
from cinelake.settings import Settings
from lakehouse import changes, contract, tables
from lakehouse.contract import Table, table
from lakehouse.contract_check import check
from lakehouse.frames import frame_of
from lakehouse.publish import Scope, publish
from lakehouse.silver import events
from lakehouse.silver import refresh as silver_refresh
from pipeline import dbt
from pipeline.dbt import run_dbt
from pipeline.gates import gate_silver
from pipeline.swap import swap_gold
from spark_streaming.bronze import Trigger
from tests.integration.test_publish import ask, rating
from tests.unit.silver.conftest import message, rows_of_messages, uuid_of


class Contracts:
    """A copy of the contracts that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add_column(self, name: str, column: str) -> Table:
        """Give a table an optional text column, and return its contract."""
        return self._change(name, lambda columns: columns.append(_optional(column)))

    def retype_column(self, name: str, column: str, kind: str) -> Table:
        def change(columns: list[dict[str, Any]]) -> None:
            next(each for each in columns if each["name"] == column)["physicalType"] = kind

        return self._change(name, change)

    def _change(self, name: str, change: Any) -> Table:
        file = self.folder / f"{name.replace('.', '/')}.yaml"
        document = yaml.safe_load(file.read_text("utf-8"))
        change(document["schema"][0]["properties"])
        file.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
        forget()
        return table(name)


def _optional(column: str) -> dict[str, Any]:
    described = {"description": "It's new.", "required": False}
    return {"name": column, "logicalType": "string", "physicalType": "string", **described}


def forget() -> None:
    """Have the contracts read anew."""
    contract.table.cache_clear()
    contract.tables.cache_clear()


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contracts]:
    """Contracts of the test's own, which every stage reads."""
    folder = tmp_path / "contracts"
    shutil.copytree(contract.CONTRACTS, folder)
    monkeypatch.setattr(contract, "CONTRACTS", folder)
    forget()
    yield Contracts(folder)
    monkeypatch.undo()
    forget()


@pytest.fixture
def lakehouse(
    settings: Settings, with_tables: Callable[[Settings], Settings], tmp_path: Path
) -> Settings:
    """A database and a lake of the test's own, the lake with every table, and a home for dbt's files."""
    return with_tables(settings).model_copy(update={"home": tmp_path / "home"})


def put(spark: SparkSession, settings: Settings, to: Table, *rows: dict[str, Any]) -> None:
    """Upsert rows by the contract of the moment."""
    known = [tuple(row.get(name) for name in to.column_names) for row in rows]
    tables.upsert(spark, settings, to, frame_of(spark, known, to.spark_schema()))


def refuse() -> SparkSession:
    raise AssertionError("a small increment needs no Spark")


def drifted(settings: Settings, contracts: Contracts) -> list[tuple[str, str, str]]:
    """Place, table and column of what `cinelake contracts check` finds in the lake and in PostgreSQL."""
    return [
        (found.place, found.name, found.column)
        for found in check(settings, contracts.folder).findings
        if found.place in ("lake", "PostgreSQL")
    ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project that a test may change."""
    copy = tmp_path / "dbt_project"
    kept_out = shutil.ignore_patterns("target", "logs", "profiles.yml")
    shutil.copytree(dbt.DBT_PROJECT, copy, ignore=kept_out)
    (copy / "env_profile").mkdir(exist_ok=True)
    shutil.copy(dbt.PROFILES / "profiles.yml", copy / "env_profile")
    monkeypatch.setattr(dbt, "DBT_PROJECT", copy)
    monkeypatch.setattr(dbt, "PROFILES", copy / "env_profile")
    return copy


def take_up(project: Path, column: str) -> None:
    """Carry a column of `silver.ratings` through staging into the mart, as a developer would."""
    listed = "      - name: lake_version\n"
    described = f"      - name: {column}\n        description: New.\n        data_type: text\n"
    staging, marts = project / "models/staging", project / "models/marts/core"
    for file, at, added in (
        (staging / "stg_ratings.sql", "    rating,\n", f"    {column},\n"),
        (staging / "stg_ratings.yml", listed, described),
        (marts / "ratings.sql", "        current_ratings.rating,\n", f"        current_ratings.{column},\n"),
        (marts / "ratings.yml", listed, described),
    ):  # fmt: skip
        text = file.read_text("utf-8")
        assert text.count(at) == 1
        file.write_text(text.replace(at, added + at), "utf-8")


def publish_gold(settings: Settings) -> None:
    result = run_dbt(settings, ["run", "--select", "+ratings"])
    assert result.success, result.failed
    swap_gold(settings.postgres)


def test_an_added_column_arrives_in_both_golds_by_increments_and_every_row_stays(
    spark: SparkSession, lakehouse: Settings, contracts: Contracts, project: Path
) -> None:
    put(spark, lakehouse, table("silver.ratings"), rating("ada", 8.5), rating("bob", 3.0))
    publish(lakehouse)
    for _ in ("gold", "gold_next"):
        publish_gold(lakehouse)

    # Not published yet: the next increment spans the change.
    put(spark, lakehouse, table("silver.ratings"), rating("zoe", 1.0))
    wider = contracts.add_column("silver.ratings", "device")
    take_up(project, "device")
    tables.ensure_layer(lambda: spark, lakehouse, "silver")
    put(spark, lakehouse, wider, {**rating("bob", 4.0), "device": "tv"})
    put(spark, lakehouse, wider, {**rating("eve", 9.0), "device": 'a "web", page'})
    on_spark = lakehouse.model_copy(update={"gate_pandas_rows": 1})
    for run_id, how in (("pandas", lakehouse), ("spark", on_spark)):
        assert gate_silver(refuse if run_id == "pandas" else lambda: spark, how, run_id).passed
    publish(lakehouse)
    expected = [
        ("ada", 8.5, None),
        ("bob", 4.0, "tv"),
        ("eve", 9.0, 'a "web", page'),
        ("zoe", 1.0, None),
    ]
    query = "select user_id, rating, device from {}.ratings order by 1"
    assert ask(lakehouse, query.format("silver")) == expected
    comment = "select col_description('silver.ratings'::regclass, attnum) from pg_attribute"
    of_it = "where attrelid = 'silver.ratings'::regclass and attname = 'device'"
    assert ask(lakehouse, f"{comment} {of_it}") == [("It's new.",)]
    for _ in ("gold_next", "gold"):
        publish_gold(lakehouse)
        assert ask(lakehouse, query.format("gold")) == expected
    assert drifted(lakehouse, contracts) == []


@pytest.fixture
def theme_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silver takes the property `theme` out into a column of its own, once the contract has one."""
    clean = events._clean

    def with_theme(parsed: DataFrame, policy: events.Policy) -> DataFrame:
        theme = F.get_json_object("properties", "$.theme")
        return clean(parsed, policy).withColumn("theme", theme)

    monkeypatch.setattr(events, "_clean", with_theme)


def land(spark: SparkSession, settings: Settings, rows: DataFrame) -> None:
    """Append messages to bronze and let silver's query take them."""
    path = tables.table_path(settings, "bronze.user_logs")
    rows.write.format("delta").mode("append").save(path)
    silver_refresh.start(spark, settings, "bronze.user_logs", Trigger()).awaitTermination()


def test_an_optional_property_becomes_a_column_and_the_stream_goes_on(
    spark: SparkSession, lakehouse: Settings, contracts: Contracts, theme_is_read: None
) -> None:
    old = message(event_id=uuid_of("old"), properties={"theme": "dark"})
    new = message(event_id=uuid_of("new"), properties={"theme": "light"})
    without = message(event_id=uuid_of("without"), user_id="bob", properties={})
    first = rows_of_messages(spark, [old], "user_logs")
    second = rows_of_messages(spark, [old, new, without], "user_logs").withColumn(
        "offset", F.col("offset") + 1
    )
    land(spark, lakehouse, first)
    publish(lakehouse)
    contracts.add_column("silver.events", "theme")
    contracts.add_column("bronze.user_logs", "headers")
    tables.ensure_layer(lambda: spark, lakehouse, "bronze")
    tables.ensure_layer(lambda: spark, lakehouse, "silver")
    land(spark, lakehouse, second)
    assert gate_silver(refuse, lakehouse, "run").passed
    publish(lakehouse)
    found = dict(ask(lakehouse, "select event_id::text, theme from silver.events"))
    assert found == {
        uuid_of("old"): None,
        uuid_of("new"): "light",
        uuid_of("without"): None,
    }
    assert changes.count_rows(lakehouse, "silver.duplicates") == 1
    assert changes.count_rows(lakehouse, "silver.quarantine") == 0


def test_a_publication_before_the_lake_has_the_column_says_what_to_do(
    spark: SparkSession, lakehouse: Settings, contracts: Contracts
) -> None:
    put(spark, lakehouse, table("silver.genres"), {"genre_id": 18, "name": "Drama"})
    contracts.add_column("silver.genres", "colour")
    with pytest.raises(ServiceError, match=r"silver\.genres in the lake has no column colour"):
        publish(lakehouse)
    tables.ensure_layer(lambda: spark, lakehouse, "silver")
    publish(lakehouse)
    assert ask(lakehouse, "select genre_id, colour from silver.genres") == [(18, None)]


def test_a_changed_type_is_refused_everywhere_and_what_the_hint_says_helps(
    spark: SparkSession, lakehouse: Settings, contracts: Contracts
) -> None:
    put(spark, lakehouse, table("silver.genres"), {"genre_id": 18, "name": "Drama"})
    publish(lakehouse)
    retyped = contracts.retype_column("silver.genres", "genre_id", "int")
    with pytest.raises(ContractRefusedError, match=r"silver\.genres\.genre_id is long"):
        tables.ensure_layer(lambda: spark, lakehouse, "silver")
    with pytest.raises(ContractRefusedError, match=r"silver\.genres\.genre_id is bigint") as caught:
        publish(lakehouse)
    assert ask(lakehouse, "select genre_id, name from silver.genres") == [(18, "Drama")]
    assert drifted(lakehouse, contracts) == [
        ("lake", "silver.genres", "genre_id"),
        ("PostgreSQL", "silver.genres", "genre_id"),
    ]

    shutil.rmtree(tables.table_path(lakehouse, "silver.genres"))
    tables.ensure_layer(lambda: spark, lakehouse, "silver")
    put(spark, lakehouse, retyped, {"genre_id": 18, "name": "Drama"})
    statement = caught.value.hint.split("`")[1]
    assert statement == "drop table silver.genres cascade"
    with psycopg.connect(lakehouse.postgres) as connection:
        connection.execute(statement.encode())
    publish(lakehouse, scope=Scope(full=True))
    assert ask(lakehouse, "select genre_id, name, _deleted from silver.genres") == [
        (18, "Drama", False)
    ]
