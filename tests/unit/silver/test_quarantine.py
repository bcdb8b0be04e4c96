"""Every rule of a contract sets aside the row that breaks it, with the right rule and reason, and none is lost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import Table, table
from lakehouse.frames import frame_of
from lakehouse.quarantine import contract_rules
from lakehouse.silver import events
from lakehouse.silver.event_rules import LONGEST_PROPERTIES
from lakehouse.silver.refresh import refresh_events, refresh_movies
from tests.unit.silver.conftest import message, rows_of_messages

HASH = "0" * 64


@dataclass(frozen=True)
class Broken:
    """A message that breaks one rule."""

    rule: str
    value: Mapping[str, Any]
    partition: int = 0
    offset: int | None = None


def answer(**fields: Any) -> dict[str, Any]:
    """A TMDB answer as it is published; `fetched_at` and `content_hash` belong to the envelope."""
    envelope = {"fetched_at": "2026-01-01T00:00:00.000000Z", "content_hash": HASH}
    outer = {name: fields.pop(name) for name in envelope if name in fields}
    return {**envelope, **outer, "movie": {"id": 13, "title": "Forrest Gump", **fields}}


def rated(rating: float) -> dict[str, Any]:
    return message(event_type="rating", movie_id=13, properties={"rating": rating})


EVENTS = table("silver.events")
EVENT_TYPES = ", ".join(next(c.valid_values for c in EVENTS.columns if c.name == "event_type"))
STATUSES = ", ".join(
    next(c.valid_values for c in table("silver.movies").columns if c.name == "status")
)

BROKEN_EVENTS = {
    "event_id is missing": Broken("missing_field", message(event_id=None)),
    "event_id is not a UUID": Broken("not_a_uuid", message(event_id="42")),
    "event_type is missing": Broken("missing_field", message(event_type=None)),
    f"event_type is none of {EVENT_TYPES}": Broken(
        "value_not_allowed", message(event_type="sneeze")
    ),
    "schema_version is missing": Broken("missing_field", message(schema_version=None)),
    "schema_version is below 1": Broken("out_of_range", message(schema_version=0)),
    "occurred_at is missing": Broken("missing_field", message(occurred_at=None)),
    "received_at is missing": Broken("missing_field", message(received_at=None)),
    "movie_id is below 1": Broken("out_of_range", message(event_type="play", movie_id=0)),
    "rating is below 0.5": Broken("out_of_range", rated(0)),
    "rating is above 10": Broken("out_of_range", rated(10.5)),
    "kafka_partition is below 0": Broken("out_of_range", message(), partition=-1),
    "kafka_offset is below 0": Broken("out_of_range", message(), offset=-1),
}
COMMENT = {"comment_id": "c1", "text": "Loved it.", "vote": "up"}


def without(event_type: str, *names: str, **properties: Any) -> dict[str, Any]:
    """An event of a user about a movie, some of its properties left out or replaced."""
    kept = {name: value for name, value in COMMENT.items() if name not in names}
    return message(event_type=event_type, movie_id=13, properties=kept | properties)


BROKEN_PROPERTIES = {
    "properties.comment_id is missing": Broken(
        "missing_field", without("comment_edit", "comment_id")
    ),
    "properties.text is missing": Broken("missing_field", without("comment", "text")),
    "properties.position_seconds is missing": Broken("missing_field", without("play_progress")),
    "properties.position_seconds is below 0": Broken(
        "out_of_range", without("play", position_seconds=-1)
    ),
    "properties.vote is none of up, down, none": Broken(
        "value_not_allowed", without("comment_vote", vote="sideways")
    ),
    "properties.reaction is missing": Broken("missing_field", without("movie_reaction")),
    "properties.reaction is none of like, dislike, none": Broken(
        "value_not_allowed", without("movie_reaction", reaction="love")
    ),
    "properties.position_seconds is above 10,000,000": Broken(
        "out_of_range", without("play", position_seconds=1.7e308)
    ),
    "user_id is longer than 128 characters; it is a text of 129 characters": Broken(
        "out_of_range", message(user_id="u" * 129)
    ),
    f"properties is longer than {LONGEST_PROPERTIES} bytes": Broken(
        "out_of_range", without("comment", text="t" * LONGEST_PROPERTIES)
    ),
    "properties.email does not match ^[^@\\s]+@[^@\\s]+$; it is a text of 12 characters": Broken(
        "bad_format", without("user_upsert", email="ada at home.")
    ),
    "event_id is all zeros, and no id of this event alone": Broken(
        "not_a_uuid", message(event_id=str(UUID(int=0)))
    ),
}
EXACT = 2**53 - 1
LATEST = "2199-12-31T23:59:59Z"


def too_long(sent: Callable[[str], Any], name: str, limit: int) -> dict[str, Broken]:
    """A message whose text has a character too many."""
    return {
        f"{name} is longer than {limit} characters": Broken("out_of_range", sent("x" * limit + "x"))
    }


LIMITS_OF_EVENTS = {
    "schema_version is above 1000000": Broken("out_of_range", message(schema_version=1_000_001)),
    f"occurred_at is above {LATEST}": Broken(
        "out_of_range", message(occurred_at="2200-01-01T00:00:00Z")
    ),
    f"received_at is above {LATEST}": Broken(
        "out_of_range", message(received_at="2200-01-01T00:00:00Z")
    ),
    f"movie_id is above {EXACT}": Broken("out_of_range", message(movie_id=EXACT + 1)),
    "kafka_partition is above 1000000": Broken("out_of_range", message(), partition=1_000_001),
    f"kafka_offset is above {EXACT}": Broken("out_of_range", message(), offset=EXACT + 1),
    **too_long(lambda text: message(user_id=text), "user_id", 128),
    **too_long(lambda text: message(anonymous_id=text), "anonymous_id", 128),
    **too_long(lambda text: message(session_id=text), "client_session_id", 128),
    **too_long(lambda text: message(context={"user_agent": text}), "user_agent", 8192),
    **too_long(lambda text: message(context={"locale": text}), "locale", 256),
    **too_long(lambda text: message(context={"referrer": text}), "referrer", 4096),
    **too_long(lambda text: message(context={"app_version": text}), "app_version", 256),
    **too_long(lambda text: message(context={"screen": text}), "screen", 256),
}
UNBREAKABLE_EVENTS = {
    "occurred_at is below 1970-01-01T00:00:00Z": "the rule bad_timestamp finds it first",
    "received_at is below 1970-01-01T00:00:00Z": "it is read as no time, and so is missing",
    "visitor_id is longer than 130 characters": "user_id or anonymous_id has too many first",
    "kafka_topic is longer than 249 characters": "Kafka takes no longer name",
    "properties is longer than 65536 characters": "it has too many bytes first",
    "country does not match ^[A-Z]{2}$": "it is one of those that ISO knows",
    "referrer_class is none of direct, internal, search, social, other": "it is chosen here",
    "visitor_id is missing": "the rule no_visitor finds it first",
    "visitor_id does not match ^[ua]:([.]|[^.])": "a blank id counts as missing",
    "ip_hash does not match ^[0-9a-f]{64}$": "the pseudonym is made here",
    "is_late is missing": "it follows from two required times",
    "kafka_topic is missing": "bronze requires it",
    "kafka_partition is missing": "bronze requires it",
    "kafka_offset is missing": "bronze requires it",
}
OF_EVENTS = BROKEN_EVENTS | LIMITS_OF_EVENTS | BROKEN_PROPERTIES
UNBREAKABLE_MOVIES = {
    "is_deleted is missing": "it is made here",
    "fetched_at is below 1970-01-01T00:00:00Z": "the rule bad_timestamp finds it first",
    "deleted_at is below 1970-01-01T00:00:00Z": "the rule bad_timestamp finds it first",
    "keywords_at is below 1970-01-01T00:00:00Z": "it is fetched_at",
    "credits_at is below 1970-01-01T00:00:00Z": "it is fetched_at",
    f"keywords_at is above {LATEST}": "it is fetched_at",
    f"credits_at is above {LATEST}": "it is fetched_at",
}
BROKEN_MOVIES = {
    "movie_id is missing": Broken("missing_field", answer(id=None)),
    "movie_id is below 1": Broken("out_of_range", answer(id=0)),
    "title is missing": Broken("missing_field", answer(title=" ")),
    f"status is none of {STATUSES}": Broken("value_not_allowed", answer(status="Lost")),
    "runtime_minutes is below 1": Broken("out_of_range", answer(runtime=-1)),
    "budget_usd is below 1": Broken("out_of_range", answer(budget=-1)),
    "revenue_usd is below 1": Broken("out_of_range", answer(revenue=-1)),
    "popularity is below 0": Broken("out_of_range", answer(popularity=-0.1)),
    "vote_average is below 0": Broken("out_of_range", answer(vote_average=-0.1)),
    "vote_average is above 10": Broken("out_of_range", answer(vote_average=10.1)),
    "vote_count is below 0": Broken("out_of_range", answer(vote_count=-1)),
    "imdb_id does not match ^tt[0-9]+$": Broken("bad_format", answer(imdb_id="109830")),
    "fetched_at is missing": Broken("missing_field", answer(fetched_at=None)),
    "content_hash is missing": Broken("missing_field", answer(content_hash=None)),
    "content_hash does not match ^[0-9a-f]{64}$": Broken("bad_format", answer(content_hash="ab")),
    f"movie_id is above {EXACT}": Broken("out_of_range", answer(id=EXACT + 1)),
    "runtime_minutes is above 1000000": Broken("out_of_range", answer(runtime=1e300)),
    "budget_usd is above 1000000000000000": Broken("out_of_range", answer(budget=10**15 + 1)),
    "revenue_usd is above 1000000000000000": Broken("out_of_range", answer(revenue=10**300)),
    "popularity is above 1000000000": Broken("out_of_range", answer(popularity=1e308)),
    "vote_count is above 1000000000000": Broken("out_of_range", answer(vote_count=10**13)),
    "release_date is below 1800-01-01": Broken("out_of_range", answer(release_date="0001-01-01")),
    "release_date is above 2199-12-31": Broken("out_of_range", answer(release_date="9999-12-31")),
    f"fetched_at is above {LATEST}": Broken(
        "out_of_range", answer(fetched_at="2200-01-01T00:00:00Z")
    ),
    f"deleted_at is above {LATEST}": Broken(
        "out_of_range", answer() | {"deleted_at": "9999-12-31T23:59:59Z"}
    ),
    **too_long(lambda text: answer(title=text), "title", 1024),
    **too_long(lambda text: answer(original_title=text), "original_title", 1024),
    **too_long(lambda text: answer(original_language=text), "original_language", 16),
    **too_long(lambda text: answer(overview=text), "overview", 20_000),
    **too_long(lambda text: answer(tagline=text), "tagline", 4096),
    **too_long(lambda text: answer(homepage=text), "homepage", 4096),
    **too_long(lambda text: answer(imdb_id=text), "imdb_id", 16),
}


def messages_of(spark: SparkSession, topic: str, broken: Mapping[str, Broken]) -> DataFrame:
    """Rows of bronze, a message each, in the order of the dictionary."""
    now = datetime(2026, 1, 1)
    rows = [
        (
            topic,
            row.partition,
            at if row.offset is None else row.offset,
            now,
            None,
            json.dumps(row.value).encode(),
            now.date(),
        )
        for at, row in enumerate(broken.values())
    ]
    return frame_of(spark, rows, table("bronze.user_logs").spark_schema())


@pytest.mark.parametrize(
    ("name", "skipped", "broken", "unbreakable"),
    [
        (
            "silver.events",
            {*events.OF_HISTORY, *events.OF_LOOKUPS},
            BROKEN_EVENTS | LIMITS_OF_EVENTS,
            UNBREAKABLE_EVENTS,
        ),
        ("silver.movies", set(), BROKEN_MOVIES, UNBREAKABLE_MOVIES),
    ],
)
def test_every_rule_of_the_contract_has_a_row_that_breaks_it(
    spark: SparkSession,
    name: str,
    skipped: set[str],
    broken: Mapping[str, Broken],
    unbreakable: Mapping[str, str],
) -> None:
    rules = contract_rules(table(name), skip=frozenset(skipped))
    assert {rule.reason for rule in rules} == {*broken, *unbreakable}


def said(reason: str) -> str:
    """A reason without the form of the value."""
    return reason.partition("; it is ")[0]


@pytest.mark.parametrize(
    ("topic", "refresh", "broken", "good", "contract"),
    [
        ("user_logs", refresh_events, OF_EVENTS, message(), EVENTS),
        ("movie", refresh_movies, BROKEN_MOVIES, answer(), table("silver.movies")),
    ],
)
def test_each_broken_row_lands_in_quarantine_once_and_the_good_beside_it_in_silver(
    spark: SparkSession,
    empty_lake: Settings,
    topic: str,
    refresh: Callable[[SparkSession, Settings, DataFrame], None],
    broken: Mapping[str, Broken],
    good: Mapping[str, Any],
    contract: Table,
) -> None:
    refresh(spark, empty_lake, messages_of(spark, topic, {**broken, "": Broken("", good)}))
    refresh(spark, empty_lake, messages_of(spark, topic, broken))
    set_aside = tables.read(spark, empty_lake, "silver.quarantine").collect()
    found = sorted(
        (row.kafka_topic, row.rule, said(row.reason), bytes(row.payload), row.contract_version)
        for row in set_aside
    )
    assert found == sorted(
        (topic, row.rule, said(reason), json.dumps(row.value).encode(), contract.version)
        for reason, row in broken.items()
    )
    ids = {row.event_id for row in set_aside if row.rule == "not_a_uuid"}
    assert ids in (set(), {"42", str(UUID(int=0))})
    assert tables.read(spark, empty_lake, contract.full_name).count() == 1


def test_what_quarantine_holds_of_an_event_can_be_stored_anywhere(
    spark: SparkSession, empty_lake: Settings
) -> None:
    ids = {"a\0b": "a\ufffdb", "\0": "\ufffd", "x" * 300 + "\0": "x" * 256}
    refresh_events(
        spark,
        empty_lake,
        rows_of_messages(spark, [message(event_id=each) for each in ids], "user_logs"),
    )
    rows = tables.read(spark, empty_lake, "silver.quarantine").collect()
    assert {row.event_id for row in rows} == set(ids.values())
    texts = [value for row in rows for value in row if isinstance(value, str)]
    assert [text for text in texts if "\0" in text] == []
    assert {json.loads(bytes(row.payload))["event_id"] for row in rows} == set(ids)
