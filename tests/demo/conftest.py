"""One home for the folder, in which `cinelake demo` ran once."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.browser.conftest import chromium  # noqa: F401 - the fixture, for this folder too
from tests.demo.watched_run import WatchedRun, watch
from tests.integration.conftest import CommandLine, own_home


@pytest.fixture(scope="package")
def home(reachable_folder: Path) -> Path:
    """The home of the folder's stack."""
    return reachable_folder / "demo"


@pytest.fixture(scope="package")
def lakehouse(home: Path) -> Iterator[CommandLine]:
    """The command line of the home; nothing of it runs on afterwards."""
    with own_home(home) as cinelake:
        first = cinelake.run("demo")
        summary = home / "first-demo.txt"
        summary.touch(mode=0o600)
        summary.write_text(first.stdout)
        yield cinelake
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(home) in str(p.info["cmdline"])]


@pytest.fixture(scope="package")
def watched_run(lakehouse: CommandLine, home: Path) -> WatchedRun:
    """A run of the home from its events to gold, made once."""
    return watch(lakehouse, home)
