"""Events that a broken client would send, each with one fault, and who must notice it."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from ingestion.events import EVENT_TYPES, MAX_PROPERTIES_BYTES, iso_utc
from ingestion.json_limits import MAX_DEPTH

Event = dict[str, Any]


class Fault(NamedTuple):
    """One way in which an event can be wrong.

    Args:
        name: What the client did.
        noticed_by: `api`, which must refuse the event, or `silver`, which must put it in quarantine.
        expected: The API's answer, as `field: reason`; or the rule of `silver.quarantine`.
        breaks: Turns a good event into a bad one.
    """

    name: str
    noticed_by: Literal["api", "silver"]
    expected: str
    breaks: Callable[[Event], Event]


_NOTICED_BY_SILVER = 0.2
"""Of all bad events, those that pass the API."""


def broken(event: Event, chance: random.Random) -> tuple[Fault, Event]:
    """A fault, and a copy of a good event that has it."""
    passes = chance.random() < _NOTICED_BY_SILVER
    fault = chance.choice(SILVER_FAULTS if passes else API_FAULTS)
    return fault, fault.breaks(dict(event))


def _without(event: Event, *names: str) -> Event:
    return {name: value for name, value in event.items() if name not in names}


def _searching(event: Event, **properties: Any) -> Event:
    """A search, which everybody may do, with these properties."""
    return {**_without(event, "movie_id"), "event_type": "search", "properties": properties}


def _by_a_user(event: Event, event_type: str, **properties: Any) -> Event:
    user = event.get("user_id") or event["anonymous_id"]
    known = {"event_type": event_type, "user_id": user, "movie_id": 1}
    return {**event, **known, "properties": properties}


def _nested(levels: int) -> Event:
    return {"deeper": _nested(levels - 1)} if levels else {}


def _in_a_hundred_years(event: Event) -> Event:
    ahead = datetime.fromisoformat(event["occurred_at"]) + timedelta(days=36_525)
    return {**event, "occurred_at": iso_utc(ahead)}


_API: tuple[tuple[str, str, Callable[[Event], Event]], ...] = (
    ("gives no id", "event_id: is required", lambda e: _without(e, "event_id")),
    (
        "numbers its events",
        "event_id: should be a string",
        lambda e: {**e, "event_id": 17},
    ),
    (
        "invents a type",
        f"event_type: should be one of {', '.join(EVENT_TYPES)}",
        lambda e: {**e, "event_type": "teleport"},
    ),
    ("gives no type", "event_type: is required", lambda e: _without(e, "event_type")),
    (
        "tells local time",
        "occurred_at: should be a timestamp with its offset from UTC,"
        " for example 2026-01-01T00:00:00.000Z",
        lambda e: {**e, "occurred_at": e["occurred_at"].removesuffix("Z")},
    ),
    (
        "lost its clock",
        "occurred_at: should be a time from 1970 to 9999",
        lambda e: {**e, "occurred_at": "1601-01-01T00:00:00Z"},
    ),
    (
        "names nobody",
        "user_id: is required where there is no anonymous_id",
        lambda e: _without(_searching(e, query="x"), "user_id", "anonymous_id"),
    ),
    (
        "forges the time of receipt",
        "received_at: is set by the server; leave it out",
        lambda e: {**e, "received_at": e["occurred_at"]},
    ),
    (
        "forges its address",
        "context.ip: is set by the server; leave it out",
        lambda e: {**e, "context": {"ip": "192.0.2.1"}},
    ),
    (
        "sends a movie as text",
        "movie_id: should be a valid integer",
        lambda e: {**e, "movie_id": str(e.get("movie_id", 1))},
    ),
    (
        "rates eleven of ten",
        "properties.rating: should be less than or equal to 10",
        lambda e: _by_a_user(e, "rating", rating=11),
    ),
    (
        "votes sideways",
        "properties.vote: should be 'up', 'down' or 'none'",
        lambda e: _by_a_user(e, "comment_vote", comment_id="c", vote="sideways"),
    ),
    (
        "comments without a word",
        "properties.text: should have at least 1 character",
        lambda e: _by_a_user(e, "comment", comment_id="c", text=""),
    ),
    (
        "sends a NUL",
        "properties.query: contains a NUL character",
        lambda e: _searching(e, query="a\0b"),
    ),
    (
        "sends a novel",
        f"properties: is longer than {MAX_PROPERTIES_BYTES} bytes",
        lambda e: _searching(e, query="x", notes="n" * MAX_PROPERTIES_BYTES),
    ),
    (
        "nests without end",
        f"properties.query{'.deeper' * (MAX_DEPTH - 1)}: nests deeper than {MAX_DEPTH} levels",
        lambda e: _searching(e, query=_nested(MAX_DEPTH)),
    ),
)
API_FAULTS = tuple(Fault(name, "api", expected, breaks) for name, expected, breaks in _API)
SILVER_FAULTS = (
    Fault("lives in the future", "silver", "occurred_in_the_future", _in_a_hundred_years),
)
