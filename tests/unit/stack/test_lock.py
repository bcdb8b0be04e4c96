"""Two of us never work on one stack at the same time, and a dead one holds nobody up."""

import subprocess
import sys
from pathlib import Path

import pytest

from cinelake.errors import ServiceError
from cinelake.stack.lock import file_lock


def test_a_second_holder_is_refused_after_its_patience(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "lock"
    with (
        file_lock(lock),
        pytest.raises(ServiceError, match="Another process has held"),
        file_lock(lock, patience=0.3),
    ):
        pytest.fail("both hold the lock")


def test_the_lock_is_free_again_after_the_block_even_if_that_failed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with pytest.raises(ValueError, match="inside"), file_lock(lock):
        raise ValueError("inside")
    with file_lock(lock, patience=0.1):
        pass


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    program = (
        "import sys, time; from pathlib import Path; from cinelake.stack.lock import file_lock\n"
        "with file_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ServiceError), file_lock(lock, patience=0.2):
            pytest.fail("both hold the lock")
        holder.kill()
    with file_lock(lock, patience=5):
        pass
