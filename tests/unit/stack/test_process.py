"""A process is known by its id and start time; it ends when it is told to, and nobody else's ever does."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from cinelake.errors import ServiceError
from cinelake.stack.process import (
    Launch,
    ProcessRef,
    has_ended,
    spawn,
    stop,
    wait_until_healthy,
)

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def start(folder: Path, program: str) -> tuple[ProcessRef, Path]:
    log = folder / "logs" / "it.log"
    ref = spawn(Launch([sys.executable, "-c", program], log=log, folder=folder))
    return ref, log


def ready(ref: ProcessRef, log: Path) -> None:
    def check() -> str | None:
        return None if "ready" in log.read_text() else "nothing said yet"

    wait_until_healthy("it", check, ref=ref, log=log, timeout=20)


def test_a_process_has_a_session_of_its_own_and_a_private_log(tmp_path: Path) -> None:
    ref, log = start(tmp_path, SLEEP)
    try:
        ready(ref, log)
        assert os.getsid(ref.pid) == ref.pid
        assert log.stat().st_mode & 0o777 == 0o600
    finally:
        stop(ref)
    assert ref.find() is None


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ref, log = start(tmp_path, STUBBORN)
    ready(ref, log)
    stop(ref, patience=0.3)
    assert ref.find() is None
    assert not psutil.pid_exists(ref.pid)


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).wait()"
    ref, log = start(tmp_path, program)
    ready(ref, log)
    (child,) = psutil.Process(ref.pid).children()
    stop(ref, patience=0.5)
    assert has_ended(child)


def test_what_outlived_a_process_that_was_killed_is_ended_in_its_place(tmp_path: Path) -> None:
    program = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).wait()"
    )
    ref, log = start(tmp_path, program)
    ready(ref, log)
    (child,) = psutil.Process(ref.pid).children()
    os.kill(ref.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(ref.pid)], timeout=5)
    assert ref.find() is None
    assert ref.session() == [child]
    stop(ref, patience=0.5)
    assert has_ended(child)
    assert ref.session() == []


def test_nobody_is_ended_for_a_process_of_before_the_machine_was_booted(tmp_path: Path) -> None:
    ref, log = start(tmp_path, SLEEP)
    ready(ref, log)
    assert ref.session() == [psutil.Process(ref.pid)]
    assert ref.model_copy(update={"boot": "another"}).session() == []
    stop(ref)


def test_what_a_process_left_behind_is_told_to_end_by_itself(tmp_path: Path) -> None:
    # A grandchild whose parent has ended is nobody's child any more.
    start_it = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    program = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {start_it!r}]); time.sleep(60)"
    ref, log = start(tmp_path, program)
    ready(ref, log)
    assert psutil.Process(ref.pid).children(recursive=True) == []
    (left,) = set(ref.session()) - {psutil.Process(ref.pid)}
    stop(ref)
    assert ref.find() is None
    assert has_ended(left)


def test_who_has_ended_is_not_waited_for_though_its_parent_never_asks(tmp_path: Path) -> None:
    alone = "subprocess.Popen([sys.executable, '-c', {!r}], start_new_session=True)"
    program = f"import subprocess, sys, time; {alone.format(SLEEP)}; time.sleep(20)"
    parent, log = start(tmp_path, program)
    ready(parent, log)
    (child,) = psutil.Process(parent.pid).children()
    ref = ProcessRef.of(child.pid)
    # It ends at the first signal, and stays a zombie until its parent ends.
    stop(ref, patience=60)
    assert child.status() == psutil.STATUS_ZOMBIE
    assert parent.find() is not None
    assert ref.find() is None
    assert ref.session() == []
    stop(parent)


def test_another_process_with_a_recycled_id_is_never_stopped(tmp_path: Path) -> None:
    ref, log = start(tmp_path, SLEEP)
    try:
        ready(ref, log)
        remembered = ProcessRef(pid=ref.pid, started=ref.started - 60)
        assert remembered.find() is None
        stop(remembered, patience=0.1)
        assert ref.find() is not None
    finally:
        stop(ref)


def test_a_killed_child_that_nobody_waited_for_counts_as_ended(tmp_path: Path) -> None:
    ref, log = start(tmp_path, SLEEP)
    ready(ref, log)
    os.kill(ref.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(ref.pid)], timeout=5)
    assert ref.find() is None
    assert ref.rss_bytes() == 0


def test_waiting_ends_at_once_when_the_process_has_ended_and_quotes_its_log(tmp_path: Path) -> None:
    ref, log = start(tmp_path, "raise SystemExit('no room on the disk')")
    with pytest.raises(ServiceError, match="no room on the disk") as caught:
        wait_until_healthy("it", lambda: "not yet", ref=ref, log=log, timeout=20)
    assert str(log) in caught.value.hint


def test_waiting_too_long_says_what_was_wrong() -> None:
    with pytest.raises(ServiceError, match="not healthy within 0 seconds: still asleep"):
        wait_until_healthy("it", lambda: "still asleep", ref=None, log=None, timeout=0.2)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    launch = Launch(["/nowhere/server"], log=tmp_path / "it.log", folder=tmp_path)
    with pytest.raises(ServiceError, match="/nowhere/server cannot be started"):
        spawn(launch)
