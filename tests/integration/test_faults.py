"""A table of faults in bronze and silver, each stopped by the gate of its layer, and clean data that no gate stops.

Faults of gold are in `test_gates.py`.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from cinelake.errors import GateFailedError, ServiceError
from cinelake.postgres import connect
from cinelake.settings import Settings
from expectations.results import GateResult
from expectations.trends import trend_expectations
from lakehouse import changes, watermarks
from lakehouse.contract import Table, table, tables
from lakehouse.publish import ensure_tables
from pipeline.gates import gate_bronze, gate_silver, require
from tests.integration.conftest import own_database
from tests.integration.valid_rows import Row, append, make_table, valid_rows
from tests.unit.expectations.batches import arrow_schema

LAYERS: tuple[Literal["bronze", "silver"], ...] = ("bronze", "silver")
EVENT = "0e0e0e0e-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one row of a batch, or with a batch that comes twice.

    Args:
        table: Where.
        rule: The rule that must stop it.
        column: The column that must be named with it.
        broken: What is wrong in a row that is valid else; nothing in a batch that comes twice.
        trace: The column by which `cinelake trace` must be offered; nothing where no row can be followed.
    """

    table: str
    rule: str
    column: str
    broken: Row = field(default_factory=dict)
    trace: str = ""

    @property
    def name(self) -> str:
        return f"{self.table} {self.rule} {self.column} {self.broken.get(self.column, '')}"


def doubled(name: str, trace: str = "") -> Fault:
    return Fault(name, "unique", ", ".join(table(name).key), trace=trace)


def null(name: str, column: str, trace: str = "", **fields: Any) -> Fault:
    return Fault(name, "not_null", column, {**fields, column: None}, trace)


def value(name: str, rule: str, trace: str = "", /, **fields: Any) -> Fault:
    """A value, the last of the fields, that breaks a rule."""
    return Fault(name, rule, list(fields)[-1], fields, trace)


FAULTS = [
    null("bronze.user_logs", "topic"),
    null("bronze.user_logs", "offset"),
    null("bronze.rejected", "partition"),
    null("bronze.movie", "timestamp"),
    null("bronze.movie", "ingest_date"),
    value("bronze.user_logs", "valid_values", topic="user_logs_rejected"),
    value("bronze.rejected", "valid_values", topic="user_logs"),
    value("bronze.movie", "valid_values", topic="Movie"),
    doubled("bronze.user_logs"),
    doubled("bronze.rejected"),
    doubled("bronze.movie"),
    null("silver.events", "event_id"),
    null("silver.events", "session_id", "event_id"),
    null("silver.ratings", "user_id", "event_id"),
    null("silver.movies", "title", "movie_id"),
    null("silver.genres", "name"),
    value("silver.events", "valid_values", "event_id", event_type="sneeze"),
    value("silver.comment_votes", "valid_values", "event_id", vote="sideways"),
    value("silver.movies", "valid_values", "movie_id", status="Lost"),
    value("silver.movie_versions", "valid_values", "movie_id", popularity_bucket="7"),
    value("silver.quarantine", "valid_values", "event_id", event_id=EVENT, rule="unheard_of"),
    value("silver.ratings", "range", "event_id", rating=10.5),
    value("silver.ratings", "range", "event_id", rating=0.0),
    value("silver.events", "range", "event_id", local_hour=24),
    value("silver.users", "range", birth_year=1899),
    value("silver.sessions", "range", event_count=0),
    value("silver.genres", "range", genre_id=0),
    value("silver.movie_cast", "range", "movie_id", person_id=-1),
    value("silver.users", "pattern", country="gb"),
    value("silver.users", "pattern", email_hash="ada@movies.example"),
    value("silver.sessions", "pattern", visitor_id="ada"),
    value("silver.movies", "pattern", "movie_id", imdb_id="0109830"),
    value("silver.watch_history", "pattern", session_id="A" * 64),
    value("silver.events", "uuid", "event_id", event_id=EVENT.upper()),
    value("silver.comments", "uuid", "event_id", event_id="42"),
    value("silver.identities", "uuid", "event_id", event_id=f"{EVENT}0"),
    doubled("silver.events", "event_id"),
    doubled("silver.watchlist", "event_id"),
    doubled("silver.movie_genres", "movie_id"),
    doubled("silver.people"),
]  # fmt: skip


@pytest.fixture(scope="module")
def lakehouse(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A database and a lake with every table, all empty."""
    with own_database(stack, tmp_path_factory.mktemp("faults")) as own:
        ensure_tables(own)
        for contract in (*tables("bronze"), *tables("silver")):
            make_table(own, contract)
        yield own


def with_home(settings: Settings, home: Path) -> Settings:
    """The same with a Great Expectations project of its own, which is slower the more tables it has seen."""
    return settings.model_copy(update={"home": home})


def no_spark() -> SparkSession:
    raise AssertionError("a small increment needs no Spark")


def gate(settings: Settings, layer: str, run_id: str) -> GateResult:
    stage = gate_bronze if layer == "bronze" else gate_silver
    return stage(no_spark, settings, run_id)


def mark(contract: Table) -> str:
    """Under which name the place is kept where the gate of a table's layer goes on."""
    name = contract.full_name
    return f"gate of {name}" if contract.layer == "bronze" else name


def pass_over(settings: Settings, layer: Literal["bronze", "silver"]) -> None:
    """Let the gate of a layer begin behind what its tables hold now, as if it had passed."""
    with connect(settings, "loader") as connection:
        for contract in tables(layer):
            newest = changes.current_version(settings, contract.full_name)
            watermarks.write(connection, mark(contract), newest)


def failed(result: GateResult) -> list[tuple[str, str, str]]:
    return [(rule.table, rule.rule, rule.column) for rule in result.failures]


def test_the_table_has_every_kind_of_fault_in_many_tables() -> None:
    kinds = {(fault.table.partition(".")[0], fault.rule) for fault in FAULTS}
    assert kinds == {
        *(("bronze", rule) for rule in ("not_null", "valid_values", "unique")),
        *(
            ("silver", rule)
            for rule in ("not_null", "valid_values", "range", "pattern", "uuid", "unique")
        ),
    }
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 25
    assert len({fault.table for fault in FAULTS}) >= 15


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_is_stopped_by_the_gate_of_its_layer_and_by_the_rule_for_it(
    lakehouse: Settings, tmp_path: Path, fault: Fault
) -> None:
    contract = table(fault.table)
    pass_over(lakehouse, contract.layer)
    place = watermarks.read(lakehouse, mark(contract))
    batch = valid_rows(contract, random.Random(fault.name), 4)
    batch[0] |= fault.broken
    # A batch that is whole comes twice, in two commits, as from a writer that knows nothing of the first.
    for _ in range(1 if fault.broken else 2):
        append(lakehouse, contract, batch)
    wrong = batch[:1] if fault.broken else batch

    result = gate(with_home(lakehouse, tmp_path), contract.layer, fault.name)
    assert failed(result) == [(fault.table, fault.rule, fault.column)]
    (rule,) = result.failures
    assert (rule.unexpected_count, rule.rows_checked) == ((1, 4) if fault.broken else (8, 8))
    columns = fault.column.split(", ")
    assert {shown(row, columns) for row in rule.sample} == {shown(row, columns) for row in wrong}
    with pytest.raises(GateFailedError, match=re.escape(message(result, fault))) as refused:
        require(result)
    offered = re.findall(r"`(cinelake trace [^`]*)`", str(refused.value.hint))
    assert len(offered) == bool(fault.trace)
    kind = "movie " if fault.trace == "movie_id" else ""
    assert set(offered) <= {f"cinelake trace {kind}{row.get(fault.trace)}" for row in wrong}
    assert watermarks.read(lakehouse, mark(contract)) == place


def shown(row: Row, columns: list[str]) -> tuple[Any, ...]:
    """What a row has in the columns, with None for any kind of null."""
    return tuple(None if pd.isna(row[name]) else row[name] for name in columns)


def message(result: GateResult, fault: Fault) -> str:
    rules = f"1 of {len(result.rules)} rules failed ({fault.table}: {fault.rule} {fault.column})"
    return f"The {result.gate} gate refused the data: {rules}."


DRIFTED = [
    ("bronze.user_logs", "partition"),
    ("bronze.movie", "offset"),
    ("silver.ratings", "rating"),
    ("silver.events", "is_late"),
]
"""Columns that hold texts where the contract says something else."""


@pytest.mark.parametrize(("name", "column"), DRIFTED)
def test_a_column_of_another_type_is_stopped(
    lakehouse: Settings, tmp_path: Path, name: str, column: str
) -> None:
    own, contract = only(lakehouse, tmp_path, name)
    schema = arrow_schema(contract)
    place = schema.get_field_index(column)
    make_table(own, contract, schema.set(place, pa.field(column, pa.string())))
    append(own, contract, [dict.fromkeys(contract.column_names) | {column: "7"}])
    result = gate(own, contract.layer, f"{name} with texts")
    assert (name, "type", column) in failed(result)
    with pytest.raises(GateFailedError, match=re.escape(f"{name}: type {column}")):
        require(result)


@pytest.mark.parametrize(
    ("name", "column"), [("bronze.user_logs", "value"), ("silver.movies", "title")]
)
def test_a_table_that_lacks_a_column_is_not_even_read(
    lakehouse: Settings, tmp_path: Path, name: str, column: str
) -> None:
    own, contract = only(lakehouse, tmp_path, name)
    schema = arrow_schema(contract)
    make_table(own, contract, schema.remove(schema.get_field_index(column)))
    with pytest.raises(ServiceError, match=re.escape(f"{name} in the lake has no column {column}")):
        gate(own, contract.layer, f"{name} without {column}")


def only(settings: Settings, folder: Path, name: str) -> tuple[Settings, Table]:
    """A lake of its own for one table, of which no gate has seen anything."""
    with connect(settings, "loader") as connection:
        connection.execute("delete from ops.watermarks")
    own = with_home(settings, folder / "home")
    return own.model_copy(update={"lake": str(folder / "lake")}), table(name)


RUNS = 25
BRONZE_A_RUN, SILVER_A_RUN = 1, 2
"""Tables that a clean batch has rows for, in turn, as a gate takes a third of a second a table."""


def test_no_rule_fails_in_25_runs_of_clean_batches(lakehouse: Settings, tmp_path: Path) -> None:
    for layer in LAYERS:
        pass_over(lakehouse, layer)
    turns = {layer: cycle(tables(layer)) for layer in LAYERS}
    seen: set[str] = set()
    for seed in range(RUNS):
        rng = random.Random(seed)
        for layer, count in zip(LAYERS, (BRONZE_A_RUN, SILVER_A_RUN), strict=True):
            expected = {}
            for contract in islice(turns[layer], count):
                rows = valid_rows(contract, rng, rng.randint(1, 200))
                append(lakehouse, contract, rows)
                expected[contract.full_name] = len(rows)
            own = with_home(lakehouse, tmp_path / str(seed))
            result = gate(own, layer, f"clean {seed}")
            assert [(rule.table, rule.label, rule.sample) for rule in result.failures] == []
            assert {rule.table: rule.rows_checked for rule in result.rules} == expected
            require(result)
            seen |= expected.keys()
        pass_over(lakehouse, "silver")
    assert seen == {contract.full_name for layer in LAYERS for contract in tables(layer)}


HOURS = 8 * 24
TYPES = {"page_view": 40, "movie_view": 25, "play": 15, "rating": 15, "search": 4, "user_upsert": 1}
"""Event types by their share in percent."""
HISTORY = """
    create table gold_next.fact_user_event as
    select
        gen_random_uuid() as event_id, 13 as movie_id, event.event_type,
        case when event.is_unknown then -1 else 1 end as movie_key,
        event.rating, now() - event.hours * interval '1 hour' as received_at
    from unnest(%s::text[], %s::boolean[], %s::float[], %s::float[])
        as event (event_type, is_unknown, rating, hours)
"""


def test_none_of_25_clean_histories_is_called_unusual(lakehouse: Settings) -> None:
    queries = {
        rule.meta["rule"]: rule.unexpected_rows_query.format(batch="gold_next.fact_user_event")
        for rule in trend_expectations("gold.fact_user_event")
    }
    assert len(queries) == 6
    with psycopg.connect(lakehouse.postgres, autocommit=True) as connection:
        for seed in range(RUNS):
            with connection.transaction(force_rollback=True):
                write_history(connection, random.Random(seed))
                found = {
                    name: rows
                    for name, query in queries.items()
                    if (rows := connection.execute(query.encode()).fetchall())
                }
                assert (seed, found) == (seed, {})


def write_history(connection: psycopg.Connection, rng: random.Random) -> None:
    """Eight days of events and the runs that took them: everything varies by 30 % around a usual day."""

    def around(usual: float) -> int:
        return round(usual * rng.uniform(0.7, 1.3))

    usual = rng.choice((300, 1_000, 3_000))
    # A run a day; what the last one brings is what the ledger does not know of yet.
    brought = [around(usual) for _ in range(9)]
    events = sum(brought)
    kinds = rng.choices(list(TYPES), list(TYPES.values()), k=events)
    quiet_hours, unknown = rng.uniform(0, 20), rng.uniform(0.2, 0.4)
    connection.execute("set local role transformer")
    connection.execute(
        HISTORY.encode(),
        [
            kinds,
            [rng.random() < unknown for _ in kinds],
            [rng.triangular(0.5, 10, 7) if kind == "rating" else None for kind in kinds],
            [quiet_hours + rng.uniform(0, HOURS) for _ in kinds],
        ],
    )
    connection.execute("set local role loader")
    for run in range(8):
        connection.execute(
            "insert into ops.ledger (run_id, hop, rows, recorded_at)"
            " values (%s, 'published', %s, now() - %s * interval '1 day')",
            [f"run {run}", sum(brought[: run + 1]), 8 - run],
        )
    connection.execute(
        "insert into silver.quarantine (kafka_topic, kafka_partition, kafka_offset, rule, reason,"
        " contract_version, first_seen_at, last_seen_at, attempts, _lake_version, _deleted)"
        " select 'user_logs', 0, n, 'not_json', 'x', '1.0.0', now(), now(), 1, 1, false"
        " from generate_series(1, %s) n",
        [around(0.3 * brought[-1])],
    )
    connection.execute("set local role none")
