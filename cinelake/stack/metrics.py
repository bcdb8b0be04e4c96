"""The exporter of metrics as a process, and the list of what Prometheus is to ask."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack import health
from cinelake.stack.ports import HOST
from cinelake.stack.process import Launch
from cinelake.stack.service import Service, settings_environment
from cinelake.stack.state import (
    API_PORT,
    FIELDS,
    StackState,
    explicit_api_port,
    is_external,
    load_state,
    stack_folder,
)
from cinelake.whole_file import whole_file

JOBS = {"metrics": "cinelake", "api": "cinelake-api"}
"""By the name of a port: the job of its metrics."""


def prepare(settings: Settings, state: StackState) -> Launch:
    """Say how to start the exporter."""
    return Launch(
        [
            *(str(Path(sys.executable).with_name("cinelake")), "metrics", "serve"),
            *("--port", str(state.port("metrics"))),
        ],
        log=METRICS.log(stack_folder(settings.home)),
        folder=PROJECT_ROOT,
        environment=_environment(settings),
    )


def _environment(settings: Settings) -> dict[str, str]:
    """All settings but the addresses that `stack.env` has: those are read anew from there, as ports may move."""
    ours = {name for name in FIELDS if not is_external(settings, name)}
    if explicit_api_port(settings) is None:
        ours.add(API_PORT)
    return {
        name: value for name, value in settings_environment(settings).items() if name not in ours
    }


def endpoint(settings: Settings) -> str:
    """The address of the metrics; empty when they were never served."""
    port = load_state(settings.home).ports.get("metrics")
    return f"http://{HOST}:{port}/metrics" if port else ""


def problem(settings: Settings) -> str | None:
    """What is wrong with the exporter, None when it answers."""
    return health.ask(load_state(settings.home).ports.get("metrics"), "/healthz")[1]


def write_targets(home: Path, ports: Mapping[str, int]) -> None:
    """Write what Prometheus is to ask, in the form of its `file_sd_configs`.

    Args:
        home: Below it the file is, `monitoring/targets.json`.
        ports: The ports of the stack by name.
    """
    targets = [
        {"targets": [f"{HOST}:{ports[name]}"], "labels": {"job": job}}
        for name, job in JOBS.items()
        if name in ports
    ]
    path = home / "monitoring" / "targets.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps(targets, indent=2).encode())


METRICS = Service(
    name="metrics",
    variable=None,
    ports=("metrics",),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
)
