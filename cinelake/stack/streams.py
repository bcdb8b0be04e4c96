"""The streaming daemons as processes: `cinelake bronze --every …` and `cinelake silver --every …`, which stay."""

import sys
from pathlib import Path

from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack.process import Launch
from cinelake.stack.service import Service, settings_environment
from cinelake.stack.state import StackState, load_state, stack_folder

INTERVAL = "10 seconds"
"""How often a daemon looks for what is new."""


def _daemon(stage: str) -> Service:
    def prepare(settings: Settings, state: StackState) -> Launch:
        return Launch(
            [str(Path(sys.executable).with_name("cinelake")), stage, "--every", INTERVAL],
            log=service.log(stack_folder(settings.home)),
            folder=PROJECT_ROOT,
            environment=settings_environment(settings),
        )

    def problem(settings: Settings) -> str | None:
        return None if load_state(settings.home).running(service.name) else "its process has ended"

    service = Service(
        name=f"{stage}-stream",
        variable=None,
        ports=(),
        prepare=prepare,
        # It serves nobody; without an address it would count as never started.
        endpoint=lambda settings: f"every {INTERVAL}",
        problem=problem,
    )
    return service


STREAMS = {stage: _daemon(stage) for stage in ("bronze", "silver")}
"""By stage, in the order in which data flows."""
