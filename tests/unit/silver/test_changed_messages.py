"""A producer that changes its messages: what is new is kept, and what no longer fits is set aside by name."""

import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.silver import events
from tests.unit.silver.conftest import message

POLICY = events.Policy(pseudonym_secret="a-key-for-tests-only")


def renamed(old: str, new: str, **fields: Any) -> dict[str, Any]:
    """A valid message whose field has another name."""
    sent = message(**fields)
    sent[new] = sent.pop(old)
    return sent


def rated(**properties: Any) -> dict[str, Any]:
    return message(event_type="rating", movie_id=13, properties=properties)


SET_ASIDE = [
    (renamed("event_id", "id"), "missing_field", "event_id is missing"),
    (renamed("event_type", "type"), "missing_field", "event_type is missing"),
    (renamed("schema_version", "version"), "missing_field", "schema_version is missing"),
    (renamed("occurred_at", "happened_at"), "missing_field", "occurred_at is missing"),
    (renamed("received_at", "taken_at"), "missing_field", "received_at is missing"),
    (renamed("movie_id", "film_id", event_type="play", movie_id=13), "missing_field", "movie_id is missing"),
    (renamed("user_id", "userId"), "no_visitor", "neither user_id nor anonymous_id is given"),
    (rated(stars=8.5), "missing_field", "properties.rating is missing"),
    *(
        (sent, "wrong_type", reason)
        for sent, reason in (
            (message(schema_version="one"), "schema_version should be a whole number; it is a text of 3 characters"),
            (message(schema_version=1.5), "schema_version should be a whole number; it is a number"),
            (message(movie_id="13"), "movie_id should be a whole number; it is a text of 2 characters"),
            (message(movie_id=13.0), "movie_id should be a whole number; it is a number"),
            (message(movie_id=[13]), "movie_id should be a whole number; it is a list"),
            (message(context="none"), "context should be an object; it is a text of 4 characters"),
            (message(event_type="comment_delete", properties={"comment_id": 5}), "properties.comment_id should be a text; it is a number"),
            (message(event_type="page_view", properties={"path": ["/"]}), "properties.path should be a text; it is a list"),
            (message(event_type="user_upsert", properties={"timezone": False}), "properties.timezone should be a text; it is true or false"),
            (message(event_type="user_upsert", properties={"birth_year": {}}), "properties.birth_year should be a whole number; it is an object"),
            (rated(rating="high"), "properties.rating should be a number; it is a text of 4 characters"),
        )
    ),
    (message(occurred_at=1767225600), "bad_timestamp", "occurred_at is not an RFC 3339 time from 1970 to 9999"),
]  # fmt: skip


def test_a_renamed_or_retyped_field_is_set_aside_by_a_rule_that_names_it(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    judged = events.transform(bronze_rows(*(sent for sent, *_ in SET_ASIDE)), POLICY)
    rows = judged.orderBy("kafka_offset").select("payload", "broken").collect()
    found = [(row.broken.rule, row.broken.reason) if row.broken else None for row in rows]
    assert found == [(rule, reason) for _, rule, reason in SET_ASIDE]
    assert [json.loads(row.payload) for row in rows] == [sent for sent, *_ in SET_ASIDE]


def test_new_optional_fields_are_taken_and_new_properties_kept(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    new = {"theme": "dark", "tags": ["a", {"b": None}], "scroll_depth": 0.5, "sub": {"x": 1}}
    sent = [
        message(properties=new),
        rated(rating=8.5, **new),
        message(event_type="user_upsert", properties={"name": "Ada", **new}),
        message(a_new_field="kept in bronze", context={"locale": "en-GB", "battery": 0.5}),
    ]
    rows = events.transform(bronze_rows(*sent), POLICY).orderBy("kafka_offset").collect()
    assert [row.broken for row in rows] == [None] * len(sent)
    assert [json.loads(row.properties) for row in rows] == [each["properties"] for each in sent]
    assert (rows[1].rating, rows[3].locale) == (8.5, "en-GB")
