"""The gate of the lake catches every row that breaks its contract, says which, and lets clean batches pass."""

import json
import os
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings, load_settings
from expectations import data_docs, sources
from expectations.batches import Batch, Pieces
from expectations.data_docs import build_data_docs
from expectations.frames import TEXT, frame_from_arrow
from expectations.gate import run_lake_gate
from expectations.results import GateResult
from expectations.suites import suite_for
from lakehouse.contract import Table, table, tables
from lakehouse.frames import frame_of
from tests.unit.expectations.batches import (
    Row,
    arrow_schema,
    as_frame,
    broken_rows,
    good_row,
    good_rows,
)

EVENTS, RATINGS, SESSIONS = (table(f"silver.{name}") for name in ("events", "ratings", "sessions"))
CHECKED = pytest.mark.parametrize("contract", [EVENTS, RATINGS, SESSIONS], ids=lambda t: t.name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a Great Expectations project of this file's own, and the address of a PostgreSQL."""
    return load_settings(
        CINELAKE_HOME=str(tmp_path_factory.mktemp("gate-home")),
        POSTGRES_URI="postgresql://owner:open-sesame@127.0.0.1:1/cinelake",
    )


def check(
    home: Settings, contract: Table, frame: pd.DataFrame | DataFrame, run_id: str = "run"
) -> GateResult:
    return run_lake_gate(home, "silver", [Batch(contract, frame)], run_id)


def failures(result: GateResult) -> dict[tuple[str, str], int]:
    return {(rule.rule, rule.column): rule.unexpected_count for rule in result.failures}


def test_the_suite_of_ratings_has_a_rule_for_each_promise_of_its_contract() -> None:
    found = [
        (
            each.meta["rule"],
            each.configuration.kwargs.get("column", each.configuration.kwargs.get("column_list")),
        )
        for each in suite_for(RATINGS).expectations
    ]
    assert found == [
        ("columns_exist", None),
        ("not_null", "user_id"),
        ("length", "user_id"),
        ("not_null", "movie_id"),
        ("type", "movie_id"),
        ("range", "movie_id"),
        ("type", "rating"),
        ("range", "rating"),
        ("not_null", "event_id"),
        ("uuid", "event_id"),
        ("not_null", "rated_at"),
        ("range", "rated_at"),
        ("not_null", "is_removed"),
        ("type", "is_removed"),
        ("unique", ["user_id", "movie_id"]),
    ]


@pytest.mark.parametrize("contract", [*tables("bronze"), *tables("silver")], ids=lambda t: t.name)
def test_every_rule_of_a_contract_is_in_its_suite_and_leads_back_to_it(contract: Table) -> None:
    expected = 1 + bool(contract.key)
    for column in contract.columns:
        expected += column.required + column.is_uuid + column.unique
        expected += bool(column.valid_values) + bool(column.pattern)
        expected += (column.minimum, column.maximum) != (None, None)
        expected += column.max_length is not None
        expected += column.type in ("bigint", "int", "double", "boolean")
    suite = suite_for(contract)
    assert suite.name == contract.full_name
    assert len(suite.expectations) == expected
    for each in suite.expectations:
        assert each.meta["contract"] == f"{contract.full_name} {contract.version}"
        assert each.meta["severity"] == "block"
        assert each.meta["expected"]


@CHECKED
def test_a_clean_batch_passes(home: Settings, contract: Table) -> None:
    result = check(home, contract, as_frame(contract, good_rows(contract)))
    assert failures(result) == {}
    assert result.passed
    assert {rule.rows_checked for rule in result.rules} == {3}


@CHECKED
def test_an_empty_batch_passes(home: Settings, contract: Table) -> None:
    result = check(home, contract, as_frame(contract, []))
    assert [rule.observed for rule in result.failures] == []
    assert len(result.rules) == len(suite_for(contract).expectations)


@CHECKED
def test_every_row_that_breaks_a_rule_is_caught_and_counted(
    home: Settings, contract: Table
) -> None:
    rows, expected = broken_rows(contract)
    result = check(home, contract, as_frame(contract, rows))
    assert failures(result) == expected
    assert not result.passed


@CHECKED
def test_spark_gives_the_verdicts_of_pandas(
    home: Settings, spark: SparkSession, contract: Table
) -> None:
    rows, expected = broken_rows(contract)
    frame = spark_frame(spark, contract, rows).persist()
    try:
        on_spark = check(home, contract, frame)
    finally:
        frame.unpersist()
    assert failures(on_spark) == expected
    on_pandas = check(home, contract, as_frame(contract, rows))
    verdicts = [
        [(rule.label, rule.success, rule.rows_checked, rule.expected) for rule in result.rules]
        for result in (on_spark, on_pandas)
    ]
    assert verdicts[0] == verdicts[1]


@CHECKED
def test_pieces_give_the_verdicts_of_the_whole(tmp_path: Path, contract: Table) -> None:
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    rows, expected = broken_rows(contract)
    frame = as_frame(contract, rows)
    gone: list[weakref.ref[pd.DataFrame]] = []

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        size = -(-len(frame) // 3)
        for start in range(0, len(frame), size):
            # Of a piece that was checked nothing is in memory when the next one is.
            assert len(columns) < len(contract.columns) or all(each() is None for each in gone)
            piece = frame[list(columns)].iloc[start : start + size].reset_index(drop=True)
            gone.append(weakref.ref(piece))
            yield piece
            del piece

    of_pieces = run_lake_gate(own, "silver", [Batch(contract, Pieces(read))], "pieces")
    assert len(gone) == 6
    assert failures(of_pieces) == expected
    whole = check(own, contract, frame, "whole")
    found = [
        sorted((replace(rule, data_docs="") for rule in result.rules), key=lambda rule: rule.label)
        for result in (of_pieces, whole)
    ]
    assert found[0] == found[1]
    kept = [
        json.loads(path.read_text())
        for run in ("pieces", "whole")
        for path in (tmp_path / "gx" / "uncommitted" / "validations").rglob(f"{run}/**/*.json")
    ]
    assert len(kept) == 2
    assert kept[0]["statistics"] == kept[1]["statistics"]
    assert _shown_in_docs(kept[0]) == _shown_in_docs(kept[1])


def _shown_in_docs(kept: dict[str, Any]) -> dict[str, Any]:
    """What was found of each rule, without what names rows by their place."""
    return {
        json.dumps(rule["expectation_config"]["kwargs"]): rule["result"]
        | {"unexpected_index_query": None, "partial_unexpected_counts": None}
        for rule in kept["results"]
    }


def test_a_rule_that_one_piece_cannot_evaluate_fails_and_a_clean_one_passes(home: Settings) -> None:
    good = as_frame(RATINGS, good_rows(RATINGS))
    wrong = good.astype({"rating": "object"})
    wrong.loc[0, "rating"] = "ten"
    for frames, broken in (([good, wrong, good], {"range(rating)"}), ([good], set())):
        pieces = Pieces(lambda columns, frames=frames: (each[list(columns)] for each in frames))
        result = run_lake_gate(home, "silver", [Batch(RATINGS, pieces)], "run")
        assert {rule.label for rule in result.failures} >= broken
        assert result.passed == (not broken)


def test_a_clean_and_an_empty_batch_pass_on_spark(home: Settings, spark: SparkSession) -> None:
    for rows in (good_rows(RATINGS), []):
        result = check(home, RATINGS, spark_frame(spark, RATINGS, rows))
        assert [(rule.label, rule.observed) for rule in result.failures] == []


def spark_frame(spark: SparkSession, contract: Table, rows: list[Row]) -> DataFrame:
    schema = contract.spark_schema()
    for field in schema.fields:
        field.nullable = True
    return frame_of(spark, [tuple(row.values()) for row in rows], schema)


def test_a_missing_column_is_caught(home: Settings) -> None:
    frame = as_frame(RATINGS, good_rows(RATINGS)).drop(columns="rating")
    result = check(home, RATINGS, frame)
    broken = {rule.label: rule.observed for rule in result.failures}
    assert broken["columns_exist"] == "rating missing"
    assert {rule.column for rule in result.failures} == {"", "rating"}


@pytest.mark.parametrize("name", ["movie_id", "rating", "is_removed"])
def test_a_column_of_another_type_is_caught(home: Settings, name: str) -> None:
    frame = as_frame(RATINGS, good_rows(RATINGS)).astype({name: "string"})
    assert f"type({name})" in [rule.label for rule in check(home, RATINGS, frame).failures]


def test_nulls_where_they_are_allowed_break_no_rule(home: Settings) -> None:
    optional = [column.name for column in EVENTS.columns if not column.required]
    some = [good_row(EVENTS, 0), good_row(EVENTS, 1) | dict.fromkeys(optional)]
    for rows in (some, some[1:]):
        result = check(home, EVENTS, as_frame(EVENTS, rows))
        assert [(rule.label, rule.observed) for rule in result.failures] == []


def test_a_rule_that_cannot_be_evaluated_fails_and_says_why(home: Settings) -> None:
    frame = as_frame(RATINGS, good_rows(RATINGS)).astype({"rating": "object"})
    frame.loc[0, "rating"] = "ten"
    result = check(home, RATINGS, frame)
    broken = {rule.label: rule.observed for rule in result.failures}
    assert "range(rating)" in broken


def test_the_broken_rows_are_shown_by_their_key_and_event(home: Settings) -> None:
    rows = good_rows(RATINGS)
    rows[1]["rating"] = 11.0
    result = check(home, RATINGS, as_frame(RATINGS, rows))
    assert [rule.sample for rule in result.failures] == [
        (
            {
                "movie_id": 7,
                "user_id": "key 1",
                "event_id": rows[1]["event_id"],
                "rating": 11.0,
            },
        )
    ]
    assert result.failures[0].observed == "1 of 3 rows break it"


def test_no_batch_at_all_passes(home: Settings) -> None:
    result = run_lake_gate(home, "bronze", [], "run")
    assert (result.passed, result.rules, result.gate) == (True, (), "bronze")


def test_results_are_counted_by_table_in_the_order_they_ran(home: Settings) -> None:
    broken, _ = broken_rows(SESSIONS)
    batches = [
        Batch(SESSIONS, as_frame(SESSIONS, broken)),
        Batch(RATINGS, as_frame(RATINGS, good_rows(RATINGS))),
    ]
    result = run_lake_gate(home, "silver", batches, "run")
    (first, rules, failed), (second, other_rules, other_failed) = result.by_table()
    assert (first, second) == ("silver.sessions", "silver.ratings")
    assert (rules, other_rules) == tuple(
        len(suite_for(contract).expectations) for contract in (SESSIONS, RATINGS)
    )
    assert (failed, other_failed) == (len(result.failures), 0)
    assert failed > 0


def test_old_runs_leave_data_docs_and_new_ones_are_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_docs, "RUNS_IN_DATA_DOCS", 2)
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    genres = table("silver.genres")
    row = {"genre_id": 1, "name": "Drama"}
    frame = as_frame(genres, [row])
    for number in range(3):
        check(own, genres, frame, run_id=f"run-{number}")
    folder = build_data_docs(own)
    assert (folder / "index.html").is_file()
    pages = {path.parts[-3] for path in (folder / "validations").rglob("*.html")}
    assert pages == {"run-1", "run-2"}
    kept = tmp_path / "gx" / "uncommitted" / "validations"
    assert {path.parts[-3] for path in kept.rglob("*.json")} == {"run-1", "run-2"}


def test_data_docs_show_of_a_text_in_a_row_no_more_than_its_shape(tmp_path: Path) -> None:
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    hostile = "<script>alert(1)</script> Ada@example.org"
    long = "\"'`$x${x}</td><!--" + hostile * 100
    votes = table("silver.comment_votes")
    rated = [{"event_id": hostile}, {"user_id": long}, {"user_id": hostile}, {"user_id": hostile}]
    ratings = as_frame(RATINGS, [good_row(RATINGS, n) | row for n, row in enumerate(rated)])
    # A rule that cannot be evaluated says so on the page.
    ratings = ratings.astype({"rating": "object"})
    ratings.loc[0, "rating"] = hostile
    voted = as_frame(votes, [good_row(votes, 0) | {"vote": hostile, "comment_id": long}])
    result = run_lake_gate(own, "silver", [Batch(RATINGS, ratings), Batch(votes, voted)], "run")
    assert {hostile, long} <= {
        v for rule in result.rules for row in rule.sample for v in row.values()
    }
    pages = "".join(page.read_text() for page in build_data_docs(own).rglob("*.html"))
    assert "&lt;aaaaaa&gt;aaaaa(9)&lt;/aaaaaa&gt; Aaa@aaaaaaa.aa" in pages
    for hidden in ("alert(1)", "example.org", '<!--"', "<aaaaaa", "&lt;!--&lt;script"):
        assert hidden not in pages, hidden


def test_data_docs_show_no_number_of_a_column_that_tells_of_people(tmp_path: Path) -> None:
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    users = table("silver.users")
    born = [good_row(users, n) | {"birth_year": 1873, "event_count": -4711} for n in range(2)]
    result = check(own, users, as_frame(users, born))
    assert {1873, -4711} <= {
        v for rule in result.rules for row in rule.sample for v in row.values()
    }
    pages = "".join(page.read_text() for page in build_data_docs(own).rglob("*.html"))
    assert "4711" in pages
    assert "1873" not in pages
    assert "9999" in pages


def test_data_docs_write_anew_a_page_of_an_older_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    check(own, RATINGS, as_frame(RATINGS, good_rows(RATINGS)))
    (page,) = (build_data_docs(own) / "validations").rglob("*.html")
    page.write_text("ada@example.org")
    monkeypatch.setattr(data_docs, "WRITER_CHANGED_AT", page.stat().st_mtime + 1)
    build_data_docs(own)
    assert "ada@example.org" not in page.read_text()


def test_data_docs_write_the_page_of_a_result_once(tmp_path: Path) -> None:
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    frame = as_frame(RATINGS, good_rows(RATINGS))
    check(own, RATINGS, frame, run_id="first")
    folder = build_data_docs(own)
    (page,) = (folder / "validations").rglob("*.html")
    written = page.stat().st_mtime_ns
    check(own, RATINGS, frame, run_id="second")
    build_data_docs(own)
    both = set((folder / "validations").rglob("*.html"))
    assert len(both) == 2
    assert page.stat().st_mtime_ns == written
    index = (folder / "index.html").read_text()
    assert all(each.relative_to(folder).as_posix() in index for each in both)
    # As where a run found broken rows, and then which they are.
    for result in (tmp_path / "gx" / "uncommitted" / "validations").rglob("*.json"):
        os.utime(result)
    build_data_docs(own)
    assert page.stat().st_mtime_ns > written


def test_the_project_is_written_once_and_again_for_a_table_that_is_new_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(sources, "tables", lambda layer: [RATINGS])
        check(own, RATINGS, as_frame(RATINGS, good_rows(RATINGS)))
    project = tmp_path / "gx" / "great_expectations.yml"
    assert "silver.sessions" not in project.read_text()
    check(own, SESSIONS, as_frame(SESSIONS, good_rows(SESSIONS)))
    written = project.stat().st_mtime_ns
    for contract in (EVENTS, RATINGS):
        check(own, contract, as_frame(contract, good_rows(contract)))
    assert project.stat().st_mtime_ns == written


def test_each_rule_names_the_page_that_data_docs_have_of_its_table(tmp_path: Path) -> None:
    # What a path may hold that an address writes in another way.
    own = load_settings(CINELAKE_HOME=str(tmp_path / "a home, 100% #1"))
    batches = [Batch(each, as_frame(each, good_rows(each))) for each in (RATINGS, SESSIONS)]
    results = [run_lake_gate(own, "silver", batches, run_id) for run_id in ("one", "two")]
    folder = build_data_docs(own)
    pages = {}
    for result in results:
        for rule in result.rules:
            pages[result.run_id, rule.table] = folder / rule.data_docs
    assert len(set(pages.values())) == 4
    for (run_id, name), page in pages.items():
        text = page.read_text()
        assert name in text and run_id in text
    assert set((folder / "validations").rglob("*.html")) == set(pages.values())


def test_a_broken_row_with_nulls_and_infinities_is_shown_in_json(home: Settings) -> None:
    movies = table("silver.movies")
    rows = [
        dict.fromkeys(movies.column_names) | {"movie_id": number, "vote_average": average}
        for number, average in ((1, float("inf")), (2, 5.5), (None, 10.5))
    ]
    result = check(home, movies, as_frame(movies, rows))
    (found,) = [rule.sample for rule in result.failures if rule.label == "range(vote_average)"]
    assert json.dumps(found, allow_nan=False) == json.dumps(
        [{"movie_id": 1.0, "vote_average": "inf"}, {"movie_id": None, "vote_average": 10.5}]
    )


def test_a_table_with_a_broken_rule_keeps_one_result_of_its_run(tmp_path: Path) -> None:
    own = load_settings(CINELAKE_HOME=str(tmp_path))
    rows = good_rows(RATINGS)
    rows[1]["rating"] = 11.0
    frame = as_frame(RATINGS, rows)
    result = check(own, RATINGS, frame)
    (kept,) = (tmp_path / "gx" / "uncommitted" / "validations").rglob("*.json")
    (broken,) = [each for each in json.loads(kept.read_text())["results"] if not each["success"]]
    assert broken["result"]["partial_unexpected_index_list"] == list(result.failures[0].sample)


def test_no_password_is_in_any_file_of_the_project(home: Settings) -> None:
    check(home, RATINGS, as_frame(RATINGS, good_rows(RATINGS)))
    build_data_docs(home)
    files = [path for path in (home.home / "gx").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if b"open-sesame" in path.read_bytes()] == []


def test_the_gate_reads_the_arrow_types_of_every_contract() -> None:
    """Integers with nulls become floats, booleans keep their nulls, and times their zone."""
    rows = [good_row(EVENTS, 0), dict.fromkeys(EVENTS.column_names)]
    frame = as_frame(EVENTS, rows)
    assert frame["movie_id"].tolist()[0] == 7
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert (kinds["movie_id"], kinds["schema_version"]) == ("float64", "float64")
    assert (kinds["is_late"], kinds["rating"]) == ("boolean", "float64")
    assert kinds["occurred_at"] == "datetime64[us, UTC]"
    assert frame["is_late"].tolist() == [True, pd.NA]
    assert frame["user_id"].dtype == TEXT
    assert frame["user_id"].isna().tolist() == [False, True]
    assert str(as_frame(EVENTS, rows[:1])["movie_id"].dtype) == "int64"


def test_an_arrow_stream_gives_the_frame_that_its_table_gives() -> None:
    whole = pa.Table.from_pylist(good_rows(EVENTS, 5), schema=arrow_schema(EVENTS))
    reader = pa.RecordBatchReader.from_batches(whole.schema, whole.to_batches(max_chunksize=2))
    frame = as_frame(EVENTS, good_rows(EVENTS, 5))
    pd.testing.assert_frame_equal(frame_from_arrow(reader), frame)
    assert list(frame.index) == [0, 1, 2, 3, 4]
