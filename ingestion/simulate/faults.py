"""Events that a broken client would send: each must be refused, for a reason of its own."""

import random
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


def _without_id(event: Event) -> Event:
    del event["event_id"]
    return event


def _unknown_type(event: Event) -> Event:
    return {**event, "event_type": "teleport"}


def _local_time(event: Event) -> Event:
    return {**event, "occurred_at": event["occurred_at"].removesuffix("Z")}


def _from_nobody(event: Event) -> Event:
    return {key: value for key, value in event.items() if key not in ("user_id", "anonymous_id")}


def _forged_time(event: Event) -> Event:
    return {**event, "received_at": event["occurred_at"]}


def _movie_as_text(event: Event) -> Event:
    return {**event, "movie_id": str(event.get("movie_id", 1))}


def _rating_of_eleven(event: Event) -> Event:
    return {
        **event,
        "event_type": "rating",
        "user_id": event["anonymous_id"],
        "movie_id": 1,
        "properties": {"rating": 11},
    }


def _nul(event: Event) -> Event:
    return {**event, "event_type": "search", "properties": {"query": "a\0b"}}


_FAULTS: tuple[Callable[[Event], Event], ...] = (
    _without_id,
    _unknown_type,
    _local_time,
    _from_nobody,
    _forged_time,
    _movie_as_text,
    _rating_of_eleven,
    _nul,
)


def broken(event: Event, chance: random.Random) -> Event:
    """A copy of a good event with one fault."""
    return chance.choice(_FAULTS)(dict(event))
