"""The demonstration command: from nothing to gold."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cinelake.commands.shared import refresh_all, show_report, spark_session, start_stack
from cinelake.console import counts_table, out, progress_bar, say_stage

if TYPE_CHECKING:
    from cinelake.settings import Settings
    from pipeline.demo import Sent


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with tmdb/tmdb_5000_movies.csv and ml-latest-small/; without it, data is generated."
        ),
    ] = None,
) -> None:
    """From nothing to gold: start the stack, send data, refresh, build the site, and say what to try next."""
    from pipeline import demo as demo_stage
    from pipeline import docs as docs_stage

    started = time.monotonic()
    say_stage("local stack")
    settings = start_stack()
    say_stage("sending")
    sent = demo_stage.send(settings, data, progress_bar)

    def recommend() -> None:
        demo_stage.recommend(spark_session(settings), settings, data)

    report = refresh_all(settings, beside_silver={"recommendations": recommend})
    say_stage("docs site")
    before = time.monotonic()
    docs_stage.build(settings)
    report.stages.append(("docs site", time.monotonic() - before))
    _show_sent(sent)
    show_report(report)
    _show_next_steps(settings, time.monotonic() - started)


def _show_sent(sent: "Sent") -> None:
    rows = [
        ("movies offered", f"{sent.movies:,}"),
        ("events offered", f"{sent.offered:,}"),
        ("events accepted", f"{sent.accepted:,}"),
        ("events refused", f"{sent.refused:,}"),
    ]
    out.print(counts_table("Sent", rows, "rows"))


def _show_next_steps(settings: "Settings", seconds: float) -> None:
    from cinelake.stack import site

    out.print(f"\nDone in {seconds:.0f} s. Try next:", style="bold")
    out.print(
        '  .venv/bin/cinelake sql -- -c "select title, release_year, count(*), round(avg(rating)::numeric, 2)'
        " from ratings join dim_movie using (movie_key) where movie_key <> -1"
        ' group by title, release_year order by 3 desc limit 10"',
        highlight=False,
        soft_wrap=True,
    )
    out.print(f"  open {site.endpoint(settings)}", highlight=False)
    out.print("  make down", highlight=False)
