"""The commands of the streaming daemons, which bring data to bronze and silver every few seconds."""

from typing import Annotated

import typer

from cinelake.commands.help import App
from cinelake.commands.shared import start_stack
from cinelake.commands.values import Json, write_json
from cinelake.console import out
from cinelake.settings import get_settings

streams_app = App(
    help="Daemons that keep bronze and silver up to date; publication and gold stay with `refresh`.",
    no_args_is_help=True,
)


@streams_app.command()
def up() -> None:
    """Start the stack and the daemons, or bring back what has stopped."""
    from cinelake.stack import local

    local.start_streams(start_stack())
    out.print("bronze and silver are streaming")


@streams_app.command()
def down() -> None:
    """Stop the daemons; what they have not taken, a refresh takes."""
    from cinelake.stack import local

    local.stop_streams(get_settings())
    out.print("stopped")


@streams_app.command()
def watch(
    most: Annotated[
        int, typer.Option("--max-lag", min=0, help="Messages that a stage may have still to take.")
    ] = 10_000,
    as_json: Json = False,
) -> None:
    """Start daemons again that have ended by themselves, and end with exit code 5 when a stage lags."""
    from cinelake.stack import local
    from pipeline.streams import require_little

    settings = get_settings()
    revived = local.revive_streams(settings)
    lag = require_little(settings, most)
    if as_json:
        write_json({"started_again": revived, "lag": lag})
        return
    for stage in revived:
        out.print(f"the daemon of {stage} had ended and was started again", highlight=False)
    for stage, count in lag.items():
        out.print(f"{stage}: {count:,} messages still to be taken", highlight=False)
