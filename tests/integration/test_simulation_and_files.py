"""3,000 simulated events with every kind of trouble, through every real component: silver holds what the truth says."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cinelake.settings import Settings, load_settings
from ingestion.events import InvalidEventError, iso_utc, validate_event
from ingestion.simulate import simulate
from lakehouse import changes
from tests.integration.conftest import CommandLine, command_line

USERS, DAYS, SEED, EVENTS = 30, 14, 11, 3_000
RATES = {"bad_rate": 0.06, "late_rate": 0.06, "duplicate_rate": 0.06}


@pytest.fixture(scope="module")
def home(reachable_folder: Path) -> Path:
    """The home of this file's stack."""
    return reachable_folder / "truth"


@pytest.fixture(scope="module")
def lakehouse(home: Path) -> Iterator[CommandLine]:
    """A home of its own to which visitors were simulated, and refreshed."""
    cinelake = command_line(home)
    try:
        cinelake.run("up")
        sent = cinelake.run(
            "simulate",
            *("--users", str(USERS), "--days", str(DAYS), "--seed", str(SEED)),
            *("--start", "2026-01-05", "--events", str(EVENTS)),
            *(part for name, rate in RATES.items() for part in _option(name, rate)),
            *("--truth", str(home / "truth.json")),
        )
        (home / "simulate.txt").write_text(sent.stdout)
        cinelake.run("refresh")
        yield cinelake
    finally:
        cinelake.run("down")


def _option(name: str, rate: float) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", str(rate)


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
    lakehouse: CommandLine, home: Path, truth: dict[str, Any]
) -> None:
    counts = truth["counts"]
    assert counts["sent"] == EVENTS
    ledger = lakehouse.status()["ledger"]
    assert (ledger["accepted"], ledger["rejected"]) == (counts["accepted"], counts["refused"])
    shown = (home / "simulate.txt").read_text()
    assert f"{counts['accepted']:,} accepted, {counts['refused']:,} rejected" in shown


def test_the_ledger_has_the_duplicates_and_the_quarantined(
    lakehouse: CommandLine, truth: dict[str, Any]
) -> None:
    ledger = lakehouse.status()["ledger"]
    counts = truth["counts"]
    assert ledger["balanced"] is True
    assert min(counts["duplicates"], counts["quarantined"], counts["late"]) > 0
    assert ledger["duplicates"] == counts["duplicates"]
    assert ledger["quarantined"] == counts["quarantined"]
    assert ledger["silver"] == ledger["facts"] == counts["distinct"]


def test_silver_events_are_the_good_events_sent(lake: Settings, truth: dict[str, Any]) -> None:
    start = datetime.fromisoformat(truth["arguments"]["start"]).replace(tzinfo=UTC)
    stream = islice(simulate(USERS, DAYS, SEED, start, **RATES), EVENTS)
    names = ("event_type", "occurred_at", "user_id", "anonymous_id", "session_id", "movie_id")
    good: dict[str, tuple[Any, ...]] = {}
    for user_agent, event in stream:
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


def test_sending_it_again_adds_nothing_but_evidence(
    lakehouse: CommandLine, home: Path, truth: dict[str, Any]
) -> None:
    """Runs last in this file: bronze grows."""
    again = home / "again.json"
    lakehouse.run(
        "simulate",
        *("--users", str(USERS), "--days", str(DAYS), "--seed", str(SEED)),
        *("--start", "2026-01-05", "--events", str(EVENTS)),
        *(part for name, rate in RATES.items() for part in _option(name, rate)),
        *("--truth", str(again)),
    )
    assert json.loads(again.read_text()) == truth
    lakehouse.run("bronze")
    lakehouse.run("silver")
    counts = truth["counts"]
    ledger = lakehouse.status()["ledger"]
    assert ledger["bronze"] == 2 * counts["accepted"]
    assert ledger["silver"] == counts["distinct"]
    assert ledger["quarantined"] == 2 * counts["quarantined"]
