"""The events API as a process: gunicorn in front of `ingestion.api.app`."""

import shutil
import sys

from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack import health
from cinelake.stack.ports import HOST
from cinelake.stack.process import Launch
from cinelake.stack.service import Service, settings_environment
from cinelake.stack.state import StackState, stack_folder

APP = "ingestion.api.app:create_app()"
CONFIG = PROJECT_ROOT / "ingestion" / "api" / "gunicorn_conf.py"


def command(settings: Settings, port: int) -> list[str]:
    """The command line that serves the API on that loopback port."""
    return [
        *(sys.executable, "-m", "gunicorn", APP),
        *("--config", str(CONFIG), "--bind", f"{HOST}:{port}"),
        *("--workers", str(settings.api_workers)),
    ]


def prepare(settings: Settings, state: StackState) -> Launch:
    """Say how to start the API."""
    stack = stack_folder(settings.home)
    metrics = stack / "api-metrics"
    # Numbers of workers that ended long ago would be added to those of today's.
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True)
    return Launch(
        command(settings, state.port("api")),
        log=API.log(stack),
        # Where Python finds the packages, whether they are installed or not.
        folder=PROJECT_ROOT,
        environment=settings_environment(settings) | {"PROMETHEUS_MULTIPROC_DIR": str(metrics)},
    )


def endpoint(settings: Settings) -> str:
    """The address of the API; empty when it was never started."""
    return f"http://{HOST}:{settings.api_port}" if settings.api_port else ""


def problem(settings: Settings) -> str | None:
    """What is wrong with the API, None when its health check answers 200."""
    return health.ask(settings.api_port, "/healthz")[1]


API = Service(
    name="api",
    variable=None,
    ports=("api",),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
)
