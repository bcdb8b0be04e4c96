"""The `cinelake` command line: which commands there are. What each does is in `cinelake/commands/`.

Exit codes: 0 done; 1 an error; 2 a wrong argument, setting or input; 3 a gate refused the data; 4 the ledger does not
add up; 5 a service is down; 6 stored data is damaged; 7 all came but some movies.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cinelake import __version__
from cinelake.commands import (
    airflow,
    alerts,
    backup,
    contracts,
    demo,
    docs,
    files,
    gates,
    keys,
    looking,
    metrics,
    quarantine,
    recommend,
    sending,
    stack,
    stages,
    streams,
    tmdb,
    upkeep,
)
from cinelake.commands.help import App
from cinelake.console import be_quiet, err, out, report_error
from cinelake.errors import CinelakeError
from cinelake.log import configure_logging
from cinelake.owner_only import UMASK
from cinelake.settings import get_settings

app = App(
    name="cinelake",
    help="A movie lakehouse: user behaviour and TMDB metadata in, a star schema that analysts trust out.",
    epilog=__doc__.partition("\n\n")[2].replace("\n", " "),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
replay_app = App(help="Send recorded behaviour through the API.", no_args_is_help=True)
keys_app = App(help="The keys of the API.", no_args_is_help=True)
import_app = App(help="Bring files in through the API.", no_args_is_help=True)
catalog_app = App(help="The movie catalogue.", no_args_is_help=True)

for command in (stack.up, stack.down, stack.status, stack.serve):
    app.command(rich_help_panel="Local stack")(command)
app.command(rich_help_panel="Local stack", context_settings={"ignore_unknown_options": True})(
    stack.sql
)
app.add_typer(keys_app, name="keys", rich_help_panel="Local stack")
keys_app.command("create")(keys.create)
keys_app.command("list")(keys.list_all)
keys_app.command("scope")(keys.scope)
keys_app.command("revoke")(keys.revoke)
app.add_typer(backup.backup_app, name="backup", rich_help_panel="Data in")
app.command(rich_help_panel="Data in")(sending.simulate)
app.add_typer(replay_app, name="replay", rich_help_panel="Data in")
app.add_typer(import_app, name="import", rich_help_panel="Data in")
app.add_typer(catalog_app, name="catalog", rich_help_panel="Data in")
app.add_typer(tmdb.tmdb_app, name="tmdb", rich_help_panel="Data in")
replay_app.command("movielens")(sending.replay_movielens)
import_app.command("events")(files.import_events)
catalog_app.command("load")(sending.catalog_load)
app.command(rich_help_panel="Data out")(files.export)
for command in (stages.bronze, stages.silver, stages.publish):
    app.command(rich_help_panel="Stages")(command)
app.add_typer(streams.streams_app, name="streams", rich_help_panel="Stages")
app.add_typer(stages.gold_app, name="gold", rich_help_panel="Stages")
app.command(rich_help_panel="Stages")(stages.refresh)
app.command("stages", rich_help_panel="Stages")(stages.show)
app.add_typer(recommend.recommend_app, name="recommend", rich_help_panel="Stages")
app.add_typer(docs.docs_app, name="docs", rich_help_panel="Stages")
app.add_typer(contracts.contracts_app, name="contracts", rich_help_panel="Stages")
app.add_typer(gates.gates_app, name="gates", rich_help_panel="Operations")
app.command(rich_help_panel="Operations")(upkeep.reconcile)
app.add_typer(quarantine.quarantine_app, name="quarantine", rich_help_panel="Operations")
app.command(rich_help_panel="Operations")(quarantine.recover)
app.command(rich_help_panel="Operations")(looking.trace)
app.command(rich_help_panel="Operations")(looking.as_of)
app.command(rich_help_panel="Operations")(upkeep.maintain)
app.add_typer(metrics.metrics_app, name="metrics", rich_help_panel="Operations")
app.add_typer(airflow.airflow_app, name="airflow", rich_help_panel="Operations")
app.add_typer(alerts.alerts_app, name="alerts", rich_help_panel="Operations")
app.command(rich_help_panel="All of it")(demo.demo)


def main() -> None:
    """Run the command line; errors that a person can act on end with their exit code."""
    os.umask(UMASK)
    try:
        with _damage_named():
            app()
    except CinelakeError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted; run the same command again to go on")
        sys.exit(130)


@contextmanager
def _damage_named() -> Iterator[None]:
    """Tell which file of the lake is damaged, where that is what a command failed at."""
    try:
        yield
    except Exception:
        # Who never came to read the lake did not fail at it, and should not wait for what reads it.
        if "deltalake" not in sys.modules:
            raise
        from lakehouse import inspection  # noqa: PLC0415

        with inspection.named(get_settings()):
            raise


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
    """Set up logging for whichever command follows; help must be had without valid settings."""
    if "--help" not in sys.argv:
        configure_logging(get_settings())
        if get_settings().log_format == "json":
            be_quiet()


if __name__ == "__main__":
    main()
