"""gunicorn's configuration for the events API: `gunicorn -c <this file> "ingestion.api.app:create_app()"`.

`cinelake serve` and the local stack add the address and the number of workers.
"""

import gc
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from cinelake.log import configure_logging, get_logger
from cinelake.settings import get_settings
from ingestion.api.rate_limit import shared_limiter


class ErrorLogger(Logger):  # type: ignore[misc]
    """Logs what goes wrong. Requests are counted (`/metrics`): gunicorn would format a line of each for nobody."""

    def access(self, *_: Any) -> None:
        """Nothing."""


GARBAGE_THRESHOLD = 10_000
"""Objects. Those of a request go when it ends; a batch is made of so many that Python would look through it several times."""

logger_class = ErrorLogger
worker_class = "ingestion.api.worker.LingeringWorker"
# One more than the clients that may be silent or slow at once and keep nobody waiting; an idle thread costs little.
threads = 64
# A worker holds so many connections at once, most of them idle ones that are kept.
worker_connections = 1000
workers = get_settings().api_workers
timeout = 60
# Longer than a record may take to be acknowledged, so that a request in flight ends with an honest answer.
graceful_timeout = 30
keepalive = 30
errorlog = "-"
# Its warnings are of requests that are none, and quote what came: parts of bodies, too.
loglevel = "error"
# Its lines go the way of all others: to the handler that `configure_logging` gives to libraries.
logconfig_dict = {
    "root": {"level": "WARNING", "handlers": []},
    "loggers": {"gunicorn.error": {"level": "ERROR", "handlers": [], "propagate": True}},
}
# No header takes the place of what WSGI itself says. What proxies tell is read by the app, which knows how many to trust.
forwarded_allow_ips = ""
forwarder_headers = ""
header_map = "drop"
pidfile = None
# The control socket would be one more file in the user's home, which nothing here uses.
control_socket_disable = True
# Before the workers are forked, so that all of them count in the same memory.
shared_limiter()


def on_starting(server: Any) -> None:
    """The master logs as the settings say, after gunicorn has set up its own."""
    configure_logging(get_settings())


def post_fork(server: Any, worker: Any) -> None:
    """Each worker logs as the settings say, and looks for garbage after more than one request has made some."""
    configure_logging(get_settings())
    gc.set_threshold(GARBAGE_THRESHOLD)


def child_exit(server: Any, worker: Any) -> None:
    """A dead worker's gauges leave the metrics; its counters stay."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def worker_exit(server: Any, worker: Any) -> None:
    """Before a worker ends, what it publishes is acknowledged or reported."""
    # Not at the top: what the master has imported stays, and a reload (HUP) would bring up old code.
    from ingestion.api.app import close_app  # noqa: PLC0415

    app = getattr(worker, "wsgi", None)
    if app is not None:
        lost = close_app(app)
        if lost:
            get_logger("api").error("records_not_acknowledged_at_exit", records=lost)
