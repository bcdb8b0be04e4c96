"""The `cinelake` command line: each command is thin and calls the stage it names.

Exit codes: 0 done; 1 an error; 2 a wrong argument, setting or input; 3 a gate refused the data; 4 the ledger does not
add up; 5 a service is down.
"""

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinelake import __version__
from cinelake.console import counts_table, err, out, progress_bar, report_error, say_stage
from cinelake.errors import CinelakeError, ServiceError, SettingError
from cinelake.log import configure_logging
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from cinelake.settings import Settings
    from ingestion.client import SendTotals
    from lakehouse.ledger import Ledger
    from pipeline.demo import Sent
    from pipeline.refresh import RefreshReport
    from spark_streaming.bronze import Trigger

app = typer.Typer(
    name="cinelake",
    help="A movie lakehouse: user behaviour and TMDB metadata in, a star schema that analysts trust out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
replay_app = typer.Typer(help="Send recorded behaviour through the API.", no_args_is_help=True)
catalog_app = typer.Typer(help="The movie catalogue.", no_args_is_help=True)
app.add_typer(replay_app, name="replay")
app.add_typer(catalog_app, name="catalog")

Every = Annotated[
    str | None,
    typer.Option(help="Stay and run this often, for example '10 seconds'; without it, run once."),
]
Full = Annotated[
    bool, typer.Option("--full-refresh", help="Build incremental models from scratch.")
]


def main() -> None:
    """Run the command line; errors that a person can act on end with their exit code."""
    try:
        app()
    except CinelakeError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted; run the same command again to go on")
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"cinelake {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def prepare(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up logging for whichever command follows."""
    configure_logging(get_settings())


# --- The local stack -----------------------------------------------------------------------------


@app.command()
def up() -> None:
    """Start Kafka, PostgreSQL, MongoDB, the API and the site, or bring back what has stopped."""
    settings = _start_stack()
    for name, service in _services(settings).items():
        out.print(f"{name:9} {service['endpoint']}", highlight=False)


@app.command()
def down() -> None:
    """Stop every service of the local stack; its data stays."""
    from cinelake.stack import local

    local.down(get_settings())
    out.print("stopped")


@app.command()
def serve() -> None:
    """Start the events API (gunicorn), or say where it runs already."""
    from cinelake.stack import api, local

    settings = get_settings()
    local.start_api(settings)
    get_settings.cache_clear()
    out.print(api.endpoint(get_settings()), highlight=False)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, for scripts.")] = False,
) -> None:
    """Show services, addresses and the ledger, and whether its counts add up; exit code 5 when one is down."""
    facts = _status(get_settings())
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        _show_status(facts)
    if not all(service["healthy"] for service in facts["services"].values()):
        raise typer.Exit(ServiceError.exit_code)


# --- Sending data in -----------------------------------------------------------------------------


@app.command()
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
    from cinelake.stack.api import endpoint
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
        totals = send_simulation(endpoint(get_settings()), events, done)
    _show_totals(totals)


@replay_app.command("movielens")
def replay_movielens(
    folder: Annotated[Path, typer.Argument(help="Holds ratings.csv and links.csv.")],
) -> None:
    """Send the ratings of a MovieLens folder to the API; sending them again adds nothing downstream."""
    from cinelake.stack.api import endpoint
    from ingestion import movielens

    total = movielens.count_ratings(folder)
    with progress_bar("MovieLens ratings", total) as done:
        result = movielens.replay(endpoint(get_settings()), folder, done)
    out.print(
        f"{result.offered:,} offered = {result.accepted:,} accepted + {result.refused:,} refused"
    )
    for reason, count in result.refused_reasons.items():
        out.print(f"  {count:,} refused: {reason}")


@catalog_app.command("load")
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


# --- The stages ----------------------------------------------------------------------------------


@app.command()
def bronze(every: Every = None) -> None:
    """Land what Kafka holds in bronze, exactly once."""
    from pipeline.streams import run_bronze

    _run_streaming(run_bronze, every)


@app.command()
def silver(every: Every = None) -> None:
    """Bring silver up to date with bronze."""
    from pipeline.streams import run_silver

    _run_streaming(run_silver, every)


@app.command()
def publish(
    full: Annotated[bool, typer.Option("--full", help="Load every table anew.")] = False,
) -> None:
    """Gate what changed in silver, then bring it to PostgreSQL."""
    from pipeline.refresh import run_publish

    with progress_bar("tables", None) as done:
        published = run_publish(lambda: _spark(get_settings()), get_settings(), done, full=full)
    for table in published:
        out.print(f"{table.table:24} {table.merged:>10,} rows, lake version {table.lake_version}")


@app.command()
def gold(full_refresh: Full = False) -> None:
    """Build gold_next with dbt, test and gate it, and swap it in."""
    from pipeline.refresh import run_gold

    rows = run_gold(get_settings(), say_stage, full_refresh=full_refresh)
    out.print(counts_table("Gold", [(name, f"{n:,}") for name, n in rows.items()], "rows"))


@app.command()
def refresh(full_refresh: Full = False) -> None:
    """Run every stage in order, from Kafka to swapped gold; a failed gate leaves gold as it was."""
    _show_report(_refresh(get_settings(), full_refresh))


@app.command()
def docs() -> None:
    """Build the docs site: the ledger, the gates' Data Docs and the dbt docs."""
    from pipeline import docs as docs_stage

    page = docs_stage.build(get_settings())
    out.print(str(page), highlight=False, soft_wrap=True)


@app.command(context_settings={"ignore_unknown_options": True})
def sql(
    arguments: Annotated[list[str] | None, typer.Argument(help="Handed to psql.")] = None,
) -> None:
    """Open psql on gold as the read-only analyst: `cinelake sql -- -Atc "select 1"`."""
    from cinelake.stack.postgres import analyst_uri, psql_binary

    psql = str(psql_binary())
    sys.stdout.flush()
    os.execv(psql, [psql, analyst_uri(get_settings()), *(arguments or [])])  # noqa: S606


@app.command()
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
    settings = _start_stack()
    say_stage("sending")
    sent = demo_stage.send(settings, data, progress_bar)
    report = _refresh(settings, full_refresh=False)
    say_stage("docs site")
    before = time.monotonic()
    docs_stage.build(settings)
    report.stages.append(("docs site", time.monotonic() - before))
    _show_sent(sent)
    _show_report(report)
    _show_next_steps(settings, time.monotonic() - started)


# --- What the commands share ---------------------------------------------------------------------


def _start_stack() -> "Settings":
    """Bring the stack up, make the topics, and return the settings that point to it."""
    from cinelake.stack import local
    from ingestion.topics import ensure_topics

    with progress_bar("services", len(local.SERVICES)) as done:
        local.up(get_settings(), done)
    get_settings.cache_clear()
    ensure_topics(get_settings())
    return get_settings()


def _spark(settings: "Settings") -> "SparkSession":
    from spark_streaming.session import build_session

    return build_session(settings)


def _run_streaming(
    stage: "Callable[[SparkSession, Settings, Trigger], dict[str, int]]", every: str | None
) -> None:
    from spark_streaming.bronze import Trigger

    # A daemon that is asked to end stops as if interrupted; the checkpoint makes that safe at any moment.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    settings = get_settings()
    read = stage(_spark(settings), settings, Trigger(every))
    for name, rows in read.items():
        out.print(f"{name:28} {rows:>10,} rows read")


def _refresh(settings: "Settings", full_refresh: bool) -> "RefreshReport":
    from pipeline.refresh import refresh

    return refresh(lambda: _spark(settings), settings, say_stage, full_refresh)


def _services(settings: "Settings") -> dict[str, dict[str, Any]]:
    from cinelake.stack import local

    return {
        name: {
            "healthy": service.healthy,
            "problem": service.problem,
            "endpoint": service.endpoint,
            "pid": service.pid,
            "memory_bytes": service.rss_bytes,
        }
        for name, service in local.status(settings).items()
    }


def _status(settings: "Settings") -> dict[str, Any]:
    from cinelake.stack import api, site
    from cinelake.stack.postgres import analyst_uri

    is_up = settings.postgres_uri is not None and settings.analyst_password is not None
    return {
        "api_url": api.endpoint(settings),
        "site_url": site.endpoint(settings),
        "kafka_bootstrap_servers": settings.kafka_bootstrap_servers or "",
        "postgres_uri": analyst_uri(settings) if is_up else "",
        "mongo_uri": settings.mongo_uri or "",
        "lake_uri": settings.lake_uri,
        "services": _services(settings),
        "ledger": _ledger_facts(settings),
    }


def _ledger_facts(settings: "Settings") -> dict[str, Any] | None:
    """The counts of every hop, or None, with the reason on standard error, while they cannot be counted."""
    from lakehouse import ledger

    try:
        return _facts_of(ledger.count(settings))
    except (ServiceError, SettingError) as error:
        err.print(f"no ledger: {error.message}", highlight=False)
        return None


def _facts_of(ledger: "Ledger") -> dict[str, Any]:
    return {
        **dict(ledger.hops()),
        "balanced": ledger.balanced,
        "differences": ledger.differences(),
    }


def _show_status(facts: dict[str, Any]) -> None:
    rows = [
        (name, f"{'healthy' if service['healthy'] else service['problem']}  {service['endpoint']}")
        for name, service in facts["services"].items()
    ]
    out.print(counts_table("Services", rows, "state"))
    if facts["ledger"]:
        _show_ledger(facts["ledger"])


def _show_ledger(counts: dict[str, Any]) -> None:
    rows = [(hop, f"{n:,}") for hop, n in counts.items() if hop not in ("balanced", "differences")]
    out.print(counts_table("Ledger", rows, "rows"))
    if counts["balanced"]:
        out.print("[green]The ledger adds up.[/]")
    for difference in counts["differences"]:
        out.print(f"[yellow]{difference}[/]")


def _show_totals(totals: "SendTotals") -> None:
    out.print(f"{totals.sent:,} sent, {totals.accepted:,} accepted, {totals.rejected:,} rejected")
    for reason, count in totals.reasons.items():
        out.print(f"  {count:,} rejected: {reason}")


def _show_sent(sent: "Sent") -> None:
    rows = [
        ("movies offered", f"{sent.movies:,}"),
        ("events offered", f"{sent.offered:,}"),
        ("events accepted", f"{sent.accepted:,}"),
        ("events refused", f"{sent.refused:,}"),
    ]
    out.print(counts_table("Sent", rows, "rows"))


def _show_report(report: "RefreshReport") -> None:
    stages = [(name, f"{seconds:.1f}") for name, seconds in report.stages]
    out.print(counts_table("Stages", [*stages, ("all", f"{report.seconds:.1f}")], "seconds"))
    gates = [
        (gate.gate, f"{len(gate.rules)} rules passed" if gate.rules else "nothing new to check")
        for gate in report.gates
    ]
    out.print(counts_table("Gates", gates, ""))
    gold_rows = [(name, f"{n:,}") for name, n in report.gold_rows.items()]
    out.print(counts_table("Gold", gold_rows, "rows"))
    if report.ledger:
        _show_ledger(_facts_of(report.ledger))


def _show_next_steps(settings: "Settings", seconds: float) -> None:
    from cinelake.stack import site

    out.print(f"\n[bold]Done in {seconds:.0f} s.[/] Try next:")
    out.print(
        '  .venv/bin/cinelake sql -- -c "select title, count(*), round(avg(rating)::numeric, 2)'
        ' from ratings join dim_movie using (movie_key) group by title order by 2 desc limit 10"',
        highlight=False,
        soft_wrap=True,
    )
    out.print(f"  open {site.endpoint(settings)}", highlight=False)
    out.print("  make down", highlight=False)


if __name__ == "__main__":
    main()
