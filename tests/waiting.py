"""Waiting for what happens by itself."""

import time
from collections.abc import Callable
from typing import Any


def eventually(condition: Callable[[], Any], seconds: float, pause: float = 0.2) -> None:
    """Wait until a condition holds.

    Args:
        condition: Asked again and again.
        seconds: How long to wait at most.
        pause: Seconds between two times.

    Raises:
        AssertionError: It did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true within {seconds:g} s"
        time.sleep(pause)
