"""Commands of TMDB: bring its movies in, publish them, and a sandbox for those without a key."""

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from cinelake.commands.help import App
from cinelake.commands.values import say_refused
from cinelake.console import err, out, progress_bar, rate_bar
from cinelake.errors import BadInputError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from ingestion.tmdb.sync import SyncResult, Wanted

tmdb_app = App(help="TMDB's movies: sync, publish, and a sandbox.", no_args_is_help=True)

Rate = Annotated[float, typer.Option(min=0, max=1, help="Share of requests.")]


@tmdb_app.command()
def sync(
    full: Annotated[bool, typer.Option("--full", help="All movies.")] = False,
    changes: Annotated[
        bool, typer.Option("--changes", help="What changed since the last successful sync.")
    ] = False,
    ids: Annotated[str, typer.Option(help="Only these TMDB ids, for example 550,680.")] = "",
    source: Annotated[
        str, typer.Option(help="Where --full finds the ids: export (daily file) or discover.")
    ] = "export",
    workers: Annotated[int, typer.Option(min=1, max=20, help="Requests at a time.")] = 16,
) -> None:
    """Bring movies from TMDB to MongoDB and Kafka; after a kill, the same command goes on."""
    from ingestion.tmdb.sync import sync as run_sync

    wanted = _wanted(full, changes, ids, source)
    with rate_bar("TMDB movies") as progress:
        result = run_sync(get_settings(), wanted, progress, workers)
    _show(result)


@tmdb_app.command()
def publish(
    everything: Annotated[
        bool, typer.Option("--all", help="Every movie, whether or not Kafka has it.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Movies whose news came at that time (UTC) or later, whether or not Kafka has them.",
        ),
    ] = None,
) -> None:
    """Publish from MongoDB to the topic `movie` what Kafka does not have yet, or has lost."""
    from ingestion.raw_store import open_raw_store
    from ingestion.tmdb.backup_to_kafka import publish_again, publish_movies
    from ingestion.topics import ensure_topics

    if everything and since:
        raise BadInputError("--all and --since exclude each other.", "Give one of them.")
    settings = get_settings()
    ensure_topics(settings)
    moment = since.replace(tzinfo=UTC) if since else None
    with open_raw_store(settings) as store:
        again = everything or moment is not None
        with progress_bar("movies", store.count_since(moment) if again else None) as done:
            published = (
                publish_again(settings, store, moment, done)
                if again
                else publish_movies(settings, store, done)
            )
        refused = store.count_refused()
    out.print(f"{published:,} published")
    say_refused(refused)


@tmdb_app.command()
def sandbox(
    catalog: Annotated[
        Path | None,
        typer.Option(help="TMDB-shaped CSV or JSON lines. Default: a generated catalogue."),
    ] = None,
    movies: Annotated[int, typer.Option(min=1, help="Size of a generated catalogue.")] = 200,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    ceiling: Annotated[int, typer.Option(min=1, help="Requests a second before 429.")] = 40,
    edit_every: Annotated[
        float, typer.Option(min=0, help="Seconds between edits; 0 for none.")
    ] = 0,
    edit_movies: Annotated[int, typer.Option(min=1, help="Movies edited each time.")] = 5,
    too_many: Rate = 0,
    server_error: Rate = 0,
    slow: Rate = 0,
    truncated: Rate = 0,
    malformed: Rate = 0,
    retry_after: Annotated[
        int, typer.Option(min=0, help="Seconds that an injected 429 asks to wait.")
    ] = 1,
    slow_seconds: Annotated[float, typer.Option(min=0, help="How late a slow answer is.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of faults, edits and a generated catalogue.")] = 1,
) -> None:
    """Serve a stand-in for TMDB on 127.0.0.1 until SIGTERM or Ctrl-C; prints the two settings to use it with."""
    from ingestion.generated_catalog import generated_movies
    from ingestion.tmdb.catalog import read_movies
    from ingestion.tmdb.sandbox.catalogue import Catalogue
    from ingestion.tmdb.sandbox.faults import FaultRates
    from ingestion.tmdb.sandbox.server import KEY, Mood, Sandbox

    def end(*_: object) -> NoReturn:
        # Not `shutdown()`: called from the thread that serves, it would wait for itself. And not `typer.Exit`, which the
        # server, when the signal comes as it takes a connection, would keep for an error of that one, and serve on.
        raise SystemExit

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        faults = FaultRates(too_many, server_error, slow, truncated, malformed)
    except ValueError as error:
        raise BadInputError(
            f"The rates of faults do not fit: {error}.",
            "Lower --too-many, --server-error, --slow, --truncated or --malformed.",
        ) from None
    offered = read_movies(catalog) if catalog else generated_movies(movies, seed)
    mood = Mood(ceiling, faults, seed, retry_after, slow_seconds)
    with Sandbox(Catalogue(offered, seed), mood, port) as server:
        if edit_every:
            server.edit_every(edit_every, edit_movies)
        # To standard output alone, so that a shell can take them over.
        typer.echo(f"TMDB_BASE_URL={server.address}/3\nTMDB_API_KEY={KEY}")
        err.print(
            f"{len(server.catalogue):,} movies; figures at {server.address}/sandbox/stats",
            highlight=False,
        )
        server.serve_forever()


def _wanted(full: bool, changes: bool, ids: str, source: str) -> "Wanted":
    from ingestion.tmdb.sync import Wanted

    if [full, changes, bool(ids)].count(True) != 1:
        raise BadInputError(
            "A sync is one of three.", "Give --full, --changes, or --ids 550,680; see --help."
        )
    sources: dict[str, Literal["export", "discover"]] = {
        "export": "export",
        "discover": "discover",
    }
    if source not in sources:
        raise BadInputError(f"There is no source {source}.", "Use export or discover.")
    if ids:
        return Wanted("ids", ids=_numbers(ids))
    return Wanted("full", sources[source]) if full else Wanted("changes")


def _numbers(ids: str) -> list[int]:
    from ingestion.tmdb.movie_ids import movie_id_of

    parts = [part.strip() for part in ids.split(",") if part.strip()]
    numbers = [number for part in parts if (number := movie_id_of(part))]
    if not parts or len(numbers) < len(parts):
        wrong = next((part for part in parts if not movie_id_of(part)), ids)
        raise BadInputError(
            f"{wrong[:40]!r} is no TMDB id.",
            "Ids are positive whole numbers below 2^53 with commas between, for example 550,680.",
        )
    return numbers


def _show(result: "SyncResult") -> None:
    out.print(
        f"{result.new:,} new, {result.changed:,} changed, {result.unchanged:,} unchanged,"
        f" {result.deleted:,} deleted, {result.unknown:,} unknown to TMDB;"
        f" {result.published:,} published; {result.requests:,} requests"
        + ("; went on with an unfinished sync" if result.resumed else ""),
        highlight=False,
        soft_wrap=True,
    )
    say_refused(result.refused)
