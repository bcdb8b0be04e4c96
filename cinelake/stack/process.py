"""Processes that outlive the one that starts them: spawned, remembered, waited for, stopped by id."""

import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import psutil
from pydantic import BaseModel, ConfigDict
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

from cinelake.errors import ServiceError
from cinelake.owner_only import UMASK
from cinelake.stack.logs import make_room

# Linux keeps start times in hundredths of a second, the moment of booting in whole seconds.
START_TOLERANCE = 1.5
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Check = Callable[[], str | None]
"""A health check: None when the service is well, else what is wrong with it."""


class ProcessRef(BaseModel):
    """A process by its id and start time, so that another one that got the same id is never taken for it."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    """Seconds between booting and the start: does not change when someone sets the clock."""
    boot: str = ""
    """Which time the machine ran, where the system tells: ids begin anew with each."""

    @classmethod
    def of(cls, pid: int) -> Self:
        """The reference to a process that runs now."""
        return cls(pid=pid, started=_started(psutil.Process(pid)), boot=_boot_id())

    def find(self) -> psutil.Process | None:
        """The process, or None when it has ended."""
        try:
            process = psutil.Process(self.pid)
            return process if self._is(process) and not has_ended(process) else None
        except psutil.NoSuchProcess:
            return None

    def session(self) -> list[psutil.Process]:
        """Who is in the session that `spawn` made for the process: also what outlived it, or whose parent has ended.

        Nobody where the system does not tell one time that it ran from another: they might be somebody else's.
        """
        if not self.boot or self.boot != _boot_id():
            return []
        # While somebody is in the session of an id, nobody else gets that id: so it is ours unless its first process is
        # another one.
        with suppress(psutil.NoSuchProcess):
            if not self._is(psutil.Process(self.pid)):
                return []
        members = [each for each in psutil.process_iter() if _session_of(each) == self.pid]
        return [each for each in members if not has_ended(each)]

    def _is(self, process: psutil.Process) -> bool:
        return abs(_started(process) - self.started) <= START_TOLERANCE

    def rss_bytes(self) -> int:
        """Resident memory of the process and its children, shared pages counted once where the system says so."""
        process = self.find()
        if process is None:
            return 0
        total = 0
        for each in [process, *process.children(recursive=True)]:
            try:
                total += _own_bytes(each)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return total


def _started(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()


def _boot_id() -> str:
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _own_bytes(process: psutil.Process) -> int:
    # PostgreSQL's processes share their buffers: plain RSS would count those once for each of them.
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.rss))


@dataclass(frozen=True)
class Launch:
    """How a service is started and stopped.

    Args:
        command: The program and its arguments.
        log: The file that takes its output.
        folder: Its working folder.
        user: The account it runs as; None for the caller's own.
        environment: Variables that come on top of the caller's.
    """

    command: Sequence[str]
    log: Path
    folder: Path
    user: str | None = None
    environment: dict[str, str] | None = None


def spawn(launch: Launch) -> ProcessRef:
    """Start a process in a session of its own, so that it stays when its parent or the terminal goes.

    Raises:
        ServiceError: The program cannot be started.
    """
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    make_room(launch.log)
    launch.log.touch(mode=0o600)
    try:
        with launch.log.open("ab") as output:
            child = subprocess.Popen(
                list(launch.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=launch.folder,
                env=os.environ | (launch.environment or {}),
                start_new_session=True,
                umask=UMASK,
                **as_user(launch.user),
            )
    except OSError as error:
        raise ServiceError(
            f"{launch.command[0]} cannot be started: {error}.",
            "Run `make install`, which puts it back; if memory ran out, stop something else first.",
        ) from error
    ref = ProcessRef.of(child.pid)
    # Nobody waits for it here: without this, Popen would complain when it is collected.
    child.returncode = 0
    return ref


def as_user(user: str | None) -> dict[str, Any]:
    """The arguments that make `subprocess` run a program as that account, with its group alone."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def stop(
    ref: ProcessRef, *, first: signal.Signals = signal.SIGTERM, patience: float = 30.0
) -> None:
    """End a process, its children, and what is left of its session: by a polite signal, after `patience` seconds by SIGKILL.

    The process ends its children in its own way. Those that it left behind, or that outlived it, are told themselves.
    """
    process = ref.find()
    children = set(_descendants(process)) if process else set()
    left_behind = set(ref.session()) - children - {process}
    family = {*children, *left_behind, *chain.from_iterable(map(_descendants, left_behind))}
    if process:
        family.add(process)
        _signal(process, first)
    for each in left_behind:
        _signal(each, signal.SIGTERM)
    left = _wait_for_end(family, patience)
    for each in left:
        _signal(each, signal.SIGKILL)
    _wait_for_end(left, 10)


def has_ended(process: psutil.Process) -> bool:
    """Whether a process runs no more, also when its parent has not asked yet how it ended.

    Some never do, as the first process of many a container; others look every few seconds.
    """
    try:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return False
    except psutil.NoSuchProcess:
        return True
    _reap(process.pid)
    return True


def _wait_for_end(processes: Collection[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended in that time."""
    retrying = Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_exponential(multiplier=0.01, max=0.1),
        retry=retry_if_result(bool),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    left: list[psutil.Process] = retrying(
        lambda: [each for each in processes if not has_ended(each)]
    )
    return left


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, sent: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(sent)


def wait_until_healthy(
    name: str, check: Check, *, ref: ProcessRef | None, log: Path | None, timeout: float = 60.0
) -> None:
    """Ask again and again until a service is well.

    Args:
        name: The service, for the error.
        check: The health check.
        ref: Its process, if it is ours: there is no point in waiting once that has ended.
        log: Its log file, quoted in the error.
        timeout: Seconds to wait.

    Raises:
        ServiceError: It ended, or was not well in time.
    """

    def attempt() -> str | None:
        if ref is not None and ref.find() is None:
            raise ServiceError(f"{name} ended while it started.\n{tail(log)}", _log_hint(log))
        return check()

    retrying = Retrying(
        stop=stop_after_delay(timeout),
        wait=wait_exponential(multiplier=0.05, max=1),
        retry=retry_if_result(lambda problem: problem is not None),
    )
    try:
        retrying(attempt)
    except RetryError as error:
        problem = error.last_attempt.result()
        raise ServiceError(
            f"{name} was not healthy within {timeout:.0f} seconds: {problem}\n{tail(log)}",
            _log_hint(log),
        ) from None


def tail(log: Path | None, lines: int = 5) -> str:
    """The last lines of a log file, for an error message."""
    if log is None or not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _log_hint(log: Path | None) -> str:
    return f"Its log is {log}." if log else ""


def _reap(pid: int) -> None:
    """Bury a child of this very process that has ended; of another parent's there is nothing to do."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
