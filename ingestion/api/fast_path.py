"""Bodies of events that surely keep to the contract, read in one step.

The models of `ingestion.events` alone say what an event is, and what is wrong with one. But to check an event by them
costs several times as much as to parse it, and nearly all events are good. What this takes, the models take too, and
the canonical form is the same; what it does not take, further properties for example, the models judge.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec
from msgspec import UNSET
from msgspec.json import Decoder, Encoder

from ingestion.api.document import MAX_BATCH
from ingestion.events import (
    MAX_PROPERTIES_BYTES,
    PLACEHOLDERS,
    SCHEMA_VERSION,
    Observed,
    iso_utc_of,
    json_schema,
    partition_key,
)
from ingestion.json_limits import holds_nul
from ingestion.producer import Record
from ingestion.struct_types import EventTypes
from ingestion.topics import USER_LOGS

_CONTRACT = EventTypes(json_schema()["versions"][str(SCHEMA_VERSION)])
_TYPES = tuple(_CONTRACT)
EVENT_TYPES = tuple(struct.event_type for struct in _TYPES)
"""The event types that can be read this way."""
_START = 32
"""Bytes of a body that show which kind it is; a stranger one is left to the models."""
_Event: Any = reduce(or_, _TYPES)
_Events: Any = Annotated[list[_Event], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]
_Batch: Any = msgspec.defstruct("_Batch", [("events", _Events)], forbid_unknown_fields=True)
_DECODE_EVENT, _DECODE_EVENTS, _DECODE_BATCH = (
    Decoder(kind).decode for kind in (_Event, _Events, _Batch)
)
_ENCODE = Encoder().encode


def read_records(body: bytes, observed: Observed) -> list[Record]:
    """The messages of a body, when all of its events surely keep to the contract.

    Args:
        body: One event, an array of events, or an object with the array as `events`.
        observed: Who sent it, and when.

    Returns:
        A message for each event; none at all when the models have to judge the body.
    """
    # The one thing that a JSON text of the contract can hold and no store could.
    if holds_nul(body):
        return []
    no_context = _CONTRACT.context(user_agent=observed.user_agent, ip=observed.ip)
    try:
        return [_record(event, observed, no_context) for event in _events(body)]
    # Also UnicodeDecodeError, and what is raised here for a time that is none.
    except (ValueError, RecursionError):
        return []


def _events(body: bytes) -> list[Any]:
    events: list[Any]
    start = body[:_START].lstrip()
    if start.startswith(b"["):
        events = _DECODE_EVENTS(body)
    elif b'"events"' in start:
        events = _DECODE_BATCH(body).events
    else:
        events = [_DECODE_EVENT(body)]
    return events


def _record(event: Any, observed: Observed, no_context: Any) -> Record:
    if not event.event_id.int or _has_placeholder(event):
        raise ValueError("an id that counts as missing")
    key = partition_key(event)
    if not key:
        raise ValueError("no visitor")
    event.occurred_at = iso_utc_of(event.occurred_at)
    event.received_at = observed.received_at
    event.key_id = observed.key_id
    context = event.context
    if context is None:
        event.context = no_context
    else:
        context.user_agent = observed.user_agent
        context.ip = observed.ip
    value = _ENCODE(event)
    # Then the properties may be too long.
    if len(value) > MAX_PROPERTIES_BYTES:
        raise ValueError("perhaps too long")
    return Record(USER_LOGS, key, value)


def _has_placeholder(event: Any) -> bool:
    """Whether an id is a placeholder; in line, as each call would cost as much as what it does."""
    for text in (event.user_id, event.anonymous_id, event.session_id):
        if text is not None and text.strip().lower() in PLACEHOLDERS:
            return True
    if event.property_ids and event.properties:
        for name in event.property_ids:
            text = getattr(event.properties, name)
            if text is not None and text is not UNSET and text.strip().lower() in PLACEHOLDERS:
                return True
    return False
