"""Sending a simulation through the API, each device's events under its own `User-Agent`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zlib import crc32

from ingestion.batches import no_progress
from ingestion.client import Batch, EventSender, SendTotals
from ingestion.simulate.stream import SimulatedEvent

BATCH = 200


def send_simulation(
    sender: EventSender,
    events: Iterable[SimulatedEvent],
    progress: Callable[[int], None] = no_progress,
) -> SendTotals:
    """Send simulated events.

    Args:
        sender: Where they go.
        events: What `simulate` gives.
        progress: Called with the number of events just answered.

    Raises:
        ServiceError: The API stayed away.
    """
    return sender.send_all(_batches(events), progress=progress)


def _batches(events: Iterable[SimulatedEvent]) -> Iterator[Batch]:
    waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for user_agent, event in events:
        waiting[user_agent].append(event)
        if len(waiting[user_agent]) == BATCH:
            yield _batch(user_agent, waiting.pop(user_agent))
    for user_agent, rest in waiting.items():
        yield _batch(user_agent, rest)


def _batch(user_agent: str, events: list[dict[str, Any]]) -> Batch:
    return Batch(events, user_agent, lane=crc32(user_agent.encode()))
