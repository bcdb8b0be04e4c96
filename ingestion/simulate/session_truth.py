"""The sessions that good events make, by the rule of `silver.sessions`, but computed apart from it, without Spark."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain, pairwise
from typing import Any, NamedTuple

from ingestion.events import iso_utc

GAP_MINUTES = 30
"""The longest pause inside a session whose events carry no session id."""
_GAP = timedelta(minutes=GAP_MINUTES)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class _Event(NamedTuple):
    """What a session needs to know of an event; in the order of time."""

    at: datetime
    event_id: str
    user_id: str | None
    anonymous_id: str | None


class _Summary:
    """What is known of a session so far."""

    def __init__(self, first: _Event) -> None:
        self.first = self.last = first
        self.last_with_anonymous_id = first if first.anonymous_id else None
        self.count = 0

    def add(self, event: _Event) -> None:
        """Count an event of the session, in any order."""
        self.count += 1
        self.first = min(self.first, event, key=_order)
        self.last = max(self.last, event, key=_order)
        if event.anonymous_id:
            known = self.last_with_anonymous_id or event
            self.last_with_anonymous_id = max(known, event, key=_order)

    def row(
        self, session_id: str, visitor_id: str, client_session_id: str | None
    ) -> dict[str, Any]:
        """The row of `silver.sessions`; times are UTC."""
        with_anonymous_id = self.last_with_anonymous_id
        return {
            "session_id": session_id,
            "visitor_id": visitor_id,
            # A visitor is one user or one anonymous id, so any event will do.
            "user_id": self.first.user_id,
            "anonymous_id": with_anonymous_id.anonymous_id if with_anonymous_id else None,
            "is_given": client_session_id is not None,
            "client_session_id": client_session_id,
            "started_at": iso_utc(self.first.at),
            "ended_at": iso_utc(self.last.at),
            "event_count": self.count,
        }


class SessionTruth:
    """Takes good events in any order. Those without a session id are held until no earlier one can come."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], _Summary] = {}
        self._waiting: dict[str, list[_Event]] = defaultdict(list)
        self._cut: list[dict[str, Any]] = []

    def add(self, event: dict[str, Any]) -> None:
        """Take a good event that was not taken before."""
        user, anonymous = event.get("user_id"), event.get("anonymous_id")
        visitor = f"u:{user}" if user is not None else f"a:{anonymous}"
        at = datetime.fromisoformat(event["occurred_at"])
        known = _Event(at, event["event_id"], user, anonymous)
        given = event.get("session_id")
        if given is None:
            self._waiting[visitor].append(known)
        else:
            self._given.setdefault((visitor, given), _Summary(known)).add(known)

    def settle(self, until: datetime) -> None:
        """Cut what nothing can change any more: every event yet to come occurred at `until` or later."""
        for visitor, events in list(self._waiting.items()):
            events.sort(key=_order)
            parts = list(_cut(events))
            # A late event may still join a session, or two, as long as it may occur within a pause of them.
            settled = [part for part in parts if until - part[-1].at > _GAP]
            for part in settled:
                self._close(visitor, part)
            waiting = list(chain.from_iterable(parts[len(settled) :]))
            if waiting:
                self._waiting[visitor] = waiting
            else:
                del self._waiting[visitor]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The sessions as rows of `silver.sessions`. No event is taken after it."""
        self.settle(_END_OF_TIME)
        yield from self._cut
        for (visitor, given), summary in self._given.items():
            yield summary.row(_id("given", visitor, given), visitor, given)

    def _close(self, visitor: str, events: list[_Event]) -> None:
        summary = _Summary(events[0])
        for event in events:
            summary.add(event)
        self._cut.append(summary.row(_id("cut", visitor, events[0].event_id), visitor, None))


def _cut(events: list[_Event]) -> Iterator[list[_Event]]:
    """Sort events into sessions; they are in the order of time."""
    session = events[:1]
    for before, event in pairwise(events):
        if event.at - before.at > _GAP:
            yield session
            session = []
        session.append(event)
    yield session


def _order(event: _Event) -> tuple[datetime, str]:
    return event.at, event.event_id


def _id(kind: str, visitor: str, named_by: str) -> str:
    return sha256(f"{kind}|{visitor}|{named_by}".encode()).hexdigest()
