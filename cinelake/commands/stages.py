"""Commands of the stages, in the order in which data flows, and of a whole refresh."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from cinelake.commands.shared import refresh_all, show_report, spark_session
from cinelake.console import counts_table, out, progress_bar, say_stage
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from cinelake.settings import Settings
    from spark_streaming.bronze import Trigger

Every = Annotated[
    str | None,
    typer.Option(help="Stay and run this often, for example '10 seconds'; without it, run once."),
]
Full = Annotated[
    bool, typer.Option("--full-refresh", help="Build incremental models from scratch.")
]


def bronze(every: Every = None) -> None:
    """Land what Kafka holds in bronze, exactly once."""
    from pipeline.streams import run_bronze

    _run_streaming(run_bronze, every)


def silver(every: Every = None) -> None:
    """Bring silver up to date with bronze."""
    from pipeline.streams import run_silver

    _run_streaming(run_silver, every)


def publish(
    full: Annotated[bool, typer.Option("--full", help="Load every table anew.")] = False,
) -> None:
    """Gate what changed in silver, then bring it to PostgreSQL."""
    from pipeline.refresh import run_publish

    with progress_bar("tables", None) as done:
        published = run_publish(
            lambda: spark_session(get_settings()), get_settings(), done, full=full
        )
    for table in published:
        out.print(f"{table.table:24} {table.merged:>10,} rows, lake version {table.lake_version}")


gold_app = typer.Typer(
    help="Build gold_next with dbt, test and gate it, and swap it in; or take the last swap back.",
    invoke_without_command=True,
)


@gold_app.callback()
def gold(context: typer.Context, full_refresh: Full = False) -> None:
    """Build gold_next with dbt, test and gate it, and swap it in; or take the last swap back."""
    from pipeline.refresh import run_gold

    if context.invoked_subcommand:
        return
    rows = run_gold(get_settings(), say_stage, full_refresh=full_refresh)
    out.print(counts_table("Gold", [(name, f"{n:,}") for name, n in rows.items()], "rows"))


@gold_app.command()
def rollback() -> None:
    """Let analysts see the gold of before the last swap again; possible until the next build begins."""
    from pipeline.refresh import roll_back_gold

    result = roll_back_gold(get_settings())
    out.print(f"Gold is again as it was before the last swap ({result.seconds:.2f} s).")
    out.print("`cinelake refresh` builds and publishes anew; until then this version stays.")


def refresh(full_refresh: Full = False) -> None:
    """Run every stage in order, from Kafka to swapped gold; a failed gate leaves gold as it was."""
    show_report(refresh_all(get_settings(), full_refresh))


def _run_streaming(
    stage: "Callable[[SparkSession, Settings, Trigger], dict[str, int]]", every: str | None
) -> None:
    from spark_streaming.bronze import Trigger

    # A daemon that is asked to end stops as if interrupted; the checkpoint makes that safe at any moment.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    settings = get_settings()
    read = stage(spark_session(settings), settings, Trigger(every))
    for name, rows in read.items():
        out.print(f"{name:28} {rows:>10,} rows read")
