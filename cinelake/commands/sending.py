"""Commands that send data in: simulated visitors, recorded behaviour, a movie catalogue."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cinelake.console import out, progress_bar
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from ingestion.client import SendTotals


def simulate(
    users: Annotated[int, typer.Option(min=1, help="Visitors.")] = 150,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days of behaviour.")] = 14,
    seed: Annotated[int, typer.Option(help="The same seed sends the same events.")] = 1,
    start: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")
    ] = datetime(2026, 1, 5),
    bad_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of malformed events.")] = 0.0,
    late_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of late events.")] = 0.0,
    duplicate_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events sent twice.")
    ] = 0.0,
) -> None:
    """Send the events of simulated visitors to the API."""
    from ingestion.sender import local_sender
    from ingestion.simulate import send_simulation
    from ingestion.simulate import simulate as simulated

    events = simulated(
        users,
        days,
        seed,
        start.replace(tzinfo=UTC),
        bad_rate=bad_rate,
        late_rate=late_rate,
        duplicate_rate=duplicate_rate,
    )
    with progress_bar("simulated events", None) as done:
        totals = send_simulation(local_sender(get_settings()), events, done)
    _show_totals(totals)


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


def _show_totals(totals: "SendTotals") -> None:
    out.print(f"{totals.sent:,} sent, {totals.accepted:,} accepted, {totals.rejected:,} rejected")
    for reason, count in totals.reasons.items():
        out.print(f"  {count:,} rejected: {reason}")
