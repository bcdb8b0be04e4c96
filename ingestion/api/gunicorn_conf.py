"""gunicorn's configuration for the events API: `gunicorn -c <this file> "ingestion.api.app:create_app()"`.

`cinelake serve` and the local stack add the address and the number of workers.
"""

from typing import Any

from cinelake.log import configure_logging, get_logger
from cinelake.settings import get_settings

worker_class = "gthread"
threads = 4
workers = get_settings().api_workers
timeout = 60
# Longer than a record may take to be acknowledged, so that a request in flight ends with an honest answer.
graceful_timeout = 30
keepalive = 30
accesslog = None
errorlog = "-"
loglevel = "warning"
pidfile = None
# The control socket would be one more file in the user's home, which nothing here uses.
control_socket_disable = True


def post_fork(server: Any, worker: Any) -> None:
    """Each worker logs as the settings say."""
    configure_logging(get_settings())


def worker_exit(server: Any, worker: Any) -> None:
    """Before a worker ends, what it publishes is acknowledged or reported."""
    # Not at the top: what the master has imported stays, and a reload (HUP) would bring up old code.
    from ingestion.api.app import close_app  # noqa: PLC0415

    app = getattr(worker, "wsgi", None)
    if app is not None:
        lost = close_app(app)
        if lost:
            get_logger("api").error("records_not_acknowledged_at_exit", records=lost)
