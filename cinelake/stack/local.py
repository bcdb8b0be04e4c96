"""Start, stop and look at the local stack. What the environment or `.env` points elsewhere is only checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cinelake.errors import ServiceError
from cinelake.log import get_logger
from cinelake.owner_only import close
from cinelake.settings import Settings
from cinelake.stack import ports, process
from cinelake.stack.airflow import AIRFLOW
from cinelake.stack.analyst import Change
from cinelake.stack.api import API
from cinelake.stack.dbt_profile import write_dbt_profile
from cinelake.stack.kafka import KAFKA
from cinelake.stack.lock import file_lock
from cinelake.stack.metrics import METRICS, write_targets
from cinelake.stack.mongo import MONGO
from cinelake.stack.postgres import POSTGRES, bootstrap, passages
from cinelake.stack.raw_backup import RAW_BACKUP
from cinelake.stack.service import Service
from cinelake.stack.site import SITE
from cinelake.stack.state import (
    FIELDS,
    StackState,
    explicit_api_port,
    is_external,
    load_state,
    save_state,
    stack_folder,
    write_env,
)
from cinelake.stack.streams import STREAMS

STORES = (KAFKA, POSTGRES, MONGO)
FRONTS = (API, SITE, METRICS, RAW_BACKUP)
SERVICES = (*STORES, *FRONTS)
"""In the order they are started; `progress` of `up` counts them."""
ON_DEMAND = (*STREAMS.values(), AIRFLOW)
"""What runs only when it was asked for."""

START_SECONDS = 240.0
EXTERNAL_SECONDS = 15.0

Progress = Callable[[int], None]

_log = get_logger("stack")


@dataclass(frozen=True)
class ServiceStatus:
    """How one service is.

    Args:
        endpoint: Where clients find it, without a password; empty when it was never started.
        external: Whether it is somebody else's to start and stop.
        healthy: Whether it answered.
        problem: What is wrong with it; empty when it is healthy.
        pid: Its process, None when it does not run here.
        rss_bytes: Memory of its process and their children.
    """

    endpoint: str
    external: bool
    healthy: bool
    problem: str
    pid: int | None
    rss_bytes: int


def up(
    settings: Settings,
    progress: Progress = lambda _: None,
    *,
    with_api: bool = True,
    stores: Sequence[Service] = STORES,
    tell_changes: Callable[[list[Change]], None] = lambda _: None,
) -> StackState:
    """Start what does not run, and wait until all of it is well. Safe to call again, at any time.

    Ports, once chosen, stay; `stack.env` and dbt's profile are brought up to date. What other accounts may read of the
    home, of an older version or by hand, is closed to them. In PostgreSQL the
    roles and schemas are made, on an external server too.

    Args:
        settings: Where the stack lives. Its endpoints may be stale afterwards: read the settings anew.
        progress: Called with 1 whenever a service is well.
        with_api: False leaves the events API, and whatever else stands before the stores, alone.
        stores: Those that are needed.
        tell_changes: Called with what of the analysts' roles somebody had changed in PostgreSQL; it is put back.

    Returns:
        The ports and processes.

    Raises:
        SettingError: Java or an account for PostgreSQL is missing, or a folder is closed to it.
        ServiceError: A service did not start, or an external one does not answer.
    """
    with file_lock(_lock(settings)):
        close(settings.home, passages(settings.home))
        state = load_state(settings.home)
        # Before stack.env changes: what is external is told by comparing with it.
        local = [each for each in stores if not _is_external(settings, each)]
        moved = _settle_ports(settings, state, local)
        filled = write_env(settings, state)
        fresh = {each.name for each in local if _launch(each, filled, state)}
        for each in stores:
            _wait(each, filled, state, local=each in local, fresh=each.name in fresh)
            if each is POSTGRES:
                tell_changes(bootstrap(filled))
                write_dbt_profile(filled)
            progress(1)
        if moved:
            # They know the old addresses.
            _stop(API, filled, state)
            _stop(RAW_BACKUP, filled, state)
        launched = []
        # Side by side, as each needs seconds to start.
        for each in FRONTS if with_api else ():
            filled, is_new = _launch_front(each, filled, state)
            launched.append((each, is_new))
        for each, is_new in launched:
            _wait(each, filled, state, local=True, fresh=is_new)
            progress(1)
        return state


def start_api(settings: Settings) -> str:
    """Start the events API, if it does not run, and wait until it is well.

    Returns:
        Its address.

    Raises:
        ServiceError: It did not start, or the port that `CINELAKE_API_PORT` names is taken.
    """
    with file_lock(_lock(settings)):
        return _start_front(API, settings, load_state(settings.home))


def start_airflow(settings: Settings) -> str:
    """Start Airflow, if it does not run, and wait until its components are well. The stores have to be up.

    Returns:
        Its address.

    Raises:
        SettingError: Its environment is not installed.
        ServiceError: It did not start.
    """
    with file_lock(_lock(settings)):
        return _start_front(AIRFLOW, settings, load_state(settings.home))


def start_streams(settings: Settings) -> None:
    """Start the streaming daemons that do not run."""
    with file_lock(_lock(settings)):
        state = load_state(settings.home)
        for each in STREAMS.values():
            _launch(each, settings, state)


def stop_streams(settings: Settings) -> None:
    """Stop the streaming daemons; what they have not taken, the next one or a refresh takes."""
    with file_lock(_lock(settings)):
        state = load_state(settings.home)
        for each in reversed(STREAMS.values()):
            _stop(each, settings, state)


def revive_streams(settings: Settings) -> list[str]:
    """Start again the streaming daemons that were started and have ended by themselves.

    Returns:
        The stages whose daemon was started again.
    """
    with file_lock(_lock(settings)):
        state = load_state(settings.home)
        return [
            stage
            for stage, each in STREAMS.items()
            if each.name in state.processes and _launch(each, settings, state)
        ]


def is_streaming(settings: Settings, stage: str) -> bool:
    """Whether a daemon of this home runs that stage."""
    return load_state(settings.home).running(STREAMS[stage].name) is not None


def stop_airflow(settings: Settings) -> None:
    """Stop Airflow and the tasks that it runs; what they have not done, a later run does."""
    with file_lock(_lock(settings)):
        _stop(AIRFLOW, settings, load_state(settings.home))


def down(settings: Settings) -> None:
    """Stop every process of the stack, the last started first. Data, ports and passwords stay."""
    if not stack_folder(settings.home).exists():
        return
    with file_lock(_lock(settings)):
        state = load_state(settings.home)
        for each in reversed((*SERVICES, *ON_DEMAND)):
            _stop(each, settings, state)


def status(settings: Settings) -> dict[str, ServiceStatus]:
    """Ask every service how it is, by name; Airflow and the streaming daemons only if they were started."""
    state = load_state(settings.home)
    return {each.name: _status(each, settings, state) for each in (*SERVICES, *_started(state))}


def problems(settings: Settings) -> dict[str, str]:
    """What is wrong with each service, by name; empty where nothing is. Cheaper than `status`, and without the exporter.

    The exporter is who asks.
    """
    state = load_state(settings.home)
    asked = [each for each in (*SERVICES, *_started(state)) if each is not METRICS]
    return {each.name: _problem(each, settings, state) or "" for each in asked}


def _started(state: StackState) -> list[Service]:
    return [each for each in ON_DEMAND if each.name in state.processes]


def _problem(service: Service, settings: Settings, state: StackState) -> str | None:
    is_there = _is_external(settings, service) or state.running(service.name)
    if not (is_there and _is_known(settings, service)):
        return "it does not run"
    return service.problem(settings)


def _status(service: Service, settings: Settings, state: StackState) -> ServiceStatus:
    external = _is_external(settings, service)
    ref = None if external else state.running(service.name)
    problem = _problem(service, settings, state)
    return ServiceStatus(
        endpoint=service.endpoint(settings) if _is_known(settings, service) else "",
        external=external,
        healthy=problem is None,
        problem=problem or "",
        pid=ref.pid if ref else None,
        rss_bytes=ref.rss_bytes() if ref else 0,
    )


def _start_front(service: Service, settings: Settings, state: StackState) -> str:
    """Start a service that stands before the stores, and wait until it is well; its address."""
    filled, fresh = _launch_front(service, settings, state)
    _wait(service, filled, state, local=True, fresh=fresh)
    return service.endpoint(filled)


def _launch_front(service: Service, settings: Settings, state: StackState) -> tuple[Settings, bool]:
    """Start a service that stands before the stores, unless it runs.

    Returns:
        The settings that lead to it, and whether it was started now. Those that were given are stale: compared with
        `stack.env`, which has changed, they would look as if somebody had set them.
    """
    wanted = explicit_api_port(settings) if service is API else None
    if wanted is not None and state.ports.get("api") != wanted:
        _stop(API, settings, state)
        state.ports["api"] = wanted
    _settle_ports(settings, state, (service,))
    filled = write_env(settings, state)
    return filled, _launch(service, filled, state)


def _settle_ports(settings: Settings, state: StackState, services: Sequence[Service]) -> bool:
    """Give every service its ports: those it had, unless another program took one of them.

    Returns:
        Whether clients find one of the services elsewhere than before.
    """
    moved = False
    for service in services:
        if state.running(service.name):
            continue
        for name in service.ports:
            before = state.ports.get(name)
            if before is None or ports.becomes_free(before):
                state.port(name)
                continue
            if name == "api" and explicit_api_port(settings) is not None:
                raise ServiceError(
                    f"Port {before} of CINELAKE_API_PORT is taken by another program.",
                    "Stop that, or choose another port.",
                )
            del state.ports[name]
            _log.warning("port taken, moved", service=name, was=before, now=state.port(name))
            moved = True
    save_state(settings.home, state)
    return moved


def _launch(service: Service, settings: Settings, state: StackState) -> bool:
    """Start a service unless it runs; True when it was started now."""
    if state.running(service.name):
        return False
    if service.name in state.processes:
        # It was killed: whatever of it outlived it would hold its ports, or work beside the new one.
        process.stop(state.processes[service.name])
    launch = service.prepare(settings, state)
    ref = process.spawn(launch)
    # At once, so that the process is found again should this one be killed while it waits.
    state.processes[service.name] = ref
    save_state(settings.home, state)
    write_targets(settings.home, state.ports)
    _log.info("started", service=service.name, pid=ref.pid, log=str(launch.log))
    return True


def _wait(
    service: Service, settings: Settings, state: StackState, *, local: bool, fresh: bool
) -> None:
    if not local:
        _check_external(service, settings)
        return
    try:
        _wait_local(service, settings, state)
    except ServiceError as error:
        if fresh:
            raise
        _log.warning("runs but is not well, starting it anew", service=service.name, why=str(error))
        _stop(service, settings, state)
        _launch(service, settings, state)
        _wait_local(service, settings, state)


def _wait_local(service: Service, settings: Settings, state: StackState) -> None:
    process.wait_until_healthy(
        service.name,
        lambda: service.problem(settings),
        ref=state.processes[service.name],
        log=service.log(stack_folder(settings.home)),
        timeout=START_SECONDS,
    )


def _check_external(service: Service, settings: Settings) -> None:
    try:
        process.wait_until_healthy(
            service.name,
            lambda: service.problem(settings),
            ref=None,
            log=None,
            timeout=EXTERNAL_SECONDS,
        )
    except ServiceError as error:
        raise ServiceError(
            error.message,
            f"{service.variable} in the environment or in .env points there; start that server, "
            "correct the variable, or remove it to have `cinelake up` start one here.",
        ) from None


def _stop(service: Service, settings: Settings, state: StackState) -> None:
    ref = state.processes.pop(service.name, None)
    if ref is not None:
        process.stop(ref, first=service.stop_signal)
        _log.info("stopped", service=service.name, pid=ref.pid)
    save_state(settings.home, state)


def _is_external(settings: Settings, service: Service) -> bool:
    return service.variable is not None and is_external(settings, service.variable)


def _is_known(settings: Settings, service: Service) -> bool:
    if service.variable is None:
        return service.endpoint(settings) != ""
    return getattr(settings, FIELDS[service.variable]) is not None


def _lock(settings: Settings) -> Path:
    return stack_folder(settings.home) / "lock"
