"""Simulated events with every kind of trouble, through every real component: silver holds what the truth says.

They are 3,000, or 200,000 with `--full-scale`. Then the same lakehouse gives its tables as files and takes events from files.
"""

import gzip
import io
import json
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError
from cinelake.settings import Settings, load_settings
from ingestion.events import InvalidEventError, iso_utc, validate_event
from lakehouse import changes, export
from tests.integration.conftest import CommandLine, own_home
from tests.integration.simulated import FULL, SMALL, Simulation

FILE_RATINGS = 50
OF_THE_MOMENT = "age_hours"
"""The column of `gold.freshness` that is another one at each look."""


@pytest.fixture(scope="module")
def simulation(pytestconfig: pytest.Config) -> Simulation:
    """Whose events are sent."""
    return FULL if pytestconfig.getoption("full_scale") else SMALL


@pytest.fixture(scope="module")
def home(reachable_folder: Path) -> Path:
    """The home of this file's stack."""
    return reachable_folder / "truth"


@pytest.fixture(scope="module")
def lakehouse(home: Path, simulation: Simulation, spark: SparkSession) -> Iterator[CommandLine]:
    """A home of its own to which visitors were simulated, and refreshed."""
    with own_home(home) as cinelake:
        cinelake.run("up")
        sent = cinelake.here(
            "simulate", *simulation.arguments(), "--truth", str(home / "truth.json")
        )
        (home / "simulate.txt").write_text(sent.stdout)
        cinelake.here("refresh")
        yield cinelake


@pytest.fixture(scope="module")
def truth(lakehouse: CommandLine, home: Path) -> dict[str, Any]:
    """What `--truth` wrote."""
    report: dict[str, Any] = json.loads((home / "truth.json").read_text())
    return report


@pytest.fixture(scope="module")
def lake(lakehouse: CommandLine, home: Path) -> Settings:
    """Settings to read that lake with."""
    return load_settings(CINELAKE_HOME=str(home))


def _rows(lake: Settings, table: str, *columns: str) -> Counter[tuple[Any, ...]]:
    """Rows of a table, times as the truth writes them."""
    found = changes.query(lake, table, f"select {', '.join(columns)} from t")
    rows = (tuple(row[name] for name in columns) for row in found.to_pylist())
    return Counter(tuple(map(_plain, row)) for row in rows)


def _plain(value: Any) -> Any:
    return iso_utc(value) if isinstance(value, datetime) else value


def _expected(rows: list[dict[str, Any]], *columns: str) -> Counter[tuple[Any, ...]]:
    assert rows
    return Counter(tuple(row[name] for name in columns) for row in rows)


def test_the_api_accepts_and_rejects_what_the_truth_says(
    lakehouse: CommandLine, home: Path, simulation: Simulation, truth: dict[str, Any]
) -> None:
    counts = truth["counts"]
    assert counts["sent"] == simulation.events
    ledger = lakehouse.status()["ledger"]
    assert (ledger["accepted"], ledger["rejected"]) == (counts["accepted"], counts["refused"])
    shown = (home / "simulate.txt").read_text()
    assert f"{counts['accepted']:,} accepted, {counts['refused']:,} rejected" in shown


def test_the_ledger_has_the_duplicates_and_the_quarantined(
    lakehouse: CommandLine, truth: dict[str, Any]
) -> None:
    ledger = lakehouse.status()["ledger"]
    counts = truth["counts"]
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})
    assert min(counts["duplicates"], counts["quarantined"], counts["late"]) > 0
    assert ledger["duplicates"] == counts["duplicates"]
    assert ledger["quarantined"] == counts["quarantined"]
    assert ledger["silver"] == ledger["facts"] == counts["distinct"]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "comments",
            "comment_id user_id movie_id text is_deleted is_edited parent_comment_id depth",
        ),
        ("comment_votes", "user_id comment_id vote voted_at"),
        ("movie_reactions", "user_id movie_id reaction reacted_at"),
        ("watchlist", "user_id movie_id is_listed changed_at"),
    ],
)
def test_what_users_said_is_in_silver(
    lake: Settings, truth: dict[str, Any], table: str, columns: str
) -> None:
    names = columns.split()
    assert _rows(lake, f"silver.{table}", *names) == _expected(truth[table], *names)


def test_what_visitors_watched_is_in_silver(lake: Settings, truth: dict[str, Any]) -> None:
    names = ("play_id", "user_id", "anonymous_id", "movie_id", "started_at")
    names += ("last_position_seconds", "is_completed", "seconds_watched")
    assert _rows(lake, "silver.watch_history", *names) == _expected(truth["plays"], *names)


def test_each_anonymous_id_belongs_to_the_user_who_signed_in(
    lake: Settings, truth: dict[str, Any]
) -> None:
    names = ("anonymous_id", "user_id")
    assert _rows(lake, "silver.identities", *names) == _expected(truth["identities"], *names)
    later = {row["anonymous_id"]: row["user_id"] for row in truth["identities"]}
    columns = "anonymous_id, user_id, resolved_user_id"
    for row in changes.query(lake, "silver.events", f"select {columns} from t").to_pylist():
        owner = row["user_id"] or later.get(row["anonymous_id"])
        assert row["resolved_user_id"] == owner


def test_silver_events_are_the_good_events_sent(
    lake: Settings, simulation: Simulation, truth: dict[str, Any]
) -> None:
    names = ("event_type", "occurred_at", "user_id", "anonymous_id", "session_id", "movie_id")
    good: dict[str, tuple[Any, ...]] = {}
    for user_agent, event in simulation.stream():
        try:
            is_good = validate_event(event).occurred_at < datetime.now(UTC)
        except InvalidEventError:
            continue
        if is_good:
            context = event["context"]
            good[event["event_id"]] = (
                *(event.get(name) for name in names),
                user_agent,
                context["locale"],
                context.get("referrer"),
            )
    columns = [name.replace("session_id", "client_session_id") for name in names]
    found = _rows(lake, "silver.events", "event_id", *columns, "user_agent", "locale", "referrer")
    assert found == Counter((event_id, *fields) for event_id, fields in good.items())
    assert truth["counts"]["distinct"] == len(good)


def test_quarantine_has_what_only_silver_notices(lake: Settings, truth: dict[str, Any]) -> None:
    rules = Counter({(rule,): n for rule, n in truth["quarantined"]["by_rule"].items()})
    assert _rows(lake, "silver.quarantine", "rule") == rules


def test_silver_sessions_are_those_of_the_truth(lake: Settings, truth: dict[str, Any]) -> None:
    columns = tuple(truth["sessions"][0])
    assert _rows(lake, "silver.sessions", *columns) == _expected(truth["sessions"], *columns)


def test_silver_ratings_are_those_of_the_truth(lake: Settings, truth: dict[str, Any]) -> None:
    columns = tuple(truth["ratings"][0])
    assert _rows(lake, "silver.ratings", *columns) == _expected(truth["ratings"], *columns)
    assert {row["is_removed"] for row in truth["ratings"]} == {True, False}


def test_an_event_is_traced_from_the_api_to_its_fact(
    lakehouse: CommandLine, lake: Settings
) -> None:
    query = "select event_id, rating from t where rating is not null limit 1"
    (event,) = changes.query(lake, "silver.events", query).to_pylist()
    hops = json.loads(lakehouse.here("trace", event["event_id"], "--json").stdout)
    assert hops[0]["key_id"]
    (fact,) = (hop for hop in hops if hop["hop"] == "gold")
    assert (fact["table"], fact["rating"]) == ("gold.fact_user_event", event["rating"])
    assert -1 not in (fact["user_key"], fact["session_key"], fact["date_key"])
    shown = lakehouse.here("trace", event["event_id"]).stdout
    assert f"session_key {fact['session_key']}" in " ".join(shown.split())


def _all_tables(lake: Settings) -> list[str]:
    """Every table that the error about an unknown one names."""
    with pytest.raises(BadInputError) as refused:
        export.export(lake, "gold.nope", "csv", io.BytesIO())
    return refused.value.hint.removeprefix("Known are ").removesuffix(".").split(", ")


def test_every_table_can_be_exported_and_is_whole(lake: Settings, tmp_path: Path) -> None:
    names = _all_tables(lake)
    assert {"bronze.user_logs", "silver.events", "gold.ratings", "gold.dim_user"} <= set(names)
    for name in names:
        out = io.BytesIO()
        rows = export.export(lake, name, "parquet", out)
        table = pq.read_table(out)
        assert table.num_rows == rows
        layer, _, short = name.partition(".")
        if layer == "gold":
            assert _as_text(table.to_pylist()) == _as_text(_gold_rows(lake, short))
            assert rows > 0 or "movie" in name or "genre" in name
        else:
            delta = changes.query(lake, name, "select * from t").to_pylist()
            assert _as_text(table.to_pylist()) == _as_text(delta)


def _gold_rows(lake: Settings, name: str) -> list[dict[str, Any]]:
    with psycopg.connect(lake.postgres, row_factory=dict_row) as connection:
        return connection.execute(
            sql.SQL("select * from {}").format(sql.Identifier("gold", name))
        ).fetchall()


def _as_text(rows: list[dict[str, Any]]) -> list[str]:
    def text(value: Any) -> str:
        if isinstance(value, datetime):
            return iso_utc(value)
        return str(value) if isinstance(value, UUID) else repr(value)

    return sorted(
        str([text(value).strip("'") for name, value in row.items() if name != OF_THE_MOMENT])
        for row in rows
    )


@pytest.fixture
def odd_ones(lake: Settings) -> Iterator[str]:
    """A table of gold with values and types that are easily lost."""
    with psycopg.connect(lake.postgres, autocommit=True) as connection:
        connection.execute("set role transformer")
        connection.execute(
            'create table gold.odd_ones ("a ""name""" text, n bigint, r double precision, d numeric,'
            " at timestamptz, day date, flag boolean, id uuid, list text[], doc jsonb)"
        )
        connection.execute(
            "insert into gold.odd_ones values"
            " ('', 9223372036854775807, 0.30000000000000004, 12345678901234567890.123,"
            "  '2026-03-29 01:30:00.000001+05:30', '0001-01-01', true,"
            "  '5b1f6f0c-3f0e-5c55-9d3b-7a1f2f6f3f2a', '{a,NULL,\"b,c\"}', '{\"k\": [1, null]}'),"
            " (E'two\\nlines, \\r a \"quote\" and 雪', null, '-Infinity', null, null, null, false, null, null, null),"
            " (null, null, null, null, null, null, null, null, null, null)"
        )
        yield "gold.odd_ones"
        connection.execute("drop table gold.odd_ones")


def test_gold_comes_back_as_it_was_from_each_format(lake: Settings, odd_ones: str) -> None:
    expected = [
        [
            "",
            2**63 - 1,
            0.30000000000000004,
            "12345678901234567890.123",
            "2026-03-28T20:00:00.000001Z",
            "0001-01-01",
            True,
            "5b1f6f0c-3f0e-5c55-9d3b-7a1f2f6f3f2a",
            '{a,NULL,"b,c"}',
            '{"k": [1, null]}',
        ],
        ['two\nlines, \r a "quote" and 雪', None, "-Infinity", *[None] * 3, False, *[None] * 3],
        [None] * 10,
    ]
    out = io.BytesIO()
    assert export.export(lake, odd_ones, "jsonl", out) == 3
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [list(line.values()) for line in lines] == expected
    assert list(lines[0])[:2] == ['a "name"', "n"]
    out = io.BytesIO()
    export.export(lake, odd_ones, "csv", out, "n is not null or r < 0")
    assert out.getvalue().decode() == (
        '"a ""name""","n","r","d","at","day","flag","id","list","doc"\n'
        '"",9223372036854775807,0.30000000000000004,"12345678901234567890.123",'
        "2026-03-28 20:00:00.000001Z,0001-01-01,true,"
        '"5b1f6f0c-3f0e-5c55-9d3b-7a1f2f6f3f2a","{a,NULL,""b,c""}","{""k"": [1, null]}"\n'
        '"two\nlines, \r a ""quote"" and 雪",,-inf,,,,false,,,\n'
    )
    for where in ("nope = 1", "n / 0 = 1", "true; drop table gold.odd_ones"):
        with pytest.raises(BadInputError, match="cannot be evaluated"):
            export.export(lake, odd_ones, "csv", io.BytesIO(), where)


def test_the_command_writes_a_whole_file_or_none(
    lakehouse: CommandLine, lake: Settings, tmp_path: Path, truth: dict[str, Any]
) -> None:
    path = tmp_path / "sessions.jsonl.gz"
    done = lakehouse.here("export", "silver.sessions", "--to", str(path))
    assert f"{len(truth['sessions']):,} rows" in done.stderr
    found = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert _expected(found, *truth["sessions"][0]) == _expected(
        truth["sessions"], *truth["sessions"][0]
    )
    refused = lakehouse.here(
        "export", "silver.sessions", "--to", str(path), "--where", "nope", check=False
    )
    assert refused.returncode == 2
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == len(truth["sessions"])
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    shown = lakehouse.run("export", "gold.dim_user", "--where", "user_key = -1")
    assert len(shown.stdout.splitlines()) == 2
    unknown = lakehouse.run("export", "silver.nope", check=False)
    assert unknown.returncode == 2
    assert "gold.fact_user_event" in unknown.stderr.replace("\n", "")


def test_a_reader_that_has_seen_enough_is_no_error(lakehouse: CommandLine) -> None:
    command = shlex.join(
        [str(Path(sys.executable).with_name("cinelake")), "export", "silver.events"]
    )
    for file_format in ("csv", "jsonl", "parquet"):
        done = subprocess.run(
            [
                "bash",
                "-c",
                f"set -o pipefail; {command} --format {file_format} | head -c 10 | wc -c",
            ],
            env=lakehouse.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == "10"
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_rows_of_a_file_are_accepted_or_written_down_whenever_it_is_sent(
    lakehouse: CommandLine, tmp_path: Path
) -> None:
    path, rejects = tmp_path / "events.csv.gz", tmp_path / "rejects.jsonl"
    lines = ["event_type,occurred_at,user_id,movie_id,properties.rating,properties"]
    lines += [
        f'rating,2026-02-01T10:00:{n:02}Z,"file, {n}",862,{_rating_of(n)},'
        for n in range(FILE_RATINGS)
    ]
    lines += [
        "rating,2026-02-01T10:00:00Z,late,862,11,",
        'comment,2026-02-01T10:00:00Z,late,862,,"{""comment_id"": ""c"",\n""text"": ""x""}"',
        "rating,yesterday",
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    for _ in range(2):
        done = lakehouse.here("import", "events", str(path), "--rejects", str(rejects))
        assert "53 offered = 51 accepted + 2 refused" in done.stdout
        refused = [json.loads(line) for line in rejects.read_text().splitlines()]
        assert [(one["line"], one["reason"]) for one in refused] == [
            (52, "properties.rating: should be less than or equal to 10"),
            (55, "the row has 2 fields where the header has 6"),
        ]


def _rating_of(number: int) -> float:
    return number % 20 / 2 + 0.5


def test_a_file_that_is_none_ends_with_exit_code_2(lakehouse: CommandLine, tmp_path: Path) -> None:
    for name, content in (
        ("x.csv", b"colour\nred\n"),
        ("x.jsonl", b'{"event_type": 1, "occurred_at": 2}'),
    ):
        (tmp_path / name).write_bytes(content)
        done = lakehouse.here("import", "events", str(tmp_path / name), check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def known_tags(real_data: Path | None) -> pd.DataFrame:
    """MovieLens tags whose movie has a TMDB id, straight from the files; none where there are no files."""
    if real_data is None:
        return pd.DataFrame({"tag": []})
    folder = real_data / "ml-latest-small"
    tags = pd.read_csv(folder / "tags.csv", dtype={"tag": str}, keep_default_na=False)
    return tags.merge(pd.read_csv(folder / "links.csv").dropna(subset=["tmdbId"]), on="movieId")


def test_movielens_tags_are_accepted_as_comments(
    lakehouse: CommandLine, real_files: Path, known_tags: pd.DataFrame
) -> None:
    path = real_files / "ml-latest-small" / "tags.csv"
    offered = len(pd.read_csv(path))
    done = lakehouse.here("import", "events", str(path))
    refused = offered - len(known_tags)
    assert f"{offered:,} offered = {len(known_tags):,} accepted + {refused} refused" in done.stdout


def test_simulating_it_again_sends_the_same(
    lakehouse: CommandLine, home: Path, simulation: Simulation, truth: dict[str, Any]
) -> None:
    lakehouse.here("simulate", *simulation.arguments(), "--truth", str(home / "again.json"))
    assert json.loads((home / "again.json").read_text()) == truth


def test_silver_then_has_each_event_once(
    lakehouse: CommandLine, lake: Settings, truth: dict[str, Any], known_tags: pd.DataFrame
) -> None:
    """Runs last in this file: takes in what the tests before it have sent."""
    lakehouse.here("bronze")
    lakehouse.here("silver")
    counts = truth["counts"]
    of_file = FILE_RATINGS + 1
    ledger = lakehouse.status()["ledger"]
    assert ledger["bronze"] == 2 * counts["accepted"] + 2 * of_file + len(known_tags)
    assert ledger["silver"] == counts["distinct"] + of_file + len(known_tags)
    assert ledger["duplicates"] == counts["distinct"] + 2 * counts["duplicates"] + of_file
    assert ledger["quarantined"] == 2 * counts["quarantined"]
    ratings = changes.query(
        lake, "silver.ratings", "select user_id, rating from t where user_id like 'file, %'"
    )
    assert {(row["user_id"], row["rating"]) for row in ratings.to_pylist()} == {
        (f"file, {n}", _rating_of(n)) for n in range(FILE_RATINGS)
    }
    tags = changes.query(
        lake,
        "silver.events",
        "select properties from t where event_type = 'comment' and properties like '%movielens-tag-%'",
    )
    texts = Counter(json.loads(row["properties"])["text"] for row in tags.to_pylist())
    assert texts == Counter(known_tags["tag"])
