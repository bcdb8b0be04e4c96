"""What the stack remembers: ports and processes in `stack/state.json`, endpoints and secrets in `stack.env`."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr, ValidationError

from cinelake.errors import ServiceError
from cinelake.settings import Settings, new_api_key
from cinelake.stack import ports
from cinelake.stack.process import ProcessRef

OWNER = DATABASE = "cinelake"

FIELDS = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka_bootstrap_servers",
    "POSTGRES_URI": "postgres_uri",
    "MONGO_URI": "mongo_uri",
}
"""The endpoint variables and the fields of `Settings` that hold them."""

SECRETS = {
    "CINELAKE_PSEUDONYM_KEY": "pseudonym_key",
    "ANALYST_PASSWORD": "analyst_password",
    "CINELAKE_API_KEY": "api_key",
}
"""The variables that are made up when nobody sets them, and the fields of `Settings` that hold them."""
MADE_UP: dict[str, Callable[[], str]] = {
    "CINELAKE_PSEUDONYM_KEY": lambda: secrets.token_urlsafe(24),
    "ANALYST_PASSWORD": lambda: secrets.token_urlsafe(24),
    "CINELAKE_API_KEY": new_api_key,
}

API_PORT = "CINELAKE_API_PORT"


class StackState(BaseModel):
    """The ports and processes of one stack."""

    ports: dict[str, int] = {}
    processes: dict[str, ProcessRef] = {}

    def port(self, name: str) -> int:
        """The port of that name, chosen now if there is none yet."""
        if name not in self.ports:
            self.ports[name] = ports.choose(self.ports.values())
        return self.ports[name]

    def running(self, name: str) -> ProcessRef | None:
        """The process of a service, or None when it has ended or was never started."""
        ref = self.processes.get(name)
        return ref if ref is not None and ref.find() is not None else None


def stack_folder(home: Path) -> Path:
    """Where the local services keep their data, logs and state."""
    return home / "stack"


def load_state(home: Path) -> StackState:
    """Read the state; an empty one when there is none.

    Raises:
        ServiceError: The file is not what this program writes.
    """
    path = stack_folder(home) / "state.json"
    try:
        return StackState.model_validate_json(path.read_text())
    except FileNotFoundError:
        return StackState()
    except (OSError, ValidationError) as error:
        raise ServiceError(
            f"{path} cannot be read: {error}",
            "Stop the stack's processes by hand, delete that file and run `cinelake up`.",
        ) from error


def save_state(home: Path, state: StackState) -> None:
    """Write the state, whole or not at all."""
    write_private(stack_folder(home) / "state.json", state.model_dump_json(indent=2) + "\n")


def load_env(home: Path) -> dict[str, str]:
    """What `stack.env` says; nothing when it is not there."""
    values = dotenv_values(home / "stack.env", interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def is_external(settings: Settings, variable: str) -> bool:
    """Whether the environment or `.env` points that service elsewhere than `stack.env` does."""
    value = getattr(settings, FIELDS[variable])
    return value is not None and value != load_env(settings.home).get(variable)


def explicit_api_port(settings: Settings) -> int | None:
    """The API's port if the environment or `.env` names one; None when the stack may choose it."""
    port = settings.api_port
    chosen = load_env(settings.home).get(API_PORT)
    return port if port is not None and str(port) != chosen else None


def write_env(settings: Settings, state: StackState) -> Settings:
    """Bring `stack.env` up to date with the ports. Passwords and keys that are in it stay as they are.

    Returns:
        The settings with the endpoints and secrets of the local stack filled in.
    """
    before = load_env(settings.home)
    external = {name for name in FIELDS if is_external(settings, name)}
    ours = _endpoints(state, before) | _secrets(settings, before)
    port = explicit_api_port(settings)
    unlisted = external | ({API_PORT} if port is not None else set())
    # What was local once stays written down: the password of its data is in there.
    kept = {name: value for name, value in ours.items() if name not in unlisted}
    kept |= {name: value for name, value in before.items() if name in unlisted}
    write_private(settings.home / "stack.env", _dotenv(kept))
    update: dict[str, object] = {
        field: ours[name] for name, field in FIELDS.items() if name not in external
    }
    update["api_port"] = port or state.port("api")
    for name, field in SECRETS.items():
        if getattr(settings, field) is None:
            update[field] = SecretStr(ours[name])
    return settings.model_copy(update=update)


def _endpoints(state: StackState, before: dict[str, str]) -> dict[str, str]:
    password = urlsplit(before.get("POSTGRES_URI", "")).password or secrets.token_urlsafe(24)
    postgres = f"{ports.HOST}:{state.port('postgres')}"
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"{ports.HOST}:{state.port('kafka')}",
        "POSTGRES_URI": f"postgresql://{OWNER}:{password}@{postgres}/{DATABASE}",
        "MONGO_URI": f"mongodb://{ports.HOST}:{state.port('mongo')}/{DATABASE}",
        API_PORT: str(state.port("api")),
    }


def _secrets(settings: Settings, before: dict[str, str]) -> dict[str, str]:
    return {
        name: before.get(name) or MADE_UP[name]()
        for name, field in SECRETS.items()
        if name in before or getattr(settings, field) is None
    }


def _dotenv(values: dict[str, str]) -> str:
    lines = [f"{name}={value}" for name, value in sorted(values.items())]
    return "\n".join(
        ["# Written by `cinelake up`; .env and the environment win over it.", *lines, ""]
    )


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
