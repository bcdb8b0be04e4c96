"""Sending a simulation through the API, each device's events under its own `User-Agent`."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zlib import crc32

from ingestion.batches import in_batches, no_progress
from ingestion.client import Batch, EventSender, SendTotals
from ingestion.simulate.stream import SimulatedEvent

BATCH = 200


def send_simulation(
    sender: EventSender,
    events: Iterable[SimulatedEvent],
    progress: Callable[[int], None] = no_progress,
    rate: float | None = None,
) -> SendTotals:
    """Send simulated events.

    Args:
        sender: Where they go.
        events: What `simulate` gives.
        progress: Called with the number of events just answered.
        rate: Events a second, above 0. Default: as fast as the API takes them.

    Raises:
        ServiceError: The API stayed away.
    """
    batches = _batches(events) if rate is None else _paced(events, rate)
    return sender.send_all(batches, progress=progress)


def _batches(events: Iterable[SimulatedEvent]) -> Iterator[Batch]:
    waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for user_agent, event in events:
        waiting[user_agent].append(event)
        if len(waiting[user_agent]) == BATCH:
            yield _batch(user_agent, waiting.pop(user_agent))
    for user_agent, rest in waiting.items():
        yield _batch(user_agent, rest)


def _paced(events: Iterable[SimulatedEvent], rate: float) -> Iterator[Batch]:
    """A second's worth of events at a time, or one event when a second is worth less."""
    size = max(round(rate), 1)
    due = time.monotonic()
    for some in in_batches(events, size):
        time.sleep(max(due - time.monotonic(), 0))
        yield from _batches(some)
        # From when it was due, not from now: what took longer is made up for.
        due += len(some) / rate


def _batch(user_agent: str, events: list[dict[str, Any]]) -> Batch:
    return Batch(events, user_agent, lane=crc32(user_agent.encode()))
