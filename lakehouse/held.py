"""What is in quarantine, read without Spark: a list, one message whole, and counts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cinelake.errors import BadInputError
from cinelake.settings import Settings
from ingestion.topics import MOVIE, USER_LOGS
from lakehouse import changes
from lakehouse.contract import quote_literal, table

QUARANTINE = "silver.quarantine"
_PLACE = re.compile(r"([^/]*)/([0-9]{1,18})/([0-9]{1,18})")
"""Topic, partition, offset; the numbers fit 64 bits."""
LISTED = [name for name in table(QUARANTINE).column_names if name != "payload"]
"""What a list shows: all but the message itself."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Filter:
    """Which messages are meant; None means any.

    Args:
        rule: The rule they broke.
        topic: The Kafka topic they came from.
        since: Only those that were judged then or later.
    """

    rule: str | None = None
    topic: str | None = None
    since: datetime | None = None

    def condition(self) -> str:
        """The filter in SQL.

        Raises:
            BadInputError: There is no such rule or topic.
        """
        parts = ["true"]
        if self.rule is not None:
            check_rule(self.rule)
            parts.append(f"rule = {quote_literal(self.rule)}")
        if self.topic is not None:
            check_topic(self.topic)
            parts.append(f"kafka_topic = {quote_literal(self.topic)}")
        if self.since is not None:
            moment = self.since.astimezone(UTC).isoformat()
            parts.append(f"last_seen_at >= timestamp {quote_literal(moment)}")
        return " and ".join(parts)


def check_rule(rule: str) -> None:
    """Refuse a rule that no message can be held for.

    Raises:
        BadInputError: The message names the rules there are.
    """
    known = next(c.valid_values for c in table(QUARANTINE).columns if c.name == "rule")
    _check("rule", rule, known)


def check_topic(topic: str) -> None:
    """Refuse a topic that feeds no table of silver.

    Raises:
        BadInputError: The message names the topics there are.
    """
    _check("topic", topic, [USER_LOGS, MOVIE])


def _check(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise BadInputError(f"There is no {what} {value!r}.", f"Known are {', '.join(known)}.")


def list_held(settings: Settings, wanted: Filter, limit: int) -> list[Row]:
    """Messages in quarantine without their bytes, the latest first.

    Raises:
        BadInputError: There is no such rule or topic.
    """
    order = "last_seen_at desc, kafka_topic, kafka_partition, kafka_offset"
    rows = changes.query(
        settings,
        QUARANTINE,
        f"select {', '.join(LISTED)} from t where {wanted.condition()} order by {order} limit {limit}",
    )
    return list(rows.to_pylist())


def read_held(settings: Settings, place: str) -> Row:
    """One message with its bytes.

    Args:
        settings: Tells where the lake is.
        place: `TOPIC/PARTITION/OFFSET`.

    Raises:
        BadInputError: That is no place, or no message of it is in quarantine.
    """
    topic, partition, offset = _parsed(place)
    found = changes.query(
        settings,
        QUARANTINE,
        f"select * from t where kafka_topic = {quote_literal(topic)}"
        f" and kafka_partition = {partition} and kafka_offset = {offset}",
    ).to_pylist()
    if not found:
        raise BadInputError(
            f"{place} is not in quarantine.",
            "`cinelake quarantine ls` shows what is; a recovered message is in silver.recoveries.",
        )
    return dict(found[0])


def _parsed(place: str) -> tuple[str, int, int]:
    found = _PLACE.fullmatch(place)
    if found is None:
        raise BadInputError(
            f"{place!r} is no place of a message.",
            "Write TOPIC/PARTITION/OFFSET, for example user_logs/0/42.",
        )
    return found[1], int(found[2]), int(found[3])


def count_held(settings: Settings, since: datetime | None = None) -> list[Row]:
    """How many messages are in quarantine by topic and rule, with the first and the last time of each.

    Args:
        settings: Tells where the lake is.
        since: Only those first seen then or later, UTC.
    """
    seen = f"first_seen_at >= to_timestamp('{since.isoformat()}')" if since else "true"
    rows = changes.query(
        settings,
        QUARANTINE,
        "select kafka_topic, rule, count(*) as messages, min(first_seen_at) as first_seen_at,"
        f" max(last_seen_at) as last_seen_at from t where {seen} group by 1, 2 order by 1, 2",
    )
    return list(rows.to_pylist())


def readable(payload: bytes | None) -> tuple[str, str]:
    """A message as text, or in hexadecimal where it is not UTF-8; and which of the two it is.

    Returns:
        The kind (`text`, `hex` or `none`) and the message.
    """
    if payload is None:
        return "none", ""
    try:
        return "text", payload.decode("utf-8")
    except UnicodeDecodeError:
        return "hex", payload.hex()
