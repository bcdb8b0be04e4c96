"""The real stack, started once a session by the project itself, and the command line as a user has it."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import copy_context
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import psycopg
import pytest
import structlog

from cinelake import cli
from cinelake.settings import Settings, get_settings, load_settings
from cinelake.stack import local
from cinelake.stack.postgres import analyst_uri, bootstrap, psql_binary
from lakehouse.publish import ensure_tables
from pipeline.dbt import run_dbt
from pipeline.stack import bring_up
from tests.integration.behaviour import Behaviour, generate, write
from tests.integration.silver_writer import Silver


@pytest.fixture(scope="session")
def stack(reachable_folder: Path) -> Iterator[Settings]:
    """Settings of a running Kafka, PostgreSQL, MongoDB and API in a home of the tests' own."""
    home = reachable_folder / "home"
    places = {
        "CINELAKE_HOME": str(home),
        "DBT_PROFILES_DIR": str(reachable_folder / "dbt-profile"),
    }
    yield bring_up(load_settings(**places))
    local.down(load_settings(**places))


@contextmanager
def own_database(stack: Settings, folder: Path) -> Iterator[Settings]:
    """The running stack, with a database and a lake folder of one's own.

    The database has a name that one before it had, if it can: dbt reads the whole project anew for a name it does not know.
    """
    with psycopg.connect(stack.postgres, autocommit=True) as connection:
        taken = {name for (name,) in connection.execute("select datname from pg_database")}
        name = next(name for number in count(1) if (name := f"test_{number}") not in taken)
        connection.execute(f"create database {name}".encode())
    own = stack.model_copy(
        update={
            "postgres_uri": stack.postgres.rsplit("/", 1)[0] + f"/{name}",
            "lake": str(folder / "lake"),
        }
    )
    bootstrap(own)
    yield own
    with psycopg.connect(stack.postgres, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def settings(stack: Settings, tmp_path: Path) -> Iterator[Settings]:
    """The running stack, with a database and a lake folder of the test's own."""
    with own_database(stack, tmp_path) as own:
        yield own


@pytest.fixture(scope="session")
def behaviour(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behaviour]:
    """Generated behaviour, of which `gold` is built; for tests that only read."""
    with own_database(stack, tmp_path_factory.mktemp("behaviour")) as own:
        ensure_tables(own)
        generated = generate(own)
        with psycopg.connect(own.postgres, autocommit=True) as connection:
            write(Silver(connection), generated)
        built = run_dbt(own, ["run"], target="dev")
        assert built.success, built.failed
        yield generated


@pytest.fixture
def postgres_uri(settings: Settings) -> str:
    """The owner's connection to a bootstrapped database of the test's own."""
    return settings.postgres


@pytest.fixture
def silver(settings: Settings) -> Iterator[Silver]:
    """Silver in PostgreSQL, empty, and a writer of it."""
    ensure_tables(settings)
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        yield Silver(connection)


@dataclass(frozen=True)
class CommandLine:
    """The installed `cinelake` command, on the tests' stack."""

    environment: dict[str, str]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command; its output is in the failure message when it fails and `check` is on."""
        command = [str(Path(sys.executable).with_name("cinelake")), *arguments]
        done = subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            # What most accounts have.
            umask=0o022,
        )
        return _ended_well(done) if check else done

    def here(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """As `run`, inside this process: for a command whose start is not what is tested.

        A stage then finds a session of Spark that is warm, where the test asks for the fixture `spark`.
        """
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(stdout),
            redirect_stderr(stderr),
        ):
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["cinelake", *arguments])
            # A command may set its own of both.
            on_end, umask = signal.getsignal(signal.SIGTERM), os.umask(0o022)
            get_settings.cache_clear()
            # A context of its own, as the command binds the id of its run.
            code = copy_context().run(_exit_code, cli.main)
            signal.signal(signal.SIGTERM, on_end)
            os.umask(umask)
        get_settings.cache_clear()
        structlog.reset_defaults()
        done = subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())
        return _ended_well(done) if check else done

    def python(self, script: Path) -> subprocess.CompletedProcess[str]:
        """Run a script of the test's own as the command line would run, and insist that it ends well."""
        return subprocess.run(
            [sys.executable, str(script)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )

    def sql(self, query: str) -> list[list[str]]:
        """Rows of a query that the analyst asks, as text."""
        settings = load_settings(CINELAKE_HOME=self.environment["CINELAKE_HOME"])
        command = [str(psql_binary()), analyst_uri(settings), "-XAtF", "\t", "-c", query]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return [line.split("\t") for line in _ended_well(done).stdout.splitlines()]

    def new_key(self) -> str:
        """A key of its own, as `cinelake keys create` prints it."""
        return self.here("keys", "create", f"test {uuid4()}").stdout.splitlines()[-1]

    def status(self) -> dict[str, Any]:
        """What `cinelake status --json` prints."""
        status: dict[str, Any] = json.loads(self.here("status", "--json").stdout)
        return status


def _ended_well(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, f"{done.args}\n{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
    return done


def _exit_code(main: Callable[[], None]) -> int:
    """What a process that runs `main` would end with."""
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def command_line(home: Path) -> CommandLine:
    """The command line of a home, whether or not its stack runs yet."""
    return CommandLine(
        os.environ
        | {
            "CINELAKE_HOME": str(home),
            "DBT_PROFILES_DIR": str(home.with_name(f"{home.name}-dbt-profile")),
        }
    )


def open_to_others(home: Path) -> list[str]:
    """What of a home others than its owner may read or change, with its mode."""
    paths = [home, *home.rglob("*")]
    modes = {path: path.lstat().st_mode for path in paths if not path.is_symlink()}
    return [f"{stat.filemode(mode)} {path}" for path, mode in modes.items() if mode & 0o066]


def not_installed(missing: str) -> NoReturn:
    """Skip for lack of something; where everything is meant to be installed, a gap is a failure."""
    pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@contextmanager
def own_home(home: Path) -> Iterator[CommandLine]:
    """The command line of a home; whatever was started in it is stopped at the end."""
    cinelake = command_line(home)
    try:
        yield cinelake
    finally:
        cinelake.run("down")
