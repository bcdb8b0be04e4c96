"""One process at a time in each stage: two would write to the same checkpoint or build the same schema."""

from contextlib import AbstractContextManager

from cinelake.settings import Settings
from cinelake.stack.lock import file_lock

PATIENCE_SECONDS = 30.0
"""Long enough for another short run to end; a daemon does not end, and the error then says who holds the lock."""


def only_one(settings: Settings, stage: str) -> AbstractContextManager[None]:
    """Hold a stage's lock while a block runs.

    Args:
        settings: `home` is used.
        stage: `bronze`, `silver`, `gold`, `refresh` or `recommend`.

    Raises:
        ServiceError: Another process of this home stayed in the stage.
    """
    return file_lock(settings.home / "locks" / stage, patience=PATIENCE_SECONDS)
