"""Commands that bring files in and out."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from cinelake.console import err, out, progress_bar
from cinelake.errors import BadInputError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from ingestion.batch_files.importing import ImportResult

ExportFormat = Literal["csv", "parquet", "jsonl"]


def import_events(
    file: Annotated[
        Path,
        typer.Argument(help="CSV, Parquet or JSON lines (.jsonl, .ndjson), each also with .gz."),
    ],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="events, movielens-ratings or movielens-tags; without it, the columns tell.",
        ),
    ] = None,
    links: Annotated[
        Path | None,
        typer.Option(help="MovieLens's links.csv; without it, the one beside the file."),
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Write refused rows here, with line and reason.")
    ] = None,
) -> None:
    """Send the events of a file to the API; sending them again adds nothing, an interrupted import goes on."""
    from cinelake.stack.api import endpoint
    from ingestion.batch_files.formats import choose, links_for, mapping_for
    from ingestion.batch_files.importing import import_rows
    from ingestion.batch_files.journal import Job, Journal
    from ingestion.batch_files.rows import count_rows, read_rows
    from ingestion.sender import local_sender

    settings = get_settings()
    api_url = endpoint(settings)
    name = choose(file, format_name)
    # Before `links.csv` is read: a change in between is another file for the next run.
    job = Job.of(file, name, api_url, rejects, links_for(file, name, links))
    mapping = mapping_for(file, name, links)
    journal = Journal(settings.home / "imports", job)
    with journal.opened() as before:
        if before.rows:
            err.print(f"goes on after {before.rows:,} rows that an earlier run has sent")
        with progress_bar(f"rows of {file.name} ({name})", count_rows(file)) as done:
            sender = local_sender(settings)
            result = import_rows(sender, read_rows(file), mapping, done, journal, before)
    _show(result)
    if rejects is not None:
        out.print(f"refused rows: {rejects}", highlight=False, soft_wrap=True)
    if result.rows and not result.accepted:
        raise BadInputError(f"Not one row of {file} is an event.", "Name its format with --format.")


def _show(result: "ImportResult") -> None:
    out.print(
        f"{result.rows:,} offered = {result.accepted:,} accepted + {result.refused:,} refused"
    )
    for reason, count in result.reasons.most_common():
        out.print(f"  {count:,} refused: {reason}", highlight=False)


def export(
    table: Annotated[str, typer.Argument(help="For example silver.events or gold.ratings.")],
    format_name: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Without it, the name of the file tells; else csv."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="The file to write, gzipped if it ends in .gz; else standard output."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help='A condition in SQL, for example "movie_id = 862".')
    ] = None,
    for_spreadsheets: Annotated[
        bool,
        typer.Option(
            "--for-spreadsheets",
            help="Put an apostrophe before texts that would be taken for formulas; for csv.",
        ),
    ] = False,
) -> None:
    """Write a table of bronze, silver or gold to a file, which appears whole or not at all."""
    from contextlib import nullcontext

    from cinelake.whole_file import whole_file
    from lakehouse import export as tables

    chosen = format_name or _format_of(to)
    if to is None and chosen == "parquet" and sys.stdout.isatty():
        raise BadInputError("Parquet is not for the screen.", "Name a file with --to.")
    if for_spreadsheets and chosen != "csv":
        raise BadInputError(f"No spreadsheet opens {chosen}.", "Leave out --for-spreadsheets.")
    target = whole_file(to) if to else nullcontext(sys.stdout.buffer)
    is_gzipped = to is not None and to.suffix.lower() == ".gz"
    try:
        with (
            progress_bar(f"rows of {table}", None) as done,
            target as file,
            tables.packed(file, is_gzipped) as unpacked,
        ):
            rows = tables.export(
                get_settings(), table, chosen, unpacked, where, done, for_spreadsheets
            )
    except BrokenPipeError:
        # Whoever reads has seen enough. Python would complain when it flushes standard output at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    err.print(f"{rows:,} rows of {table} to {to or 'standard output'}", highlight=False)


def _format_of(to: Path | None) -> ExportFormat:
    name = to.name.lower().removesuffix(".gz") if to else ""
    for known in get_args(ExportFormat):
        if name.endswith(f".{known}"):
            return cast(ExportFormat, known)
    return "csv"
