"""Sending the rows of a file through the API: what is no event is refused with its line, the rest goes in batches."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol
from zlib import crc32

import orjson

from ingestion.batch_files.rows import Refusal, Row
from ingestion.batches import in_batches, no_progress
from ingestion.client import MAX_BATCH, WORKERS, Batch, EventSender
from ingestion.events import (
    NAMESPACE,
    NO_EVENT_ID,
    InvalidEventError,
    Observed,
    envelope_bytes,
    validate_event,
    visitor_of,
)

CHUNK_ROWS = 10_000
"""Rows that are mapped and sent together; an interrupted import goes on after the last whole chunk."""
MAX_BATCH_BYTES = 900_000
"""A batch's events together, as JSON: below what the API takes as one body."""

_NOTHING_OBSERVED = Observed("", None, None, None)
_ANY_ID = str(NAMESPACE)
"""Stands in for an id while the event is checked that will get one."""

Event = dict[str, Any]
Outcome = Event | str
"""What a row means: an event, or the reason why it is none."""
Mapping = Callable[[Sequence[Row]], Sequence[Outcome]]
"""Maps rows to outcomes, in the same order."""


@dataclass
class ImportResult:
    """What became of the rows.

    Args:
        rows: Rows of the file.
        accepted: Of them, events that the API accepted.
        refused: The others.
        reasons: How often each reason was given.
    """

    rows: int = 0
    accepted: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class Keeper(Protocol):
    """What is kept while an import goes on."""

    def refuse(self, refusal: Refusal) -> None:
        """A row is no event."""

    def settle(self, result: ImportResult) -> None:
        """All rows so far are answered for."""


class KeepNothing:
    """For imports that are not resumed and whose refused rows are only counted."""

    def refuse(self, refusal: Refusal) -> None:
        """Do nothing."""

    def settle(self, result: ImportResult) -> None:
        """Do nothing."""


def import_rows(
    sender: EventSender,
    rows: Iterable[Row | Refusal],
    mapping: Mapping,
    progress: Callable[[int], None] = no_progress,
    keeper: Keeper | None = None,
    before: ImportResult | None = None,
) -> ImportResult:
    """Send rows to the API. A visitor's events keep the order of the rows.

    An event's id follows from the row's content where the row has none, so a second import sends the same events.

    Args:
        sender: Where they go.
        rows: What `read_rows` gives.
        mapping: Makes events of them.
        progress: Called with the number of rows just answered for, refused ones included.
        keeper: Is told of each refused row and of each chunk that is done.
        before: What an earlier run has done: so many rows are passed over, and its counts are added to.

    Returns:
        The counts of all rows.

    Raises:
        BadInputError: The file cannot be read any further.
        ServiceError: The API stayed away.
    """
    keeper = keeper or KeepNothing()
    result = before or ImportResult()
    progress(result.rows)
    for chunk in in_batches(islice(rows, result.rows, None), CHUNK_ROWS):
        events: list[Event] = []
        for outcome in _outcomes(chunk, mapping):
            if isinstance(outcome, Refusal):
                keeper.refuse(outcome)
                result.reasons[outcome.reason] += 1
                progress(1)
            else:
                events.append(outcome)
        totals = sender.send_all(_batches(events), WORKERS, progress)
        result.rows += len(chunk)
        result.accepted += totals.accepted
        result.refused += len(chunk) - totals.accepted
        result.reasons += totals.reasons
        keeper.settle(result)
    return result


def _outcomes(chunk: Sequence[Row | Refusal], mapping: Mapping) -> Iterator[Event | Refusal]:
    """A valid event or a refusal for each row, in order."""
    readable = [row for row in chunk if isinstance(row, Row)]
    mapped = iter(mapping(readable))
    for row in chunk:
        if isinstance(row, Refusal):
            yield row
            continue
        outcome = next(mapped)
        if isinstance(outcome, dict):
            try:
                yield _checked(outcome)
                continue
            except InvalidEventError as error:
                problems = error.problems
                outcome = "; ".join(f"{p.field or 'event'}: {p.reason}" for p in problems)
        yield Refusal(row.line, outcome, row.fields)


def _checked(event: Event) -> Event:
    """The event, with an id if it had none.

    Raises:
        InvalidEventError: It does not keep to the contract.
    """
    if event.get("event_id") is not None:
        validate_event(event)
        return event
    valid = validate_event({**event, "event_id": _ANY_ID})
    # Of the canonical form, so that it does not matter how the file writes a number, a time or the order of columns.
    canonical = orjson.loads(envelope_bytes(valid, _NOTHING_OBSERVED))
    for observed in ("received_at", "key_id"):
        del canonical[observed]
    canonical["event_id"] = str(NO_EVENT_ID)
    content = orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS).decode()
    return {**event, "event_id": str(uuid.uuid5(NAMESPACE, f"import:{content}"))}


def _batches(events: Iterable[Event]) -> Iterator[Batch]:
    """Full batches in which each visitor's events keep their order, because a visitor has one lane."""
    waiting: dict[int, list[Event]] = defaultdict(list)
    sizes: Counter[int] = Counter()
    for event in events:
        visitor = visitor_of(event)
        lane = crc32(visitor.encode()) % WORKERS
        size = len(orjson.dumps(event))
        if len(waiting[lane]) == MAX_BATCH or sizes[lane] + size > MAX_BATCH_BYTES:
            yield Batch(waiting.pop(lane), lane=lane)
            del sizes[lane]
        waiting[lane].append(event)
        sizes[lane] += size
    for lane, batch in waiting.items():
        yield Batch(batch, lane=lane)
