"""Commands of the raw backup of events."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cinelake.commands.help import App
from cinelake.console import out, progress_bar
from cinelake.errors import BadInputError
from cinelake.settings import get_settings

NICENESS = 10
FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

backup_app = App(
    help="Copy Kafka's events to MongoDB, and bring them back.", invoke_without_command=True
)


@backup_app.callback()
def back_up(
    context: typer.Context,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Stay, and copy what comes, as the stack's service does."),
    ] = False,
) -> None:
    """Copy what the topic user_logs holds beyond the last backup; a second run adds nothing."""
    if context.invoked_subcommand is not None:
        return
    from ingestion import backup
    from ingestion.topics import ensure_topics

    settings = get_settings()
    if follow:
        stopping = threading.Event()
        # Between two batches, so that what was read is also stored.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        # It is never in a hurry: what serves people goes first.
        os.nice(NICENESS)
        with progress_bar("messages", None) as done:
            added = backup.follow(settings, stopping, done)
    else:
        ensure_topics(settings)
        with progress_bar("messages", backup.count_pending(settings)) as done:
            added = backup.back_up(settings, progress=done)
    out.print(f"{added:,} messages added to the backup")


@backup_app.command()
def restore(
    since: Annotated[
        datetime,
        typer.Option("--from", formats=FORMATS, help="First moment, UTC, by Kafka's clock."),
    ],
    until: Annotated[
        datetime, typer.Option("--to", formats=FORMATS, help="The moment after the last, UTC.")
    ],
) -> None:
    """Publish a range of the backup to user_logs again; what silver has already is not counted twice."""
    from ingestion import backup

    settings = get_settings()
    bounds = (since.replace(tzinfo=UTC), until.replace(tzinfo=UTC))
    if bounds[0] >= bounds[1]:
        raise BadInputError(
            "--from has to be before --to.", "Both are UTC, and --to itself is left out."
        )
    with progress_bar("messages", backup.count_range(settings, *bounds)) as done:
        published = backup.restore(settings, *bounds, done)
    out.print(f"{published:,} messages published to user_logs")


@backup_app.command()
def prune(
    days: Annotated[
        float, typer.Option("--older-than", min=0, help="Days, by Kafka's clock.", metavar="DAYS")
    ],
) -> None:
    """Take old messages out of the backup; what bronze does not have stays."""
    from pipeline.upkeep import run_prune

    pruned = run_prune(get_settings(), datetime.now(UTC) - timedelta(days=days))
    out.print(f"{pruned:,} messages taken out of the backup")
