"""The stack, ready to work with: its servers up, the topics made, and our own key known to the API."""

from collections.abc import Callable
from functools import partial

from cinelake.settings import Settings, load_settings
from cinelake.stack import local
from ingestion.api.keys import ensure_key
from ingestion.batches import no_progress
from ingestion.topics import ensure_topics
from pipeline.analyst import tell_changes

LOCAL_KEY = "local"
"""The name of the key with which the demonstration, simulation and replay send."""


def bring_up(settings: Settings, progress: Callable[[int], None] = no_progress) -> Settings:
    """Start what does not run, and prepare what the stages expect. Safe to call again, at any time.

    Args:
        settings: Where the stack lives.
        progress: Called with 1 whenever a service is well.

    Returns:
        The settings that point to the running stack.

    Raises:
        SettingError: Something the stack needs is missing here.
        ServiceError: A service did not start.
    """
    local.up(settings, progress, tell_changes=partial(tell_changes, settings))
    running = load_settings(
        CINELAKE_HOME=str(settings.home), DBT_PROFILES_DIR=str(settings.dbt_profiles_dir)
    )
    ensure_topics(running)
    ensure_key(running, running.api_secret, LOCAL_KEY)
    return running
