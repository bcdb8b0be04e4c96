"""What is in quarantine can be listed, shown byte for byte and counted."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError
from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.held import Filter, count_held, list_held, read_held, readable

QUARANTINE = table("silver.quarantine")


def held(topic: str, offset: int, rule: str, day: int, payload: bytes | None) -> tuple[Any, ...]:
    seen = datetime(2026, 1, day, tzinfo=UTC)
    return (topic, 0, offset, rule, "a reason", None, payload, "1.0.0", seen, seen, 1)


ROWS = [
    held("user_logs", 1, "not_json", 1, b"\xff\x00"),
    held("user_logs", 2, "missing_field", 2, '{"é": 1}'.encode()),
    held("user_logs", 3, "missing_field", 3, b""),
    held("movie", 1, "not_json", 4, None),
]


@pytest.fixture
def lake_with_bad(spark: SparkSession, empty_lake: Settings) -> Settings:
    """Settings of a lake with four messages in quarantine."""
    path = tables.table_path(empty_lake, QUARANTINE.full_name)
    rows = frame_of(spark, ROWS, QUARANTINE.spark_schema())
    rows.write.format("delta").mode("append").save(path)
    return empty_lake


def test_messages_are_listed_shown_and_counted(lake_with_bad: Settings) -> None:
    def offsets(limit: int = 10, **wanted: Any) -> list[int]:
        rows = list_held(lake_with_bad, Filter(**wanted), limit)
        assert all("payload" not in row for row in rows)
        return [row["kafka_offset"] for row in rows]

    assert offsets() == [1, 3, 2, 1]
    assert offsets(2) == [1, 3]
    assert offsets(rule="missing_field") == [3, 2]
    assert offsets(rule="not_json", topic="user_logs") == [1]
    assert offsets(since=datetime(2026, 1, 3, tzinfo=UTC)) == [1, 3]

    whole = read_held(lake_with_bad, "user_logs/0/1")
    assert (whole["payload"], whole["rule"]) == (b"\xff\x00", "not_json")
    for wrong in ("user_logs/0/9", "user_logs/0", "user_logs/0/x", "o'hara/0/1"):
        with pytest.raises(BadInputError, match=r"no place|not in quarantine"):
            read_held(lake_with_bad, wrong)

    counted = [tuple(row.values())[:3] for row in count_held(lake_with_bad)]
    assert counted == [
        ("movie", "not_json", 1),
        ("user_logs", "missing_field", 2),
        ("user_logs", "not_json", 1),
    ]
    assert count_held(lake_with_bad)[1]["last_seen_at"] == datetime(2026, 1, 3, tzinfo=UTC)


def test_an_unknown_rule_or_topic_is_refused_with_those_there_are(lake: Settings) -> None:
    with pytest.raises(BadInputError) as refused:
        list_held(lake, Filter(rule="nope"), 1)
    assert "value_not_allowed" in refused.value.hint
    with pytest.raises(BadInputError) as refused:
        list_held(lake, Filter(topic="user_logs_rejected"), 1)
    assert refused.value.hint == "Known are user_logs, movie."


def test_a_lake_without_quarantine_has_nothing_in_it(lake: Settings) -> None:
    assert list_held(lake, Filter(), 1) == []
    assert count_held(lake) == []


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (None, ("none", "")),
        (b"", ("text", "")),
        ("é".encode(), ("text", "é")),
        (b"\xff\x00", ("hex", "ff00")),
    ],
)
def test_bytes_are_shown_as_text_or_in_hexadecimal(
    payload: bytes | None, shown: tuple[str, str]
) -> None:
    assert readable(payload) == shown
