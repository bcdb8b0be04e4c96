"""What the stack wrote down is kept; what points elsewhere is left alone."""

from pathlib import Path
from typing import Any

import pytest

from cinelake.errors import ServiceError
from cinelake.settings import Settings, load_settings
from cinelake.stack.process import ProcessRef
from cinelake.stack.state import (
    FIELDS,
    StackState,
    explicit_api_port,
    is_external,
    load_env,
    load_state,
    save_state,
    write_env,
    write_private,
)

VARIABLES = (*FIELDS, "CINELAKE_API_PORT", "CINELAKE_PSEUDONYM_KEY", "ANALYST_PASSWORD")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def read(home: Path, **overrides: Any) -> Settings:
    return load_settings(CINELAKE_HOME=str(home), **overrides)


def test_the_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = StackState(
        ports={"kafka": 20001}, processes={"kafka": ProcessRef(pid=4, started=1234.56)}
    )
    save_state(tmp_path, state)
    assert load_state(tmp_path) == state


def test_no_state_is_an_empty_one(tmp_path: Path) -> None:
    assert load_state(tmp_path) == StackState()


def test_a_state_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_private(tmp_path / "stack" / "state.json", '{"ports": {"kafka": "ten')
    with pytest.raises(ServiceError, match=r"state\.json cannot be read"):
        load_state(tmp_path)


def test_ports_once_chosen_stay(tmp_path: Path) -> None:
    state = StackState()
    first = {name: state.port(name) for name in ("kafka", "postgres", "mongo", "api")}
    save_state(tmp_path, state)
    again = load_state(tmp_path)
    assert {name: again.port(name) for name in first} == first
    assert len(set(first.values())) == 4


def test_stack_env_is_private_and_read_by_the_settings(tmp_path: Path) -> None:
    state = StackState()
    filled = write_env(read(tmp_path), state)
    assert (tmp_path / "stack.env").stat().st_mode & 0o777 == 0o600
    assert read(tmp_path) == filled
    assert filled.kafka == f"127.0.0.1:{state.ports['kafka']}"
    assert filled.api_port == state.ports["api"]
    assert len(filled.pseudonym_secret) >= 32
    assert filled.pseudonym_secret != filled.analyst_secret


def test_passwords_and_keys_are_made_once(tmp_path: Path) -> None:
    first = write_env(read(tmp_path), StackState(ports={"postgres": 20001}))
    moved = write_env(read(tmp_path), StackState(ports={"postgres": 20002}))
    assert moved.postgres == first.postgres.replace("20001", "20002")
    assert moved.pseudonym_secret == first.pseudonym_secret
    assert moved.analyst_secret == first.analyst_secret


def test_a_key_from_the_environment_wins_and_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINELAKE_PSEUDONYM_KEY", "the-key-of-this-company")
    filled = write_env(read(tmp_path), StackState())
    assert filled.pseudonym_secret == "the-key-of-this-company"
    assert "CINELAKE_PSEUDONYM_KEY" not in load_env(tmp_path)


def test_a_service_named_in_the_environment_is_external(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://db.example/cinelake")
    filled = write_env(read(tmp_path), StackState())
    assert filled.mongo == "mongodb://db.example/cinelake"
    assert "MONGO_URI" not in load_env(tmp_path)
    assert is_external(read(tmp_path), "MONGO_URI")
    assert not is_external(read(tmp_path), "POSTGRES_URI")


def test_a_service_named_in_dotenv_is_external(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAFKA_BOOTSTRAP_SERVERS=broker.example:9092\n")
    write_env(read(tmp_path), StackState())
    assert is_external(read(tmp_path), "KAFKA_BOOTSTRAP_SERVERS")


def test_the_password_of_local_data_outlives_a_spell_with_an_external_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StackState()
    local = write_env(read(tmp_path), state).postgres
    monkeypatch.setenv("POSTGRES_URI", "postgresql://me:secret@db.example/cinelake")
    write_env(read(tmp_path), state)
    monkeypatch.delenv("POSTGRES_URI")
    assert write_env(read(tmp_path), state).postgres == local


def test_exported_endpoints_of_this_stack_are_not_external(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_env(read(tmp_path), StackState())
    for name, value in load_env(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert not any(is_external(read(tmp_path), name) for name in FIELDS)


def test_an_api_port_from_the_environment_is_the_users_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StackState()
    write_env(read(tmp_path), state)
    assert explicit_api_port(read(tmp_path)) is None
    chosen = state.ports["api"]
    monkeypatch.setenv("CINELAKE_API_PORT", "8000")
    assert explicit_api_port(read(tmp_path)) == 8000
    write_env(read(tmp_path), state)
    assert load_env(tmp_path)["CINELAKE_API_PORT"] == str(chosen)


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
