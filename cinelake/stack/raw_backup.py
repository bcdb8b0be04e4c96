"""The raw backup as a process: `cinelake backup --follow`, which copies accepted events from Kafka to MongoDB as they come."""

import sys
from pathlib import Path

from cinelake.errors import SettingError
from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack import mongo
from cinelake.stack.process import Launch
from cinelake.stack.service import Service, settings_environment
from cinelake.stack.state import StackState, load_state, stack_folder


def prepare(settings: Settings, state: StackState) -> Launch:
    """Say how to start it."""
    return Launch(
        [str(Path(sys.executable).with_name("cinelake")), "backup", "--follow"],
        log=RAW_BACKUP.log(stack_folder(settings.home)),
        folder=PROJECT_ROOT,
        environment=settings_environment(settings),
    )


def endpoint(settings: Settings) -> str:
    """Where it copies to, without user and password; empty while nobody knows."""
    try:
        return mongo.endpoint(settings)
    except SettingError:
        return ""


def problem(settings: Settings) -> str | None:
    """Whether its process has ended; how far behind it is, its metrics tell."""
    return None if load_state(settings.home).running(RAW_BACKUP.name) else "its process has ended"


RAW_BACKUP = Service(
    name="backup",
    variable=None,
    ports=(),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
)
