"""Commands that see to the whole: do the counts add up, and is the lake in shape."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinelake.commands.shared import facts_of, show_ledger, spark_session
from cinelake.commands.values import Json, show_rows, write_json
from cinelake.console import out, progress_bar
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from lakehouse.maintenance import Upkeep

MEGABYTE = 1024 * 1024


def reconcile(as_json: Json = False) -> None:
    """Count every hop and insist that they add up: exit code 4 when an event was lost or counted twice, 6 when a file of the lake is gone."""
    from pipeline.steps import run_alone

    settings = get_settings()
    counted = run_alone(lambda: spark_session(settings), settings, "reconcile").ledger
    assert counted is not None, "the stage counts or raises"
    if as_json:
        write_json(facts_of(counted))
    else:
        show_ledger(facts_of(counted))


def maintain(
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done.")
    ] = False,
    retention_hours: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=87_600,
            help="How long files of old versions stay. Default: 168, or as long as a reader needs them.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put small files together and take away those that no version needs any more."""
    from pipeline.upkeep import run_maintain

    settings = get_settings()
    with ExitStack() as bar:

        def progress(planned: "list[Upkeep]") -> Callable[[int], None]:
            return bar.enter_context(progress_bar("tables", len(planned)))

        reports = run_maintain(
            lambda: spark_session(settings), settings, retention_hours, is_dry, progress
        )
    if as_json:
        write_json([_facts(report) for report in reports])
        return
    show_rows([_shown(report) for report in reports], SHOWN)
    for report in reports:
        if report.skipped:
            out.print(f"{report.table} was left alone: {report.skipped}", highlight=False)


SHOWN = ["table", "small files", "MB", "removed", "checkpoint", "oldest unread", "kept for"]


def _facts(report: "Upkeep") -> dict[str, Any]:
    unread = report.oldest_unread
    return {
        "table": report.table,
        "small_files_before": report.small_files_before,
        "small_files_after": report.small_files_after,
        "bytes_before": report.bytes_before,
        "bytes_after": report.bytes_after,
        "files_removed": report.files_removed,
        "checkpoint_age_hours": report.checkpoint_age_hours,
        "oldest_unread_version": unread.version if unread else None,
        "oldest_unread_since": unread.since if unread else None,
        "reader": unread.reader if unread else None,
        "retention_hours": report.retention_hours,
        "skipped": report.skipped or None,
    }


def _shown(report: "Upkeep") -> dict[str, str]:
    before, after = (size / MEGABYTE for size in (report.bytes_before, report.bytes_after))
    unread, checkpoint = report.oldest_unread, report.checkpoint_age_hours
    return {
        "table": report.table,
        "small files": f"{report.small_files_before} → {report.small_files_after}",
        "MB": f"{before:,.1f} → {after:,.1f}",
        "removed": f"{report.files_removed:,}",
        "checkpoint": "-" if checkpoint is None else f"{checkpoint:,.1f} h old",
        "oldest unread": f"{unread.version} ({unread.reader})" if unread else "-",
        "kept for": f"{report.retention_hours:,.0f} h",
    }
