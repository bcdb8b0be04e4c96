"""dbt, run inside this process: its nodes' results come back as values, and a second run starts at once."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from cinelake.errors import ServiceError
from cinelake.log import file_logger, get_logger
from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack.dbt_profile import dbt_environment

log = get_logger("dbt")

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
PROFILES = DBT_PROJECT / "env_profile"

Target = Literal["dev", "next", "sandbox"]
BUILD = ("build", "--exclude-resource-type", "unit_test", "--no-write-json")
"""Models and data tests; without the artifacts, which are larger than most increments and read by nobody.

Unit tests stay out: they say of the models what does not depend on the data, and a refresh would pay for them.
"""
INCREMENT = ("--selector", "increment")
"""All but the views of staging."""
ANSI = re.compile(r"\x1b\[[0-9;]*m")
"""Colours, which dbt sets in its messages whatever they are written to."""
FAILED = frozenset({"error", "fail", "runtime error", "partial success"})


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, test, unit test or source.

    Args:
        unique_id: As dbt names it, for example `model.cinelake.dim_movie`.
        name: The last part of it.
        resource_type: `model`, `test`, `unit_test`, `source` or `exposure`.
        status: dbt's word: `success`, `pass`, `warn`, `fail`, `error`, `skipped`, `no-op`, ...
        seconds: How long it ran.
        failures: Rows a test found wrong; None for anything else.
        message: dbt's message, empty when there is none.
    """

    unique_id: str
    name: str
    resource_type: str
    status: str
    seconds: float
    failures: int | None
    message: str


@dataclass(frozen=True)
class DbtResult:
    """What one dbt command did.

    Args:
        command: Its words, for example `("build", "--full-refresh")`.
        success: Nothing failed.
        seconds: How long it took, parsing included.
        nodes: Each node that was run or skipped, in the order in which they ended.
    """

    command: tuple[str, ...]
    success: bool
    seconds: float
    nodes: tuple[NodeResult, ...]

    @property
    def failed(self) -> list[NodeResult]:
        """The nodes that failed; those that were skipped because of them are not among them."""
        return [node for node in self.nodes if node.status in FAILED]


def run_dbt(
    settings: Settings,
    args: Sequence[str],
    target: Target = "next",
    progress: Callable[[int], None] | None = None,
) -> DbtResult:
    """Run one dbt command on the project.

    Args:
        settings: Tells where PostgreSQL is, and the home, below which dbt keeps its files (`dbt/<target>`).
        args: The command and its options, for example `["build", "--full-refresh"]`.
        target: `next` works on the schema `gold_next`, `dev` on `gold` itself, `sandbox` on one of one's own.
        progress: Called with 1 after each node.

    Returns:
        What happened to each node; a failed model or test is a result, not an error.

    Raises:
        ServiceError: dbt could not do its work at all: PostgreSQL is down, or the project cannot be parsed.
    """
    # Takes seconds to load, of which a refresh without news pays none.
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    started = time.monotonic()
    with (
        _environment(dbt_environment(settings)),
        chdir(DBT_PROJECT),
        file_logger(settings, _log_file(settings, target), "dbt") as file,
    ):

        def on_event(event: Any) -> None:
            if progress and event.info.name == "NodeFinished":
                progress(1)
            _keep(file, event.info)

        outcome = dbtRunner(callbacks=[on_event]).invoke([*args, *_options(settings, target)])
    if outcome.exception is not None:
        raise ServiceError(
            f"dbt {args[0]} could not run: {outcome.exception}",
            "See whether PostgreSQL is up with `cinelake status`; the details are in"
            f" {_log_file(settings, target)}.",
        ) from outcome.exception
    result = DbtResult(
        command=tuple(args),
        success=outcome.success,
        seconds=time.monotonic() - started,
        nodes=tuple(_node(found) for found in getattr(outcome.result, "results", ())),
    )
    log.info(
        "dbt",
        command=" ".join(args),
        target=target,
        nodes=len(result.nodes),
        failed=len(result.failed),
        seconds=round(result.seconds, 2),
    )
    return result


def parse(settings: Settings) -> None:
    """Write the manifest of the project, of which Airflow's DAG takes its models.

    Raises:
        ServiceError: The project cannot be parsed.
    """
    run_dbt(settings, ["parse"])


def generate_docs(settings: Settings) -> Path:
    """Write the dbt docs of `gold` as one HTML file.

    Returns:
        The file, which needs no server and no other file.

    Raises:
        ServiceError: As for `run_dbt`, or dbt ended without the file.
    """
    page = _folder(settings, "dev") / "target" / "static_index.html"
    result = run_dbt(settings, ["docs", "generate", "--static"], target="dev")
    if not result.success or not page.is_file():
        described = "; ".join(f"{node.name}: {node.message}" for node in result.failed)
        raise ServiceError(
            f"dbt wrote no docs. {described}".strip(),
            f"The details are in {_log_file(settings, 'dev')}.",
        )
    return page


def project_digest(*patterns: str, root: Path = DBT_PROJECT) -> str:
    """A digest of the files that match, by which a change of them is known.

    Args:
        patterns: Below `root`, as `Path.glob` takes them.
        root: By default the folder of the project.
    """
    digest = hashlib.sha256()
    paths = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _log_file(settings: Settings, target: Target) -> Path:
    return _folder(settings, target) / "logs" / "dbt.log"


def _keep(file: structlog.typing.FilteringBoundLogger, info: Any) -> None:
    """Write what dbt has to say of one event, where that is more than details."""
    write = {"info": file.info, "warn": file.warning, "error": file.error}.get(info.level)
    if write and (text := ANSI.sub("", info.msg).strip()):
        write(text, name=info.name)


def _folder(settings: Settings, target: Target) -> Path:
    # One a target: dbt parses the whole project anew when it finds the state of another target.
    return settings.home / "dbt" / target


def _options(settings: Settings, target: Target) -> list[str]:
    folder = _folder(settings, target)
    return [
        # Named, as it is by Airflow: to name it or not makes a difference to dbt, which would parse the whole project anew.
        *("--profile", "cinelake"),
        *("--target", target),
        *("--project-dir", str(DBT_PROJECT)),
        *("--profiles-dir", str(PROFILES)),
        *("--target-path", str(folder / "target")),
        *("--log-path", str(folder / "logs")),
        # We write the file ourselves, as dbt's has no run id; standard output belongs to the command line.
        *("--log-level", "none", "--log-level-file", "none"),
        "--quiet",
    ]


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for dbt, which can be told its connection in no other way, and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _node(result: Any) -> NodeResult:
    return NodeResult(
        unique_id=result.node.unique_id,
        name=result.node.name,
        resource_type=str(result.node.resource_type),
        status=str(result.status),
        seconds=result.execution_time,
        failures=result.failures,
        message=(result.message or "").strip(),
    )
