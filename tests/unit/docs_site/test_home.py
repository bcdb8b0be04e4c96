"""The page `Home` says at a glance whether the data can be trusted, and if not, why."""

import re
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest

from docs_site.home import Freshness, Gate, HomeFacts, Layer, Quarantined, RunLine, render_home
from tests.unit.docs_site.conftest import AT
from tests.unit.docs_site.outline import Outline

GOOD_GATE = Gate("gold", "run 2", AT, 186, (), ())
GOOD = "Yes: complete, fresh, and every gate passed."
BAD = "Not at this moment."
FACTS = HomeFacts(
    generated_at=AT,
    layers=[
        Layer("bronze", AT, 1_234_567, 0, replace(GOOD_GATE, name="bronze", rules=36)),
        Layer("gold", AT - timedelta(hours=1), 1_229_563, 0, GOOD_GATE),
    ],
    freshness=[Freshness("silver.events", AT - timedelta(hours=3), 24)],
    ledger=[
        ("accepted", 1_234_567),
        ("rejected", 4_321),
        ("bronze", 1_234_567),
        ("duplicates", 2_002),
        ("quarantined", 3_002),
        ("silver", 1_229_563),
        ("published", 1_229_563),
        ("facts", 1_229_563),
    ],
    runs=[
        RunLine("run 2", AT, True, "published", (("bronze", 10.04), ("silver", 1_000.5))),
        RunLine(
            "run 1", AT - timedelta(days=1), False, "The gold gate refused.", (("bronze", 7.0),)
        ),
    ],
    quarantine=[Quarantined("user_logs", "missing_field", 2_999, AT - timedelta(days=2), AT)],
)
EMPTY = HomeFacts(AT)


def test_every_figure_is_on_the_page() -> None:
    texts = Outline(render_home(FACTS)).texts
    for name, rows in FACTS.ledger:
        assert name in texts
        assert f"{rows:,}" in texts
    for text in (
        "36 rules passed", "186 rules passed", "2026-02-01 11:30 UTC", "3 hours",
        "run 1", "The gold gate refused.", "1,010.5", "bronze 10.0, silver 1,000.5",
        "missing_field", "2,999", "2026-01-30 12:30 UTC", "1 February 2026, 12:30:05 UTC",
    ):  # fmt: skip
        assert any(text in found for found in texts), text


def test_a_gate_and_an_outcome_stand_where_a_phone_still_shows_them() -> None:
    heads = re.findall(r"<thead><tr>(.*?)</tr>", render_home(FACTS), re.DOTALL)
    columns = [re.findall(r'<th scope="col"[^>]*>(.*?)</th>', head) for head in heads]
    assert ["Layer", "Gate"] in [names[:2] for names in columns]
    assert ["Run", "Outcome"] in [names[:2] for names in columns]


def test_the_verdict_comes_before_everything_else_in_main() -> None:
    page = render_home(FACTS)
    first = re.search(r"<main.*?<h2[^>]*>(.*?)</h2>", page, re.DOTALL)
    assert first is not None
    assert first.group(1) == GOOD


def with_gate(**changed: Any) -> HomeFacts:
    gold = replace(FACTS.layers[1], gate=replace(GOOD_GATE, **changed))
    return replace(FACTS, layers=[FACTS.layers[0], gold])


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FACTS, differences=["1 of 9 in accepted have not reached bronze"]),
         "1 of 9 in accepted have not reached bronze."),
        (with_gate(failures=("gold.ratings range(rating)",)),
         "The gold gate refused the data: gold.ratings range(rating)."),
        (replace(FACTS, freshness=[Freshness("silver.events", AT - timedelta(hours=49), 24)]),
         "silver.events is stale: its newest row is 2 days old, its contract promises 24 hours."),
        (replace(FACTS, refusal="dbt refused gold_next"),
         "Gold is not that of the last run: dbt refused gold_next"),
    ],
    ids=["ledger", "gate", "freshness", "refusal"],
)  # fmt: skip
def test_whatever_is_wrong_takes_the_place_of_the_verdict(facts: HomeFacts, reason: str) -> None:
    texts = Outline(render_home(facts)).texts
    assert BAD in texts
    assert GOOD not in texts
    assert reason in texts


def test_what_is_unusual_is_told_beside_a_good_verdict() -> None:
    texts = Outline(render_home(with_gate(warnings=("gold.fact_user_event volume",)))).texts
    assert GOOD in texts
    assert "The gold gate finds unusual: gold.fact_user_event volume." in texts
    assert "passed, 1 unusual" in texts


def test_side_branches_hang_at_the_hop_where_events_leave() -> None:
    page = render_home(FACTS)
    asides = dict(re.findall(r'aria-label="Set aside at (\w+)">(.*?)</ul>', page, re.DOTALL))
    assert set(asides) == {"accepted", "silver"}
    assert "4,321" in asides["accepted"]
    assert "2,002" in asides["silver"]
    assert "3,002" in asides["silver"]


def test_a_hop_that_the_page_does_not_know_is_shown_all_the_same() -> None:
    texts = Outline(render_home(replace(FACTS, ledger=[("duplicates", 7), ("attic", 8)]))).texts
    assert {"duplicates", "7", "attic", "8"} <= set(texts)


def test_before_the_first_run_the_page_says_so_and_has_no_empty_table() -> None:
    outline = Outline(render_home(EMPTY))
    for sentence in (
        "Nothing has been refreshed yet.",
        "There are no layers yet.",
        "There are no counts yet.",
        "No run has been recorded yet.",
        "Nothing is in quarantine.",
    ):
        assert sentence in outline.texts
    assert GOOD not in outline.texts
    assert not {"table", "ol", "svg"} & {tag for tag, _ in outline.tags}


def test_the_chart_of_runs_has_a_bar_for_each_stage_of_each_run() -> None:
    page = render_home(FACTS)
    assert re.findall(r"<title>(run [^<]*)</title>", page) == [
        "run run 1: bronze 7.0 s",
        "run run 2: bronze 10.0 s",
        "run run 2: silver 1,000.5 s",
    ]


def test_times_are_shown_in_utc_whatever_zone_they_came_in() -> None:
    tokyo = timezone(timedelta(hours=9))
    local = replace(FACTS, generated_at=AT.astimezone(tokyo))
    assert render_home(local) == render_home(FACTS)


def test_the_page_has_landmarks_captions_and_labels_that_exist() -> None:
    outline = Outline(render_home(FACTS))
    tags = [tag for tag, _ in outline.tags]
    for landmark in ("header", "main", "nav", "footer", "h1"):
        assert tags.count(landmark) == 1
    assert tags.count("caption") == tags.count("table") == 3
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    assert set(outline.values("aria-labelledby")) <= set(ids)


def test_the_page_needs_no_network_and_no_script() -> None:
    page = render_home(FACTS).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"<script|\w+://", page)
