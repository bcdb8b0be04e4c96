"""The commands of Airflow, which orchestrates the stages."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cinelake.commands.help import App
from cinelake.commands.shared import start_stack
from cinelake.console import out, say_stage
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from cinelake.settings import Settings

airflow_app = App(
    help="Airflow, which runs the stages on a schedule: `make airflow` installs it.",
    no_args_is_help=True,
)


@airflow_app.command()
def up() -> None:
    """Start the stack and Airflow, or bring back what has stopped; print Airflow's address, user and password."""
    from cinelake.stack import airflow, local

    settings = _prepared()
    out.print(local.start_airflow(settings), highlight=False)
    for user, password in airflow.passwords(settings).items():
        out.print(f"user {user}, password {password}", highlight=False)


@airflow_app.command()
def run() -> None:
    """Start the stack and become Airflow, in the foreground: for a container or a service manager."""
    from cinelake.stack import airflow

    airflow.run(_prepared())


@airflow_app.command()
def down() -> None:
    """Stop Airflow and the tasks that it runs; the stack stays up."""
    from cinelake.stack import local

    local.stop_airflow(get_settings())
    out.print("stopped")


@airflow_app.command(context_settings={"ignore_unknown_options": True})
def cli(
    arguments: Annotated[list[str] | None, typer.Argument(help="Handed to `airflow`.")] = None,
) -> None:
    """Airflow's own command line, on this Airflow: `cinelake airflow cli dags list`."""
    from cinelake.stack import airflow

    airflow.call(get_settings(), arguments or [])


def _prepared() -> "Settings":
    """The settings of a stack that is up, with what the DAGs read: dbt's manifest and the table of stages."""
    from cinelake.stack.airflow import stages_file
    from cinelake.stack.state import write_private
    from pipeline.dbt import parse
    from pipeline.stages import as_facts

    settings = start_stack()
    say_stage("dbt parse")
    parse(settings)
    write_private(stages_file(settings), json.dumps(as_facts()))
    say_stage("Airflow")
    return settings
