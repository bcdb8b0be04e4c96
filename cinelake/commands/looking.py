"""Commands that look at the lake: one record at every hop, and a table as it was."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cinelake.commands.values import MOMENT_FORMATS, Json, as_utc, show_facts, show_rows, write_json
from cinelake.console import err, out
from cinelake.errors import BadInputError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from lakehouse.hops import Hop

AsOfFormat = Literal["table", "csv", "json"]


def trace(
    kind_or_id: Annotated[
        str,
        typer.Argument(
            metavar="KIND_OR_ID", help="An event's id; or `movie`, `user` or `event` before an id."
        ),
    ],
    identifier: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="TMDB's number, or the id of a user or an event."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Follow one event, movie or user through every hop: `trace EVENT_ID`, `trace movie 862`, `trace user ada`."""
    hops = _hops(kind_or_id, identifier)
    if as_json:
        write_json([{"hop": hop.name, **hop.facts} for hop in hops])
        return
    for hop in hops:
        show_facts(hop.name, hop.facts)


def _hops(kind_or_id: str, identifier: str | None) -> "list[Hop]":
    from ingestion.tmdb.movie_ids import movie_id_of
    from lakehouse.trace import trace_event, trace_movie, trace_user

    if identifier is None:
        return trace_event(get_settings(), kind_or_id)
    if kind_or_id == "event":
        return trace_event(get_settings(), identifier)
    if kind_or_id == "movie" and (movie_id := movie_id_of(identifier)):
        return trace_movie(get_settings(), movie_id)
    if kind_or_id == "user":
        return trace_user(get_settings(), identifier)
    raise BadInputError(
        f"{kind_or_id} {identifier} cannot be traced.",
        "Write `cinelake trace EVENT_ID`, `cinelake trace user USER_ID` or, with TMDB's number of it,"
        " `cinelake trace movie 862`.",
    )


def as_of(
    table: Annotated[str, typer.Argument(help="For example silver.ratings.")],
    version: Annotated[int | None, typer.Option(min=0, help="A Delta version.")] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            "--time",
            metavar="TIME",
            formats=MOMENT_FORMATS,
            help="For example 2026-01-01T00:00:00Z.",
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help='A condition in SQL, for example "movie_id = 862".')
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Names separated by commas; without it, all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most rows.")] = 100,
    format_name: Annotated[AsOfFormat, typer.Option("--format")] = "table",
) -> None:
    """Show a table of bronze or silver as it was at a version or a time."""
    from lakehouse.as_of import Selection, find_version, read_as_of, require_table
    from lakehouse.changes import python_rows
    from lakehouse.export import json_rows, write_csv

    require_table(table)
    if (version is None) == (at is None):
        raise BadInputError(
            "Which moment is meant?", "Give either --version or --time, for example --version 3."
        )
    settings = get_settings()
    moment = find_version(settings, table, version, as_utc(at))
    names = [name.strip() for name in columns.split(",")] if columns else None
    rows = read_as_of(settings, table, moment.version, Selection(where, names, limit))
    said = f"{table}, version {moment.version} of {moment.committed_at:%Y-%m-%d %H:%M:%S} UTC"
    if format_name == "csv":
        write_csv(sys.stdout.buffer, rows.schema, rows.to_batches())
    elif format_name == "json":
        found = [row for batch in rows.to_batches() for row in json_rows(batch)]
        facts = {"version": moment.version, "committed_at": moment.committed_at, "rows": found}
        write_json({"table": table, **facts})
    else:
        show_rows(python_rows(rows), rows.schema.names)
        out.print(said, highlight=False)
        return
    err.print(said, highlight=False)
