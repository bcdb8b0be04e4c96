"""Drawing values of a strategy outside of a property."""

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy


def drawn(strategy: SearchStrategy[Any], number: int, count: int) -> list[Any]:
    """Values of a strategy, always the same ones of a seed.

    Hypothesis draws each as an example of its own: a whole batch would be more than it lets one example hold.

    Args:
        strategy: What to draw from.
        number: The seed.
        count: How many.
    """
    values: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return values
