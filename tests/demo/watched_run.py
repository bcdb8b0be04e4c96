"""One run from its events to gold, watched: its metrics before and after each step, and all that was logged meanwhile."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cinelake.stack.state import load_env
from ingestion.sender import EventSender
from tests.demo.metrics import scrape, wait_for
from tests.integration.conftest import CommandLine
from tests.scraping import Scrape

RUN = "watched-run-1"
LAG = "cinelake_consumer_lag_messages"
JVM = "WARNING: Using incubator modules"
"""What the JVM says of itself before any log is set up."""


@dataclass(frozen=True)
class WatchedRun:
    """What was seen.

    Args:
        before: The metrics at first.
        sent: After events were sent.
        backed_up: After the stack had copied them to the raw backup.
        refreshed: After a refresh.
        ledger: As `cinelake status` gave it then.
        commands: Lines that the commands wrote on standard error, as JSON.
        api: Lines that the events API added to its log.
        dbt: Lines that dbt added to its own.
    """

    before: Scrape
    sent: Scrape
    backed_up: Scrape
    refreshed: Scrape
    ledger: dict[str, Any]
    commands: list[str]
    api: list[str]
    dbt: list[str]


def watch(lakehouse: CommandLine, home: Path) -> WatchedRun:
    """Send events, back them up and refresh, all as one run that logs for machines; somebody gives their address before."""
    _sign_up(lakehouse, home)
    production = CommandLine(
        lakehouse.environment | {"CINELAKE_LOG_FORMAT": "json", "CINELAKE_RUN_ID": RUN}
    )
    files = [home / "stack" / "logs" / "api.log", home / "dbt" / "next" / "logs" / "dbt.log"]
    lengths = [len(file.read_text().splitlines()) for file in files]
    scrapes, written = [scrape(lakehouse)], ""
    written += production.run(*["simulate", "--users", "5", "--days", "1", "--seed", "71"]).stderr
    scrapes.append(scrape(lakehouse))
    # The service does it by itself.
    scrapes.append(
        wait_for(lakehouse, lambda found: not found.sum(LAG, consumer="backup", topic="user_logs"))
    )
    written += production.run("refresh").stderr
    scrapes.append(scrape(lakehouse))
    api, dbt = (
        file.read_text().splitlines()[length:] for file, length in zip(files, lengths, strict=True)
    )
    lines = [line for line in written.splitlines() if not line.startswith(JVM)]
    return WatchedRun(*scrapes, lakehouse.status()["ledger"], lines, api, dbt)


def _sign_up(lakehouse: CommandLine, home: Path) -> None:
    """Send an event with the e-mail address of a person, and one that is refused."""
    user = {
        "event_id": "6f0c2d61-3f0e-4c55-9d3b-7a1f2f6f3f2a",
        "event_type": "user_upsert",
        "occurred_at": "2026-01-05T10:00:00Z",
        "user_id": "logged-user",
        "session_id": "logged-session",
        "properties": {"email": "jane@mail.example"},
    }
    sender = EventSender(lakehouse.status()["api_url"], api_key=load_env(home)["CINELAKE_API_KEY"])
    refused = {**user, "email": "jane@mail.example", "event_type": "none"}
    assert sender.send([user, refused]).accepted
