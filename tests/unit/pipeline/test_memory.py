"""What the Python process of a refresh holds of a batch is bounded, whatever its size."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from benchmarks.memory import MemoryPeak
from cinelake.settings import Settings, load_settings
from expectations.batches import Batch
from expectations.gate import run_lake_gate
from lakehouse import publish, tables
from lakehouse.contract import table
from lakehouse.silver import threads
from pipeline import gates
from tests.unit.expectations.batches import arrow_schema, good_row

ROOT = Path(__file__).parents[3]
PACKAGES = ("cinelake", "docs_site", "expectations", "ingestion", "lakehouse", "monitoring")
PACKAGES += ("pipeline", "spark_streaming")
WHOLE = {
    *("collect", "toArrow", "toLocalIterator", "toPandas"),
    *("fetchall", "read_all", "read_table", "to_pandas", "to_pyarrow_table"),
    "query",
}
"""Methods that hand over all rows at once; `query` is that of `lakehouse.changes`."""

A_CATALOGUE = "a row a table, a column or a lock of PostgreSQL"
OF_OPERATION = "sums, or a row a table, stage, hop or query that runs"
A_TRAINING = "arrays of one entry a user and movie, some 60 bytes each; no part of a refresh"
BOUNDED = {
    "cinelake/postgres.py": {"holders": A_CATALOGUE},
    "cinelake/stack/analyst.py": {"end_overdue": A_CATALOGUE},
    "docs_site/explore.py": {"_answer": "questions of our own, each with a limit or a row a day of a few weeks"},
    "expectations/constraints.py": {"held_in": A_CATALOGUE},
    "expectations/frames.py": {"frame_from_arrow": "the piece of an increment that its caller has in Arrow"},
    "expectations/results.py": {"_grouped": "a row a rule of one run"},
    "ingestion/api/keys.py": {"list_keys": "a row a key", "_change": "a row a key"},
    "ingestion/api/recommendations.py": {"_rows": "20 rows a user or movie"},
    "lakehouse/as_of.py": {"read_as_of": "as many rows as the person who asks has said"},
    "lakehouse/changes.py": {"query": "what its callers ask for, each of which is in this list"},
    "lakehouse/delta_log.py": {"count_in_file": "the rows of one Kafka message in one file"},
    "lakehouse/evolve.py": {"limits_held": A_CATALOGUE},
    "lakehouse/export.py": {"_gold_columns": A_CATALOGUE},
    "lakehouse/freshness.py": {"newest_row": "one row"},
    "lakehouse/held.py": {
        "list_held": "as many rows as the person who asks has said",
        "read_held": "one row",
        "count_held": "a row a topic and rule",
    },
    "lakehouse/hops.py": {
        "_ask": "the rows of one event or movie",
        "rows_of": "the rows of one event or movie",
    },
    "lakehouse/ledger.py": {"_landed": "a row a Kafka partition"},
    "lakehouse/recommend/als.py": {"_dense": A_TRAINING},
    "lakehouse/recommend/registry.py": {"entries": "a row a model", "_kept": A_TRAINING},
    "lakehouse/recommend/signals.py": {"read": A_TRAINING},
    "lakehouse/recover.py": {"_outcome": "a row a rule and reason, and one example; no part of a refresh"},
    "lakehouse/shape.py": {"found_in_postgres": A_CATALOGUE},
    "lakehouse/silver/refresh_events.py": {
        "_read_events": "a row a type of event",
        "_write_comments": "the ids and times of comments of the users in the batch, without texts",
    },
    "lakehouse/silver/refresh_movies.py": {"_count": "one row", "_newest": "one row"},
    "lakehouse/tables.py": {"_apply": "a row a kind of change"},
    "lakehouse/trace.py": {"_message": "one row"},
    "lakehouse/watermarks.py": {"read_all": OF_OPERATION},
    "monitoring/lake.py": {"_held": OF_OPERATION},
    "monitoring/warehouse.py": {"publication": OF_OPERATION, "ledger": OF_OPERATION},
    "pipeline/docs_catalogue.py": {"_lake_sample": "a few rows"},
    "pipeline/docs_home.py": {"_quarantine": OF_OPERATION},
    "pipeline/gates.py": {"gate_silver": OF_OPERATION, "passed_versions": OF_OPERATION},
    "pipeline/gold.py": {"count_rows": A_CATALOGUE},
    "pipeline/gold_sources.py": {"see": OF_OPERATION},
    "pipeline/gold_versions.py": {"swaps": OF_OPERATION},
    "pipeline/recommend.py": {
        "read_catalogue": "a row a movie and genre or keyword; no part of a refresh",
        "_column": "a row a movie; no part of a refresh",
    },
    "pipeline/runs.py": {
        "history": "as many runs as its caller says",
        "stage_totals": OF_OPERATION,
        "outcomes": OF_OPERATION,
    },
    "pipeline/stream_progress.py": {"read": OF_OPERATION},
    "pipeline/swap.py": {"_relations": A_CATALOGUE},
}  # fmt: skip
"""Who may take all rows at once, by module and function, and why they are never many."""


def test_who_takes_all_rows_at_once_is_known_and_says_why_they_are_few() -> None:
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            callers = set(_callers(ast.parse(path.read_text())))
            if callers:
                found[path.relative_to(ROOT).as_posix()] = callers
    assert found == {module: set(names) for module, names in BOUNDED.items()}


def _callers(node: ast.AST, function: str = "") -> Iterator[str]:
    """The functions that call a method which hands over all rows."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef) else function
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            called = child.func
            if called.attr in WHOLE - {"query"} or ast.unparse(called) == "changes.query":
                yield inside
        yield from _callers(child, inside)


ROWS, COMMITS = 300_000, 12
COMMENTS = table("silver.comments")
LIMIT = 300 * 2**20
"""How much memory may grow for those rows, which are 700 MiB in Arrow."""
OF_PLACES = 240 * 2**20
"""How much it may grow for the places of so many comments, which take some 0.6 KiB each; as rows of Python 1.3 KiB."""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with many comments of two thousand characters each."""
    settings = load_settings(CINELAKE_HOME=str(tmp_path_factory.mktemp("wide")))
    row = good_row(COMMENTS, 0) | {"text": "wide " * 400}
    size = ROWS // COMMITS
    for first in range(0, ROWS, size):
        columns = {name: pa.repeat(value, size) for name, value in row.items()}
        ids = [str(UUID(int=number)) for number in range(first, first + size)]
        batch = pa.table(columns | {"comment_id": ids}).cast(arrow_schema(COMMENTS))
        write_deltalake(tables.table_path(settings, COMMENTS.full_name), batch, mode="append")
    return settings


def no_spark() -> SparkSession:
    raise AssertionError("so many rows need no Spark")


def test_a_gate_holds_a_piece_of_a_large_increment(wide: Settings) -> None:
    increment = gates.Increment(-1, COMMITS - 1)
    with growing(LIMIT):
        rows = gates._rows(no_spark, wide, COMMENTS, increment)
        result = run_lake_gate(wide, "silver", [Batch(COMMENTS, rows)], "wide")
    assert [rule.label for rule in result.failures] == []
    assert {rule.rows_checked for rule in result.rules} == {ROWS}


class Sink:
    """A connection that takes what is copied and forgets it."""

    def __init__(self) -> None:
        self.lines = 0

    def execute(self, _statement: bytes) -> None:
        """Make the temporary table."""

    def cursor(self) -> "Sink":
        return self

    @contextmanager
    def copy(self, _statement: bytes) -> "Iterator[Sink]":
        yield self

    def write(self, data: bytes) -> None:
        self.lines += data.count(b"\n")


def test_a_publication_holds_a_batch_of_a_large_increment(wide: Settings) -> None:
    sink = Sink()
    with growing(LIMIT):
        connection = cast(psycopg.Connection[Any], sink)
        copied = publish._copy_changes(connection, wide, COMMENTS, -1, COMMITS - 1)
    assert copied == sink.lines == ROWS


def test_the_places_of_many_comments_are_found_in_little_memory() -> None:
    ids = [str(UUID(int=number)) for number in range(ROWS)]
    own = pa.table(
        {
            "comment_id": ids,
            "user_id": [f"user {number % 5_000}" for number in range(ROWS)],
            # Each thread is a tree in which every comment has two answers.
            "parent_comment_id": [
                None if number < 100 else ids[number // 2] for number in range(ROWS)
            ],
            "commented_at": pa.array(range(ROWS), pa.timestamp("us", "UTC")),
            "event_id": ids,
        }
    )
    users = pa.array([f"user {number}" for number in range(5_000)])
    del ids
    with growing(OF_PLACES):
        among = threads.Threads(own, threads.nothing_held(own), users)
        assert sum(1 for _ in among.moved()) == ROWS


@contextmanager
def growing(limit: int) -> Iterator[None]:
    """Fail when this process takes more memory than that on top of what it has."""
    before = MemoryPeak().peak_bytes
    with MemoryPeak(seconds=0.01) as memory:
        yield
    grown = memory.peak_bytes - before
    assert grown < limit, f"{grown >> 20} MiB"
