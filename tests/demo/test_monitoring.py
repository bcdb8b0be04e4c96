"""The metrics of the lakehouse on the real stack: each stage moves its own, and a stopped consumer shows."""

import json
from pathlib import Path
from typing import Any

from pipeline.stages import BY_NAME
from tests.demo.watched_run import WatchedRun
from tests.integration.conftest import CommandLine
from tests.scraping import Scrape

MOVED_BY_EVENTS = [
    ("cinelake_api_events_total", {"outcome": "accepted"}),
    ("cinelake_api_request_seconds_count", {}),
    ("cinelake_producer_records_total", {"topic": "user_logs", "outcome": "acknowledged"}),
    ("cinelake_producer_publish_seconds_count", {}),
    ("cinelake_topic_messages_total", {"topic": "user_logs"}),
    ("cinelake_consumer_lag_messages", {"consumer": "bronze", "topic": "user_logs"}),
    ("cinelake_consumer_lag_seconds", {"consumer": "bronze", "topic": "user_logs"}),
]
MOVED_BY_THE_BACKUP = [
    ("cinelake_consumer_messages_total", {"consumer": "backup"}),
]
MOVED_BY_A_REFRESH = [
    ("cinelake_consumer_messages_total", {"consumer": "bronze"}),
    ("cinelake_consumer_messages_total", {"consumer": "silver"}),
    ("cinelake_stream_batches_total", {"query": "bronze.user_logs"}),
    ("cinelake_stream_rows_total", {"query": "bronze.user_logs"}),
    ("cinelake_stream_batch_seconds_total", {"query": "bronze.user_logs"}),
    ("cinelake_stream_phase_seconds_total", {"query": "bronze.user_logs", "phase": "addBatch"}),
    ("cinelake_stream_batches_total", {"query": "silver from bronze.user_logs"}),
    ("cinelake_stream_rows_total", {"query": "silver from bronze.user_logs"}),
    ("cinelake_table_version", {"table": "bronze.user_logs"}),
    ("cinelake_table_version", {"table": "silver.events"}),
    ("cinelake_table_commit_timestamp_seconds", {"table": "silver.events"}),
    ("cinelake_publish_rows_total", {"table": "silver.events"}),
    ("cinelake_publish_version", {"table": "silver.events"}),
    ("cinelake_publish_timestamp_seconds", {"table": "silver.events"}),
    ("cinelake_gate_timestamp_seconds", {"gate": "bronze"}),
    ("cinelake_gate_timestamp_seconds", {"gate": "silver"}),
    ("cinelake_gate_timestamp_seconds", {"gate": "gold"}),
    ("cinelake_gold_swaps_total", {"kind": "published"}),
    ("cinelake_gold_swap_timestamp_seconds", {}),
    ("cinelake_runs_total", {"outcome": "published"}),
    ("cinelake_run_timestamp_seconds", {"outcome": "published"}),
    ("cinelake_ledger_rows", {"hop": "facts"}),
    ("cinelake_ledger_timestamp_seconds", {}),
    *(
        (f"cinelake_stage_{what}_total", {"stage": stage})
        for what in ("runs", "seconds")
        for stage in ("start Spark", *BY_NAME)
    ),
]  # fmt: skip


def still(before: Scrape, after: Scrape, metrics: list[tuple[str, dict[str, str]]]) -> list[Any]:
    """The metrics that did not rise."""
    return [
        (name, labels)
        for name, labels in metrics
        if after.sum(name, **labels) <= before.sum(name, **labels)
    ]


def test_each_stage_moves_its_metrics(watched_run: WatchedRun) -> None:
    refreshed = watched_run.refreshed
    assert still(watched_run.before, watched_run.sent, MOVED_BY_EVENTS) == []
    assert still(watched_run.before, watched_run.backed_up, MOVED_BY_THE_BACKUP) == []
    assert still(watched_run.backed_up, refreshed, MOVED_BY_A_REFRESH) == []

    for consumer in ("bronze", "silver", "backup"):
        assert refreshed.sum("cinelake_consumer_lag_messages", consumer=consumer) == 0
        assert refreshed.sum("cinelake_consumer_lag_seconds", consumer=consumer) == 0
    taken = {
        each: refreshed.sum("cinelake_consumer_messages_total", consumer=each, topic="user_logs")
        for each in ("bronze", "silver", "backup")
    }
    assert set(taken.values()) == {watched_run.ledger["accepted"]}
    for hop, rows in watched_run.ledger.items():
        if hop not in ("balanced", "differences", "waiting"):
            assert refreshed.sum("cinelake_ledger_rows", hop=hop) == rows
    assert refreshed.sum("cinelake_gate_rules", result="passed") > 100
    assert refreshed.sum("cinelake_gate_rules", result="failed") == 0
    assert refreshed.sum("cinelake_publish_lag_versions") == 0
    down = [s for s in refreshed.samples if s.name.endswith("_up") and s.value != 1]
    assert down == []
    assert {
        s.labels["table"] for s in refreshed.samples if s.name == "cinelake_table_freshness_seconds"
    } >= {"bronze.user_logs", "silver.events", "silver.movies"}


def test_the_targets_of_prometheus_answer(lakehouse: CommandLine, home: Path) -> None:
    targets = json.loads((home / "monitoring" / "targets.json").read_text())
    found = {
        each["labels"]["job"]: Scrape.of(f"http://{each['targets'][0]}/metrics") for each in targets
    }
    assert set(found) == {"cinelake", "cinelake-api"}
    assert "cinelake_service_up" in found["cinelake"].names()
    assert "cinelake_api_events_total" in found["cinelake-api"].names()


def test_a_source_that_cannot_be_asked_leaves_the_others_alone(lakehouse: CommandLine) -> None:
    away = CommandLine(
        lakehouse.environment | {"POSTGRES_URI": "postgresql://nobody@127.0.0.1:1/none"}
    )
    done = away.run("metrics", "show")
    told = Scrape(done.stdout)
    assert told.sum("cinelake_exporter_source_up", source="stages") == 0
    assert told.sum("cinelake_exporter_source_up", source="topics") == 1
    assert told.sum("cinelake_topic_messages_total") > 0
    assert "PostgreSQL cannot be reached" in done.stderr
    assert told.sum("cinelake_service_up", service="postgres") == 0
