"""Commands of the stages, in the order in which data flows, and of a whole refresh."""

import signal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinelake.commands.help import App
from cinelake.commands.shared import refresh_all, show_report, spark_session
from cinelake.commands.values import Json, show_rows, write_json
from cinelake.console import counts_table, out, progress_bar, say_stage
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from cinelake.settings import Settings
    from lakehouse.tables import SparkSource
    from pipeline.stages import Work
    from spark_streaming.bronze import Trigger

Every = Annotated[
    str | None,
    typer.Option(help="Stay and run this often, for example '10 seconds'; without it, run once."),
]
Full = Annotated[
    bool, typer.Option("--full-refresh", help="Build incremental models from scratch.")
]


def show(as_json: Json = False) -> None:
    """Show the stages of a refresh in their order, each with the command that does the same by itself."""
    from pipeline.stages import STAGES, as_facts

    if as_json:
        write_json(as_facts())
        return
    show_rows(
        [
            {
                "stage": stage.name,
                "by itself": f"cinelake {stage.command}" if stage.command else "dbt build",
                "what it does": stage.does,
            }
            for stage in STAGES
        ],
        ["stage", "by itself", "what it does"],
    )


def bronze(every: Every = None, as_json: Json = False) -> None:
    """Land what Kafka holds in bronze, exactly once."""
    from pipeline.streams import run_bronze

    _until_stopped()
    settings = get_settings()
    if every:
        _stream("bronze", partial(run_bronze, _spark(settings), settings, _trigger(every)), as_json)
    else:
        _show_read(_alone(settings, "bronze").read, as_json)


def silver(
    every: Every = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="Only what this table of bronze feeds; can be repeated. The movies of bronze.movie come first.",
        ),
    ] = None,
    is_rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="First read every message of bronze anew and mend what differs; an update of the rules does so by itself.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring silver up to date with bronze."""
    from pipeline.stages import silver_of
    from pipeline.steps import step
    from pipeline.streams import rebuild_silver, run_silver

    _until_stopped()
    settings = get_settings()
    wanted = silver_of(sources or ())
    if is_rebuild:
        with step(settings, "rebuild silver"):
            rebuild_silver(_spark(settings), settings, sources or ())
    if every:
        run = partial(run_silver, _spark(settings), settings, _trigger(every), sources or ())
        _stream("silver", run, as_json)
    else:
        _show_read(_alone(settings, *wanted, sources=sources or ()).read, as_json)


def publish(
    full: Annotated[bool, typer.Option("--full", help="Load every table anew.")] = False,
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", help="Only this table, as silver.ratings; can be repeated."),
    ] = None,
    from_version: Annotated[
        int | None,
        typer.Option(min=0, help="Also what changed in this version of the lake and later."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Gate what changed in silver, then bring it to PostgreSQL."""
    from lakehouse.publish import Scope

    scope = Scope(full, tuple(tables or ()), from_version)
    with progress_bar("tables", None) as done:
        published = _alone(get_settings(), "publish", scope=scope, published_one=done).published
    if as_json:
        write_json({table.table: table.merged for table in published})
        return
    for table in published:
        out.print(f"{table.table:24} {table.merged:>10,} rows, lake version {table.lake_version}")


gold_app = App(
    help="Build gold_next with dbt, test and gate it, and swap it in; or take the last swap back.",
    invoke_without_command=True,
)


@gold_app.callback()
def gold(context: typer.Context, full_refresh: Full = False) -> None:
    """Build gold_next with dbt, test and gate it, and swap it in, unless gold holds all of silver; or take the last swap back."""
    from pipeline.refresh import run_gold

    if context.invoked_subcommand:
        return
    rows = run_gold(get_settings(), say_stage, full_refresh=full_refresh)
    out.print(counts_table("Gold", [(name, f"{n:,}") for name, n in rows.items()], "rows"))


@gold_app.command()
def prepare(full_refresh: Full = False, as_json: Json = False) -> None:
    """Note that this run (CINELAKE_RUN_ID) builds gold_next, which somebody else's dbt then does, unless gold holds all of silver."""
    prepared = _alone(get_settings(), "gold prepare", full_refresh=full_refresh)
    if as_json:
        write_json({"run_id": prepared.run_id, "is_due": not prepared.analysts_see_all})
    elif not prepared.analysts_see_all:
        out.print(f"gold_next belongs to run {prepared.run_id}", highlight=False)
    else:
        out.print("Nothing to do: gold holds all of silver.")


@gold_app.command()
def swap(as_json: Json = False) -> None:
    """Let analysts see the gold_next that this run (CINELAKE_RUN_ID) has built and gated."""
    from pipeline.gold import count_rows

    settings = get_settings()
    result = _alone(settings, "swap").swapped
    rows = count_rows(settings)
    if as_json:
        write_json(rows)
        return
    done = f"was swapped in {result.seconds:.2f} s" if result else "is this run's already"
    out.print(f"gold {done}", highlight=False)
    out.print(counts_table("Gold", [(name, f"{n:,}") for name, n in rows.items()], "rows"))


@gold_app.command()
def rollback() -> None:
    """Let analysts see the gold of before the last swap again; possible until the next build begins."""
    from pipeline.refresh import roll_back_gold

    result = roll_back_gold(get_settings())
    out.print(f"Gold is again as it was before the last swap ({result.seconds:.2f} s).")
    out.print("`cinelake refresh` builds and publishes anew; until then this version stays.")


def refresh(full_refresh: Full = False) -> None:
    """Run every stage in order, from Kafka to swapped gold; where nothing is new nothing is done, and a failed gate leaves gold as it was."""
    show_report(refresh_all(get_settings(), full_refresh))


def _alone(settings: "Settings", *names: str, **options: Any) -> "Work":
    """Run stages of a run whose others run in other processes."""
    from pipeline.steps import run_alone

    return run_alone(_spark(settings), settings, *names, **options)


def _spark(settings: "Settings") -> "SparkSource":
    return partial(spark_session, settings)


def _until_stopped() -> None:
    """Let a daemon that is asked to end stop as if interrupted; the checkpoint makes that safe at any moment."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _trigger(every: str) -> "Trigger":
    from spark_streaming.bronze import Trigger

    return Trigger(every)


def _stream(name: str, run: "Callable[[], dict[str, int]]", as_json: bool) -> None:
    """Run a daemon of a layer until it is stopped."""
    from pipeline.steps import step

    with step(get_settings(), name):
        read = run()
    _show_read(read, as_json)


def _show_read(read: dict[str, int], as_json: bool) -> None:
    if as_json:
        write_json(read)
        return
    for query, rows in read.items():
        out.print(f"{query:28} {rows:>10,} rows read")
