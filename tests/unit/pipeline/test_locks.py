"""Two processes are never in one stage at the same time; different stages do not wait for each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cinelake.errors import ServiceError
from cinelake.settings import load_settings
from pipeline import locks
from pipeline.locks import only_one

HOLDER = """
import sys
from cinelake.settings import load_settings
from pipeline.locks import only_one

with only_one(load_settings(), "silver"):
    print("inside", flush=True)
    sys.stdin.readline()
print("outside", flush=True)
"""


def test_a_second_process_waits_then_is_refused_then_gets_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(CINELAKE_HOME=str(tmp_path))
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.3)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=os.environ | {"CINELAKE_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "inside\n"
        with (
            pytest.raises(ServiceError, match=r"locks/silver") as caught,
            only_one(settings, "silver"),
        ):
            pytest.fail("both are in the stage")
        assert caught.value.exit_code == 5
        with only_one(settings, "bronze"):
            pass
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "outside\n"
    with only_one(settings, "silver"):
        pass


def test_two_homes_have_locks_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.3)
    one, other = (load_settings(CINELAKE_HOME=str(tmp_path / name)) for name in ("one", "other"))
    with only_one(one, "gold"), only_one(other, "gold"):
        pass
