"""What happens to a body of events: check each, publish the good and the bad, and only then answer."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, Self, TypedDict

import orjson

from cinelake.errors import BadInputError
from ingestion.api.bodies import parse_json, split_elements
from ingestion.api.document import MAX_BATCH
from ingestion.api.fast_path import read_records
from ingestion.api.services import Publisher
from ingestion.events import (
    InvalidEventError,
    Observed,
    envelope_bytes,
    partition_key,
    validate_event,
)
from ingestion.json_limits import Problem
from ingestion.producer import Record
from ingestion.topics import USER_LOGS, USER_LOGS_REJECTED


class EventError(TypedDict):
    """One reason, as the answer carries it; without an index it concerns the body as a whole."""

    index: NotRequired[int]
    field: str
    reason: str


class BatchTooLargeError(BadInputError):
    """A batch holds more than `MAX_BATCH` events."""


@dataclass
class Intake:
    """What became of a body: the messages to publish, and the answer."""

    observed: Observed
    accepted: int = 0
    rejected: int = 0
    errors: list[EventError] = field(default_factory=list)
    is_json: bool = True
    records: list[Record] = field(default_factory=list)

    def accept(self, raw: Any, is_clean: bool) -> None:
        """Take one event, or raise `InvalidEventError`."""
        event = validate_event(raw, is_clean)
        value = envelope_bytes(event, self.observed)
        self.records.append(Record(USER_LOGS, partition_key(event), value))
        self.accepted += 1

    def published(self, publisher: Publisher) -> Self:
        """Publish the records; this intake, once the broker has acknowledged all of them."""
        failure = next(filter(None, publisher.publish(self.records)), None)
        if failure is not None:
            raise failure
        return self

    def reject(self, problems: Sequence[Problem], original: bytes, index: int | None) -> None:
        """Refuse one event, or with `index` None a whole body, and keep its bytes."""
        reasons = [{"field": problem.field, "reason": problem.reason} for problem in problems]
        value = orjson.dumps(
            {
                "received_at": self.observed.received_at,
                "key_id": self.observed.key_id,
                "reason": reasons,
                "body_base64": base64.b64encode(original).decode(),
            }
        )
        self.records.append(Record(USER_LOGS_REJECTED, None, value))
        self.rejected += 1
        for problem in problems:
            error = EventError(field=problem.field, reason=problem.reason)
            self.errors.append(error if index is None else EventError(index=index, **error))


def take_in(body: bytes, observed: Observed, publisher: Publisher) -> Intake:
    """Check a body and publish all of it, the good events to `user_logs`, the bad to `user_logs_rejected`.

    Args:
        body: One event, an array of events, or an object with the array as `events`.
        observed: Who sent it, and when.
        publisher: Where it goes.

    Returns:
        What was accepted and what was refused, after the broker has acknowledged both.

    Raises:
        BatchTooLargeError: More than `MAX_BATCH` events; nothing was published.
        ServiceError: The broker did not acknowledge everything; the client sends the body again.
    """
    records = read_records(body, observed)
    intake = Intake(observed, accepted=len(records), records=records)
    if not records:
        _check(body, intake)
    return intake.published(publisher)


def keep_unreadable(
    original: bytes, reason: str, observed: Observed, publisher: Publisher
) -> Intake:
    """Publish a body of which nothing can be read to `user_logs_rejected`.

    Args:
        original: The body as it came.
        reason: What is wrong with it.
        observed: Who sent it, and when.
        publisher: Where it goes.

    Returns:
        Nothing accepted, one refused.

    Raises:
        ServiceError: As `take_in`.
    """
    intake = Intake(observed, is_json=False)
    intake.reject([Problem("", reason)], original, None)
    return intake.published(publisher)


def _check(body: bytes, intake: Intake) -> None:
    try:
        parsed = parse_json(body)
    except BadInputError as error:
        intake.is_json = False
        intake.reject([Problem("", error.message)], body, None)
        return
    match parsed.value:
        case list() as events:
            _check_batch(events, parsed.is_clean, body, 1, intake)
        case {"events": list() as events, **others} if not others:
            _check_batch(events, parsed.is_clean, body, 2, intake)
        case {"events": _, **others} if "event_type" not in others:
            reason = "should be an array, and the only member of the body"
            intake.reject([Problem("events", reason)], body, None)
        case _:
            try:
                intake.accept(parsed.value, parsed.is_clean)
            except InvalidEventError as error:
                intake.reject(error.problems, body, 0)


def _check_batch(
    events: list[Any], is_clean: bool, body: bytes, depth: int, intake: Intake
) -> None:
    if len(events) > MAX_BATCH:
        raise BatchTooLargeError(
            f"A batch holds at most {MAX_BATCH} events; this has {len(events)}."
        )
    if not events:
        intake.reject([Problem("events", "should hold at least one event")], body, None)
    originals: list[bytes] = []
    for index, raw in enumerate(events):
        try:
            intake.accept(raw, is_clean)
        except InvalidEventError as error:
            originals = originals or split_elements(body, depth)
            intake.reject(error.problems, originals[index], index)
