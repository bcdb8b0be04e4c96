"""PostgreSQL never runs as root, and no password shows where it should not."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cinelake.commands import stack
from cinelake.errors import SettingError
from cinelake.owner_only import close
from cinelake.settings import Settings, load_settings
from cinelake.stack import postgres
from cinelake.stack.process import as_user

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses an account")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder everyone can enter: pytest's own are for their owner alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        CINELAKE_HOME=str(tmp_path),
        POSTGRES_URI="postgresql://boss:p%40ss@db.example:6543/films?sslmode=require",
        ANALYST_PASSWORD="a/b c@d:e",
    )


def test_the_endpoint_shows_no_password(settings: Settings) -> None:
    assert (
        postgres.endpoint(settings) == "postgresql://analyst@db.example:6543/films?sslmode=require"
    )


def test_the_analyst_has_a_connection_of_its_own(settings: Settings) -> None:
    assert (
        postgres.analyst_uri(settings)
        == "postgresql://analyst:a%2Fb%20c%40d%3Ae@db.example:6543/films?sslmode=require"
    )


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://boss:s3cret@db.example:6543/films",
        "postgresql://db.example:6543/films?user=boss&password=s3cret",
        "postgresql://boss@db.example:6543/films?sslpassword=s3cret&passfile=/s3cret",
    ],
)
def test_psql_gets_the_password_as_a_variable(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    started: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *arguments: started.extend(arguments))
    monkeypatch.setattr(
        stack, "get_settings", lambda: settings.model_copy(update={"postgres_uri": address})
    )
    stack.sql(["-Atc", "select 1"])
    _, arguments, environment = started
    assert arguments[1:] == ["postgresql://analyst@db.example:6543/films", "-Atc", "select 1"]
    assert environment["PGPASSWORD"] == settings.analyst_secret


def test_psql_reads_personal_data_as_the_role_that_may(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *arguments: started.extend(arguments))
    monkeypatch.setattr(stack, "get_settings", lambda: settings)
    with pytest.raises(SettingError, match="ANALYST_PII_PASSWORD is not set"):
        stack.sql([], pii=True)
    secret = SecretStr("of those who may")
    known = settings.model_copy(update={"analyst_pii_password": secret})
    monkeypatch.setattr(stack, "get_settings", lambda: known)
    stack.sql([], pii=True)
    _, arguments, environment = started
    assert arguments[1].startswith("postgresql://analyst_pii@db.example")
    assert environment["PGPASSWORD"] == "of those who may"


def test_psql_is_there() -> None:
    assert os.access(postgres.psql_binary(), os.X_OK)


@as_root
def test_root_runs_it_as_an_unprivileged_account(tmp_path: Path) -> None:
    assert postgres.account(tmp_path / "data") in postgres.UNPRIVILEGED


@as_root
def test_root_runs_it_as_the_account_that_owns_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 1, -1)
    assert postgres.account(data) == "daemon"


@as_root
def test_a_folder_the_account_cannot_enter_is_named(open_folder: Path) -> None:
    closed = open_folder / "closed"
    inside = closed / "stack" / "postgres"
    inside.mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(SettingError, match=f"cannot enter {closed}\\.") as caught:
        postgres._check_reachable("nobody", inside)
    assert f"chmod o+x {closed}" in caught.value.hint
    closed.chmod(0o711)
    postgres._check_reachable("nobody", inside)


@as_root
def test_the_account_passes_through_a_closed_home_and_sees_nothing_of_it(open_folder: Path) -> None:
    home = open_folder / "home"
    folder = home / "stack" / "postgres"
    folder.mkdir(parents=True)
    (home / "lake").mkdir()
    close(home, postgres.passages(home))
    postgres._check_reachable("nobody", folder)
    for command in (["ls", home], ["ls", folder], ["ls", home / "lake"]):
        done = subprocess.run(command, **as_user("nobody"), capture_output=True, check=False)
        assert done.returncode != 0


def test_the_lock_of_a_killed_server_is_cleared_away_even_if_its_number_is_taken(
    tmp_path: Path,
) -> None:
    lock = tmp_path / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n")
    postgres._clear_stale_lock(tmp_path)
    assert not lock.exists()
