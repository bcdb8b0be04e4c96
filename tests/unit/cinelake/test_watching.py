"""The live page says what is wrong first, and fits a terminal of 80 columns."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rich.console import Console

from cinelake.commands.watching import Consumer, Look, page
from docs_site.home import Freshness, Gate, HomeFacts, Layer, Quarantined, RunLine

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
GATE = Gate("silver", "run", NOW, 343, (), ("silver.events freshness",))
FACTS = HomeFacts(
    generated_at=NOW,
    layers=[
        Layer("bronze", NOW - timedelta(minutes=3), 12_345_678, 0, replace(GATE, warnings=())),
        Layer("silver", NOW - timedelta(hours=2), 12_345_000, 10, GATE),
        Layer(
            "PostgreSQL", NOW, 12_344_000, 1_000, replace(GATE, failures=("silver.ratings range",))
        ),
        Layer("gold", None, 0, 12_344_000, None),
    ],
    freshness=[
        Freshness("silver.movies", NOW, 720.0),
        Freshness("silver.events", NOW - timedelta(days=3), 24.0),
    ],
    ledger=[("accepted", 12_345_678)],
    differences=["10 of 12,345,678 in bronze have not reached silver, duplicates and quarantine"],
    runs=[
        RunLine(
            "run", NOW - timedelta(minutes=5), False, "dbt refused gold_next: " + "x" * 200, ()
        ),
        RunLine("good", NOW - timedelta(hours=1), True, "published", ()),
        RunLine("bad", NOW - timedelta(hours=2), False, "Kafka is away.\nsecond line", ()),
    ],
    quarantine=[Quarantined("user_logs", "missing_field", 42, NOW, NOW)],
    refusal="dbt refused gold_next: 1 of 300 nodes failed." + "y" * 200,
)
WELL = Look(NOW, {"kafka": "", "postgres": ""}, FACTS, ())


def shown(look: Look, before: Look | None = None) -> list[str]:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(page(look, before))
    return console.export_text().splitlines()


def test_the_page_has_each_layer_with_its_gate_and_fits_80_columns() -> None:
    lines = shown(WELL)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for part in (
        "● kafka",
        "12,345,678",
        "3 minutes ago",
        "just now",
        "343 passed, 1 warn",
        "1 of 343 failed",
        "never",
        "42 messages in quarantine",
        "stale: silver.events, newest row 3 days ago, promised 24 h",
        "fresh: silver.movies, newest row just now, promised 720 h",
        "last run 5 minutes ago: dbt refused gold_next",
        "error 2 hours ago: Kafka is away.",
        "Nothing is wrong.",
    ):
        assert part in text, part


def test_a_service_stands_behind_its_mark_where_the_line_is_full() -> None:
    names = ["kafka", "postgres", "mongo", "api", "site", "metrics", "bronze-stream", "silver-stream"]  # fmt: skip
    lines = shown(replace(WELL, services=dict.fromkeys(names, "")))
    assert {name for name in names if any(f"● {name}" in line for line in lines)} == set(names)


def test_rates_are_those_since_the_look_before() -> None:
    later = replace(
        WELL,
        at=NOW + timedelta(seconds=10),
        facts=replace(FACTS, layers=[replace(FACTS.layers[0], rows=12_345_728), *FACTS.layers[1:]]),
    )
    (bronze,) = [line for line in shown(later, WELL) if line.startswith("bronze")]
    assert " 5.0 " in bronze
    (first,) = [line for line in shown(later) if line.startswith("bronze")]
    assert " 5.0 " not in first


def test_consumers_show_how_far_they_are_how_fast_and_by_whom() -> None:
    bronze = Consumer("bronze", 1_000_000, 250, NOW - timedelta(minutes=4), is_streaming=True)
    silver = Consumer("silver", 12_345_678, 0, None, is_streaming=False)
    before = replace(WELL, consumers=(bronze, silver))
    later = replace(
        before,
        at=NOW + timedelta(seconds=10),
        consumers=(replace(bronze, taken=1_000_200), silver),
    )
    lines = shown(later, before)
    assert max(map(len, lines)) <= 80
    found = {
        line.split()[0]: line.split()
        for line in lines
        if line.split()[-1:] in (["daemon"], ["runs"])
    }
    assert found == {
        "bronze": ["bronze", "4", "minutes", "ago", "1,000,200", "250", "20.0", "a", "daemon"],
        "silver": ["silver", "-", "12,345,678", "0", "0.0", "runs"],
    }


def test_what_is_wrong_is_on_the_page_even_when_nothing_can_be_counted() -> None:
    look = Look(
        NOW, {"postgres": "it does not run"}, None, ("postgres: it does not run", "z" * 200)
    )
    lines = shown(look)
    assert "! postgres: it does not run" in "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "Nothing is wrong." not in "\n".join(lines)
