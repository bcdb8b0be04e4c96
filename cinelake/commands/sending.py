"""Commands that send data in: simulated visitors, recorded behaviour, a movie catalogue."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinelake.commands.values import say_refused
from cinelake.console import out, progress_bar
from cinelake.errors import LedgerMismatchError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from ingestion.client import SendTotals
    from ingestion.simulate import Movie, SimulationTruth


def simulate(
    users: Annotated[int, typer.Option(min=1, help="Visitors.")] = 150,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days of behaviour.")] = 14,
    seed: Annotated[int, typer.Option(help="The same seed sends the same events.")] = 1,
    start: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")
    ] = datetime(2026, 1, 5),
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Events a second; without it, as fast as possible."),
    ] = None,
    events: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after this many events, bad and repeated included."),
    ] = None,
    bad_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Malformed events, for each good one.")
    ] = 0.0,
    late_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events sent one to three days late.")
    ] = 0.0,
    duplicate_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events sent twice.")
    ] = 0.0,
    truth_file: Annotated[
        Path | None,
        typer.Option("--truth", help="Write what every later stage must find, as JSON."),
    ] = None,
) -> None:
    """Send the events of simulated visitors to the API; the same arguments and movies send the same events.

    They watch the movies that are loaded, or generated ones where none is.
    """
    from itertools import islice

    from ingestion.raw_store import open_raw_store
    from ingestion.sender import local_sender
    from ingestion.simulate import SimulationTruth, loaded_movies, send_simulation
    from ingestion.simulate import simulate as simulated

    settings = get_settings()
    movies: list[Movie] = []
    # Without a raw store nothing can be loaded: then it is an API elsewhere that they are sent to.
    if settings.mongo_uri:
        with open_raw_store(settings) as store:
            movies = loaded_movies(store)
    truth = SimulationTruth()
    stream = simulated(
        users,
        days,
        seed,
        start.replace(tzinfo=UTC),
        movies=movies or None,
        bad_rate=bad_rate,
        late_rate=late_rate,
        duplicate_rate=duplicate_rate,
        truth=truth,
    )
    with progress_bar("simulated events", events) as done:
        totals = send_simulation(local_sender(settings), islice(stream, events), done, rate)
    _show_totals(totals)
    if events is not None and totals.sent < events:
        out.print("The visitors did no more than that; simulate more --users or --days.")
    _require_truth(totals, truth)
    if truth_file is not None:
        arguments = {
            "users": users,
            "days": days,
            "seed": seed,
            "start": f"{start:%Y-%m-%d}",
            "events": events,
            "bad_rate": bad_rate,
            "late_rate": late_rate,
            "duplicate_rate": duplicate_rate,
        }
        _write_truth(truth_file, arguments, truth)


def replay_movielens(
    folder: Annotated[Path, typer.Argument(help="Holds ratings.csv and links.csv.")],
) -> None:
    """Send the ratings of a MovieLens folder to the API; sending them again adds nothing downstream."""
    from ingestion import movielens
    from ingestion.sender import local_sender

    total = movielens.count_ratings(folder)
    with progress_bar("MovieLens ratings", total) as done:
        result = movielens.replay(local_sender(get_settings()), folder, done)
    out.print(
        f"{result.offered:,} offered = {result.accepted:,} accepted + {result.refused:,} refused"
    )
    for reason, count in result.refused_reasons.items():
        out.print(f"  {count:,} refused: {reason}")


def catalog_load(
    file: Annotated[Path, typer.Argument(help="TMDB-shaped CSV or JSON lines.")],
) -> None:
    """Load a TMDB-shaped catalogue into MongoDB and the topic `movie`; unchanged movies are not sent again."""
    from ingestion.tmdb.catalog import count_movies, load_catalog
    from ingestion.topics import ensure_topics

    settings = get_settings()
    ensure_topics(settings)
    with progress_bar("movies", count_movies(file)) as done:
        result = load_catalog(settings, file, done)
    out.print(
        f"{result.offered:,} offered: {result.new:,} new, {result.changed:,} changed,"
        f" {result.unchanged:,} unchanged; {result.published:,} published"
    )
    say_refused(result.refused)


def _show_totals(totals: "SendTotals") -> None:
    out.print(f"{totals.sent:,} sent, {totals.accepted:,} accepted, {totals.rejected:,} rejected")
    for reason, count in totals.reasons.items():
        out.print(f"  {count:,} rejected: {reason}")


def _require_truth(totals: "SendTotals", truth: "SimulationTruth") -> None:
    """Stop here unless the API answered as it must."""
    if (totals.accepted, totals.rejected) != (truth.accepted, truth.refused):
        raise LedgerMismatchError(
            f"The API accepted {totals.accepted:,} and rejected {totals.rejected:,} simulated events;"
            f" it should have been {truth.accepted:,} and {truth.refused:,}.",
            "Compare the reasons above with ingestion/simulate/faults.py.",
        )


def _write_truth(path: Path, arguments: dict[str, Any], truth: "SimulationTruth") -> None:
    import orjson

    from cinelake.whole_file import whole_file

    report = {"arguments": arguments, **truth.report()}
    with whole_file(path) as file:
        file.write(orjson.dumps(report, option=orjson.OPT_APPEND_NEWLINE))
    out.print(f"truth: {path}", highlight=False, soft_wrap=True)
