"""Commands of the exporter, from which Prometheus reads the lakehouse's metrics."""

import signal
import sys
from typing import Annotated

import typer

from cinelake.commands.help import App
from cinelake.settings import get_settings, load_settings

metrics_app = App(
    help="The lakehouse's metrics, as Prometheus reads them; `cinelake up` serves them.",
    no_args_is_help=True,
)


@metrics_app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 0,
) -> None:
    """Serve the metrics on 127.0.0.1 until Ctrl-C; they are computed whenever somebody asks."""
    from monitoring.exporter import open_server

    # Settings are read anew for each answer, as `cinelake up` may have moved a port.
    with open_server(load_settings, port) as server:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        server.serve_forever()


@metrics_app.command()
def show() -> None:
    """Print the metrics once, in Prometheus' text format."""
    from prometheus_client import generate_latest

    from monitoring.exporter import registry

    sys.stdout.buffer.write(generate_latest(registry(get_settings)))
