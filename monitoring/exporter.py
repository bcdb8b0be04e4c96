"""The exporter: an HTTP server on loopback that answers `/metrics` for Prometheus, and `/healthz`."""

import socketserver
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from cinelake.errors import CinelakeError, ServiceError, message_of
from cinelake.log import get_logger
from cinelake.settings import Settings
from cinelake.stack.logs import make_room_in
from cinelake.stack.ports import HOST
from cinelake.stack.state import stack_folder
from monitoring.collector import LakehouseCollector
from pipeline.analyst import look_after

LOOK_SECONDS = 60
"""How often the log files and the role `analyst` are looked at."""

log = get_logger("metrics")


def registry(settings: Callable[[], Settings]) -> CollectorRegistry:
    """The metrics of the lakehouse, computed whenever they are read.

    Args:
        settings: Gives the settings of now.
    """
    made = CollectorRegistry()
    made.register(LakehouseCollector(settings))
    return made


def open_server(settings: Callable[[], Settings], port: int) -> "_Server":
    """A server that listens on 127.0.0.1; `serve_forever` makes it answer, a thread a request.

    Args:
        settings: Gives the settings of now.
        port: The port; 0 for any that is free.

    Raises:
        ServiceError: The port is taken.
    """
    try:
        server = make_server(HOST, port, _app(settings), _Server, _QuietHandler)
        server.settings = settings
        server.logs = stack_folder(settings().home) / "logs"
    except OSError as error:
        raise ServiceError(
            f"The metrics cannot be served on port {port}: {error}.",
            "Choose another one with --port; 0 takes any that is free.",
        ) from error
    log.info("serving", url=f"http://{HOST}:{server.server_port}/metrics")
    return server


class _Server(ThreadingWSGIServer):
    """As the one process of ours that always runs, it looks after the services' log files and the role `analyst` besides."""

    settings: Callable[[], Settings]
    logs: Path
    _next_look = 0.0
    _looking = Thread()

    def service_actions(self) -> None:
        """Called twice a second by `serve_forever`."""
        super().service_actions()
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            for file in make_room_in(self.logs):
                log.info("log put aside", file=str(file))
        except OSError as error:
            log.warning("log not put aside", reason=str(error))
        # Beside the requests, as a PostgreSQL that hangs shall not keep them waiting.
        if not self._looking.is_alive():
            # With the context of this one, of which the run's id is a part.
            run = copy_context().run
            self._looking = Thread(target=run, args=(_look_after, self.settings), daemon=True)
            self._looking.start()

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, which takes seconds where DNS is slow."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])
        self.setup_environ()


def _look_after(settings: Callable[[], Settings]) -> None:
    try:
        look_after(settings())
    except CinelakeError as error:
        log.warning("the role analyst was not looked after", reason=message_of(error))


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: Prometheus asks four times a minute."""


def _app(settings: Callable[[], Settings]) -> Callable[..., Iterable[bytes]]:
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(registry(settings))

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            return metrics(environ, start_response)
        status = "200 OK" if environ["PATH_INFO"] == "/healthz" else "404 Not Found"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{status}\n".encode()]

    return app
