"""What a simulation has sent, counted as it is sent: what every later stage must find again."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ingestion.simulate.faults import Fault
from ingestion.simulate.outcomes import Outcomes
from ingestion.simulate.session_truth import GAP_MINUTES, SessionTruth
from ingestion.simulate.visits import is_unknown

LATE_AFTER = timedelta(hours=24)
"""An event that comes this long after one that occurred later has been overtaken."""


@dataclass
class SimulationTruth:
    """What a simulation has sent so far.

    Args:
        sent: Events in all: `distinct + duplicates + refused + quarantined`.
        distinct: Good events, each counted once.
        duplicates: Good events sent once more.
        refused: Events that the API must refuse.
        quarantined: Events that the API must accept and silver must put in quarantine.
        late: Good events that the client held back for one to three days.
        overtaken: Of all good events, those sent after one that occurred more than 24 hours later.
        out_of_order: Progress reports sent after a younger one of the same play.
        unknown_movies: Good events about a movie that no catalogue holds.
        without_session: Good events without a session id.
        by_type: Good events by type, each counted once.
        faults: Bad events by the name of their fault.
        reasons: The API's answers about the refused ones, as `field: reason`.
        rules: The rules of `silver.quarantine` that catch the quarantined ones.
        user_ids: Users with at least one good event.
        links: Pairs of anonymous id and user id that stood in one good event.
        sessions: The sessions of the good events.
        outcomes: What the good events come to.
    """

    sent: int = 0
    distinct: int = 0
    duplicates: int = 0
    refused: int = 0
    quarantined: int = 0
    late: int = 0
    overtaken: int = 0
    out_of_order: int = 0
    unknown_movies: int = 0
    without_session: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    user_ids: set[str] = field(default_factory=set, repr=False)
    links: set[tuple[str, str]] = field(default_factory=set, repr=False)
    sessions: SessionTruth = field(default_factory=SessionTruth, repr=False)
    outcomes: Outcomes = field(default_factory=Outcomes, repr=False)
    _newest: str = field(default="", repr=False)
    _overtaken_before: str = field(default="", repr=False)
    _last_progress: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def bad(self) -> int:
        """Events with a fault, whoever must notice it."""
        return self.refused + self.quarantined

    @property
    def accepted(self) -> int:
        """Events that the API must accept."""
        return self.distinct + self.duplicates + self.quarantined

    def add_good(
        self, event: dict[str, Any], *, is_late: bool, user_agent: str | None = None
    ) -> None:
        """Count a good event that was not sent before."""
        self.sent += 1
        self.distinct += 1
        self.late += is_late
        self.by_type[event["event_type"]] += 1
        self.unknown_movies += is_unknown(event.get("movie_id", 0))
        self.without_session += "session_id" not in event
        self._count_who(event)
        self._count_order(event)
        self.sessions.add(event, user_agent)
        self.outcomes.add(event)

    def add_duplicate(self) -> None:
        """Count a good event that was sent before."""
        self.sent += 1
        self.duplicates += 1

    def add_bad(self, fault: Fault) -> None:
        """Count a bad event."""
        self.sent += 1
        self.faults[fault.name] += 1
        if fault.noticed_by == "api":
            self.refused += 1
            self.reasons[fault.expected] += 1
        else:
            self.quarantined += 1
            self.rules[fault.expected] += 1

    def settle(self, until: datetime) -> None:
        """Let go of what nothing can change any more: every event yet to come occurred at `until` or later."""
        text = until.isoformat()
        self._last_progress = {k: at for k, at in self._last_progress.items() if at >= text}

    def report(self) -> dict[str, Any]:
        """All of it as JSON can say it; nothing is counted after it."""
        outcomes = self.outcomes
        return {
            "counts": self._counts(),
            "by_type": dict(self.by_type),
            "refused": {"by_reason": dict(self.reasons)},
            "quarantined": {"by_rule": dict(self.rules)},
            "bad_by_fault": dict(self.faults),
            "session_gap_minutes": GAP_MINUTES,
            "sessions": list(self.sessions.rows()),
            "identities": [{"anonymous_id": a, "user_id": u} for a, u in sorted(self.links)],
            "ratings": list(outcomes.ratings()),
            "comments": list(outcomes.comments()),
            "comment_votes": list(outcomes.votes()),
            "movie_reactions": list(outcomes.reactions()),
            "watchlist": list(outcomes.watchlist()),
            "plays": list(outcomes.plays()),
        }

    def _counts(self) -> dict[str, int]:
        names = (
            "sent",
            "accepted",
            "distinct",
            "duplicates",
            "bad",
            "refused",
            "quarantined",
            "late",
            "overtaken",
            "out_of_order",
            "unknown_movies",
            "without_session",
        )
        return {name: getattr(self, name) for name in names} | {"users": len(self.user_ids)}

    def _count_who(self, event: dict[str, Any]) -> None:
        user, anonymous = event.get("user_id"), event.get("anonymous_id")
        if user is not None:
            self.user_ids.add(user)
            if anonymous is not None:
                self.links.add((anonymous, user))

    def _count_order(self, event: dict[str, Any]) -> None:
        # Times of one format compare as text.
        at: str = event["occurred_at"]
        if at > self._newest:
            self._newest = at
            before = datetime.fromisoformat(at) - LATE_AFTER
            self._overtaken_before = before.isoformat(timespec="microseconds")[:26]
        self.overtaken += at[:26] < self._overtaken_before
        if event["event_type"] == "play_progress":
            play = event["properties"]["play_id"]
            last = self._last_progress.get(play, "")
            self.out_of_order += at < last
            self._last_progress[play] = max(at, last)
