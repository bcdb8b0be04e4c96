"""The sessions that good events make, by the rule of `silver.sessions`, but computed apart from it, without Spark."""

from array import array
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple

import ua_parser

from ingestion.events import iso_utc

GAP_MINUTES = 30
"""The longest pause inside a session whose events carry no session id, and how far around a session they may lie."""
_GAP = timedelta(minutes=GAP_MINUTES)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROBOT = "Spider"


class _Event(NamedTuple):
    """What a session needs to know of an event; in the order of time."""

    at: datetime
    event_id: str
    user_id: str | None
    anonymous_id: str | None
    user_agent: str | None


class _Report(NamedTuple):
    """How far a play was; in the order of time."""

    at: datetime
    event_id: str
    seconds: float
    given: str | None


class _Summary:
    """What is known of a session so far."""

    def __init__(self, first: _Event) -> None:
        self.first = self.last = first
        self.last_with_anonymous_id = first if first.anonymous_id else None
        self.first_with_user_agent = first if first.user_agent else None
        self.count = 0
        self.seconds_watched = 0.0

    def add(self, event: _Event) -> None:
        """Count an event of the session, in any order."""
        self.count += 1
        self.first = min(self.first, event, key=_order)
        self.last = max(self.last, event, key=_order)
        if event.anonymous_id:
            known = self.last_with_anonymous_id or event
            self.last_with_anonymous_id = max(known, event, key=_order)
        if event.user_agent:
            seen = self.first_with_user_agent or event
            self.first_with_user_agent = min(seen, event, key=_order)

    def row(
        self, session_id: str, visitor_id: str, client_session_id: str | None
    ) -> dict[str, Any]:
        """The row of `silver.sessions`; times are UTC."""
        with_anonymous_id = self.last_with_anonymous_id
        with_user_agent = self.first_with_user_agent
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
            "seconds_watched": round(self.seconds_watched, 6),
            **_device_of(with_user_agent.user_agent if with_user_agent else None),
        }


class _Visitor:
    """What one visitor did: the sessions that the client named, the events that carry no session id, the plays."""

    def __init__(self) -> None:
        self.given: dict[str, _Summary] = {}
        self.times: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self.without_id: list[_Event] = []
        self.plays: dict[tuple[int, str], list[_Report]] = defaultdict(list)

    def add(self, event: _Event, given: str | None) -> None:
        if given is None:
            self.without_id.append(event)
            return
        self.given.setdefault(given, _Summary(event)).add(event)
        self.times[given].append(_microseconds(event.at - _EPOCH))

    def sessions(self) -> tuple[dict[str, _Summary], dict[str, _Summary]]:
        """The sessions by the id that the client gave, and those that were cut, by the id of their first event."""
        spans = {given: (min(times), max(times)) for given, times in self.times.items()}
        left_over = []
        session_of: dict[str, _Summary] = {}
        for event in sorted(self.without_id, key=_order):
            given = self._session_at(_microseconds(event.at - _EPOCH), spans)
            if given is None:
                left_over.append(event)
            else:
                session_of[event.event_id] = self.given[given]
                self.given[given].add(event)
        cut = {}
        for part in _cut(left_over):
            summary = cut[part[0].event_id] = _Summary(part[0])
            for event in part:
                session_of[event.event_id] = summary
                summary.add(event)
        for reports in self.plays.values():
            self._share_out(sorted(reports), session_of)
        return self.given, cut

    def _share_out(self, reports: list[_Report], session_of: dict[str, _Summary]) -> None:
        """Give each session the seconds by which the play came further in it than ever before."""
        start = furthest = reports[0].seconds
        for report in reports:
            reached = min(report.seconds, max(reports[-1].seconds, start))
            if reached > furthest:
                session = (
                    session_of[report.event_id]
                    if report.given is None
                    else self.given[report.given]
                )
                session.seconds_watched += reached - furthest
                furthest = reached

    def _session_at(self, at: int, spans: dict[str, tuple[int, int]]) -> str | None:
        """The session around a time: the one heard of last before it, or else the one heard of first after it."""
        gap = _microseconds(_GAP)
        before: tuple[int, str] | None = None
        after: tuple[int, str] | None = None
        for given, (start, end) in spans.items():
            if not start - gap <= at <= end + gap:
                continue
            for time in self.times[given]:
                candidate = (abs(at - time), given)
                if time <= at:
                    before = min(before or candidate, candidate)
                else:
                    after = min(after or candidate, candidate)
        nearest = before or after
        return nearest[1] if nearest else None


class SessionTruth:
    """Takes good events in any order. A session that its client named may grow at any time, so none is settled early."""

    def __init__(self) -> None:
        self._visitors: dict[str, _Visitor] = defaultdict(_Visitor)

    def add(self, event: dict[str, Any], user_agent: str | None = None) -> None:
        """Take a good event that was not taken before, and the User-Agent that it is sent with."""
        user, anonymous = event.get("user_id"), event.get("anonymous_id")
        visitor = f"u:{user}" if user is not None else f"a:{anonymous}"
        at = datetime.fromisoformat(event["occurred_at"])
        given = event.get("session_id")
        known = _Event(at, event["event_id"], user, anonymous, user_agent)
        self._visitors[visitor].add(known, given)
        told = event.get("properties") or {}
        if told.get("play_id") is not None and told.get("position_seconds") is not None:
            play = event["movie_id"], told["play_id"]
            report = _Report(at, event["event_id"], told["position_seconds"], given)
            self._visitors[visitor].plays[play].append(report)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The sessions as rows of `silver.sessions`, asked for once. No event is taken after it."""
        for visitor_id, visitor in self._visitors.items():
            given, cut = visitor.sessions()
            for first_event, summary in cut.items():
                yield summary.row(_id("cut", visitor_id, first_event), visitor_id, None)
            for name, summary in given.items():
                yield summary.row(_id("given", visitor_id, name), visitor_id, name)


def _cut(events: list[_Event]) -> Iterator[list[_Event]]:
    """Sort events into sessions; they are in the order of time."""
    if not events:
        return
    session = events[:1]
    for before, event in pairwise(events):
        if event.at - before.at > _GAP:
            yield session
            session = []
        session.append(event)
    yield session


def _device_of(user_agent: str | None) -> dict[str, Any]:
    """What a User-Agent tells, as the columns of `silver.sessions`."""
    if user_agent is None:
        return dict.fromkeys(("device", "browser", "os", "is_bot"))
    told = ua_parser.parse(user_agent).with_defaults()
    return {
        "device": told.device.family,
        "browser": told.user_agent.family,
        "os": told.os.family,
        "is_bot": told.device.family == _ROBOT,
    }


def _order(event: _Event) -> tuple[datetime, str]:
    return event.at, event.event_id


def _microseconds(length: timedelta) -> int:
    return length // _MICROSECOND


def _id(*parts: str) -> str:
    """SHA-256 of the parts, joined by `|`; in each a `|` or the escape sign itself is escaped."""
    escaped = ("".join(f"\\{sign}" if sign in "|\\" else sign for sign in part) for part in parts)
    return sha256("|".join(escaped).encode()).hexdigest()
