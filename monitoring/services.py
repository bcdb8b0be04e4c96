"""Metrics of the services of the stack, and of the problems that people were told of."""

from collections.abc import Iterator

from cinelake.settings import Settings
from cinelake.stack import local
from monitoring.families import Family, gauge
from pipeline.alerts import open_problems


def services(settings: Settings) -> Iterator[Family]:
    """Whether each service answers."""
    yield gauge(
        "cinelake_service_up",
        "Whether a service of the stack is well.",
        ("service",),
        (((name,), not problem) for name, problem in local.problems(settings).items()),
    )
    yield gauge(
        "cinelake_open_problems",
        "Problems that are not over, as `cinelake alerts list` shows them.",
        (),
        [((), len(open_problems(settings)))],
    )
