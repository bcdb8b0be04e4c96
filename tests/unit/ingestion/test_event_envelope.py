"""The canonical form that goes to Kafka, and the two descriptions of it: Spark's and JSON Schema's."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import jsonschema
import orjson
import pytest
from events_by_type import event_of
from hypothesis import given
from hypothesis import strategies as st

from ingestion.events import (
    CONTEXT_FIELDS,
    ENVELOPE_FIELDS,
    EVENT_TYPES,
    SPARK_ENVELOPE_DDL,
    Observed,
    envelope_bytes,
    iso_utc,
    iso_utc_of,
    json_schema,
    partition_key,
    utc_time,
    validate_event,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))


def canonical(raw: dict[str, Any]) -> dict[str, Any]:
    value = orjson.loads(
        envelope_bytes(
            validate_event(raw), Observed(iso_utc(NOW), "192.0.2.1", "Browser/1", "0a1b2c")
        )
    )
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_field_is_there_in_every_type(event_type: str) -> None:
    value = canonical(event_of(event_type))
    assert tuple(value) == ENVELOPE_FIELDS
    assert tuple(value["context"]) == CONTEXT_FIELDS


def test_what_is_absent_is_null() -> None:
    absent = ("session_id", "movie_id", "anonymous_id", "context", "properties", "schema_version")
    value = canonical(event_of("page_view", **dict.fromkeys(absent, ...)))
    assert value["schema_version"] == 1
    assert value["session_id"] is value["movie_id"] is value["properties"] is None
    assert value["context"] == {
        "user_agent": "Browser/1",
        "ip": "192.0.2.1",
        "locale": None,
        "referrer": None,
        "app_version": None,
        "screen": None,
    }


def test_times_are_utc_with_six_digits() -> None:
    value = canonical(event_of("page_view", occurred_at="2026-01-01T01:30:00+05:30"))
    assert value["occurred_at"] == "2025-12-31T20:00:00.000000Z"
    assert value["received_at"] == "2026-01-02T01:04:05.000006Z"


DIGITS = st.text("0123456789", max_size=9)
TIMES = st.one_of(
    st.datetimes(datetime(1, 1, 1)).map(lambda time: f"{time.isoformat()}Z"),
    st.builds(
        "{}T{}{}{}".format,
        st.sampled_from(
            ["2026-01-01", "1969-12-31", "2026-02-29", "2024-02-29", "2026-W01-1", "9999-12-31"]
        ),
        st.sampled_from(["00:00:00", "23:59:59", "24:00:00", "23:59:60", "120000", "12:00"]),
        DIGITS.map(".{}".format) | DIGITS,
        st.sampled_from(["Z", "z", "", "+00:00", "+05:30", "-23:59"]),
    ),
    st.text(max_size=27),
)


@given(TIMES)
def test_a_text_is_written_as_the_time_that_it_says(text: str) -> None:
    try:
        said = iso_utc(utc_time(text))
    except ValueError:
        with pytest.raises(ValueError):
            iso_utc_of(text)
    else:
        assert iso_utc_of(text) == said


def test_one_event_id_is_written_in_one_way() -> None:
    shouted = event_of("page_view", event_id="7F0F9C52-54A3-4F0E-9D0C-0A51B0C6B8A1")
    assert canonical(shouted)["event_id"] == "7f0f9c52-54a3-4f0e-9d0c-0a51b0c6b8a1"


def test_the_key_is_the_user_else_the_anonymous_id() -> None:
    assert partition_key(validate_event(event_of("page_view", user_id="é"))) == "é".encode()
    assert partition_key(validate_event(event_of("page_view", user_id=None))) == b"anon-1"


def test_spark_reads_the_fields_that_are_written_under_their_types() -> None:
    outer = re.sub(r"struct<.*>", "struct", SPARK_ENVELOPE_DDL)
    columns = dict(column.split(" ") for column in outer.split(", "))
    inner = re.search(r"struct<(.*)>", SPARK_ENVELOPE_DDL)
    assert inner is not None
    value = canonical(event_of("rating"))
    assert columns.keys() == value.keys() - {"properties"}
    assert [part.split(":")[0] for part in inner[1].split(", ")] == list(value["context"])
    assert {part.split(": ")[1] for part in inner[1].split(", ")} == {"string"}
    kinds = {"string": str, "int": int, "bigint": int, "struct": dict}
    assert all(type(value[name]) is kinds[kind] for name, kind in columns.items())
    assert columns["movie_id"] == "bigint"


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    published = orjson.loads(orjson.dumps(json_schema()))
    assert published["current_version"] == 1
    schema = published["versions"]["1"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_json_schema_takes_what_the_api_takes(
    event_type: str, validator: jsonschema.protocols.Validator
) -> None:
    validator.validate(event_of(event_type))


@pytest.mark.parametrize(
    "raw",
    [
        event_of("page_view", event_type="teleport"),
        event_of("page_view", event_id=...),
        event_of("page_view", user_id=None, anonymous_id=None),
        event_of("page_view", user_id=..., anonymous_id=...),
        event_of("page_view", received_at="2026-01-01T00:00:00Z"),
        event_of("rating", properties={"rating": 11}),
        event_of("rating", properties={"rating": 8.25}),
        event_of("rating", user_id=...),
        event_of("rating", movie_id="862"),
    ],
)
def test_the_json_schema_refuses_what_the_api_refuses(
    raw: dict[str, Any], validator: jsonschema.protocols.Validator
) -> None:
    assert not validator.is_valid(raw)
