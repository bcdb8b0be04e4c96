"""What the services of the stack have in common."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from cinelake.settings import Settings
from cinelake.stack.process import Launch
from cinelake.stack.state import StackState


@dataclass(frozen=True)
class Service:
    """One service, as `kafka.py`, `postgres.py`, `mongo.py` and `api.py` describe theirs.

    Args:
        name: Its name in the state, in the logs and in `cinelake status`.
        variable: The setting that points to it; None when it is never external.
        ports: The names of its ports, none of who serves nobody; the first is the one clients use.
        prepare: Makes its folders and files and says how to start it. Safe to call again.
        endpoint: Where clients find it, without any password.
        problem: The health check: None when it is well, else what is wrong.
        stop_signal: The signal that asks it to end in good order.
    """

    name: str
    variable: str | None
    ports: tuple[str, ...]
    prepare: Callable[[Settings, StackState], Launch]
    endpoint: Callable[[Settings], str]
    problem: Callable[[Settings], str | None]
    stop_signal: signal.Signals = signal.SIGTERM

    def log(self, folder: Path) -> Path:
        """Its log file, given the stack's folder."""
        return folder / "logs" / f"{self.name}.log"


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables, so that a process that stays sees the very same ones."""
    values = settings.model_dump(by_alias=True, exclude_none=True)
    # A run's id is of one run.
    values.pop("CINELAKE_RUN_ID", None)
    # A relative one would mean another folder there.
    values["LAKE_URI"] = settings.lake_uri
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
    }
