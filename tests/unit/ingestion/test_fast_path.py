"""What is read past the models: nothing that they refuse, and nothing in another form than theirs."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from events_by_type import PROPERTIES, event_of
from hypothesis import given
from hypothesis import strategies as st

from ingestion.api import fast_path
from ingestion.api.bodies import parse_json
from ingestion.api.document import MAX_BATCH
from ingestion.api.fast_path import read_records
from ingestion.events import (
    EVENT_TYPES,
    MAX_PROPERTIES_BYTES,
    Observed,
    envelope_bytes,
    json_schema,
    partition_key,
    validate_event,
)
from ingestion.producer import Record
from ingestion.struct_types import EventTypes

OBSERVED = Observed("2026-01-02T00:00:00.000000Z", "192.0.2.1", "Browser/1", "0a1b2c")
RATING = orjson.dumps(event_of("rating", properties={"rating": 7.5}))
PLAY = orjson.dumps(event_of("play", properties={"position_seconds": 61.5}))


def by_the_models(*raws: Any) -> list[Record]:
    """The messages of events, or the refusal of one."""
    events = [validate_event(raw) for raw in raws]
    return [Record("user_logs", partition_key(e), envelope_bytes(e, OBSERVED)) for e in events]


def assert_models_agree(body: bytes) -> bool:
    """Whether a body of one event is read past the models, which then have to take it, and as the same message."""
    read = read_records(body, OBSERVED)
    assert not read or read == by_the_models(parse_json(body).value)
    return bool(read)


def test_all_event_types_but_that_with_patterns_are_read_past_the_models() -> None:
    assert set(EVENT_TYPES) - set(fast_path.EVENT_TYPES) == {"user_upsert"}


@pytest.mark.parametrize("event_type", fast_path.EVENT_TYPES)
def test_a_whole_event_and_the_least_of_one_become_the_messages_of_the_models(
    event_type: str,
) -> None:
    whole = event_of(event_type)
    least = event_of(
        event_type,
        **dict.fromkeys(("schema_version", "anonymous_id", "session_id", "context"), ...),
        properties=PROPERTIES[event_type] or ...,
    )
    for event in (whole, least):
        assert assert_models_agree(orjson.dumps(event))


@pytest.mark.parametrize(
    "body",
    [b"[%s, %s]", b'{"events": [%s, %s]}', b' \n{\n  "events"\n:[%s\t,%s]}\n'],
)
def test_a_batch_becomes_its_messages_in_their_order(body: bytes) -> None:
    assert read_records(body % (PLAY, RATING), OBSERVED) == by_the_models(
        orjson.loads(PLAY), orjson.loads(RATING)
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"events": []}',
        b'{"events": [%s], "more": 1}' % RATING,
        b'{"more": 1, "events": [%s]}' % RATING,
        b"[%s, %s]" % (RATING, orjson.dumps(event_of("rating", user_id=None))),
        b"[%s" % RATING,
        b"[%s] x" % RATING,
        b"[" * 100_000,
        b"[%s]" % b",".join([RATING] * (MAX_BATCH + 1)),
        orjson.dumps(event_of("user_upsert")),
        orjson.dumps(event_of("rating", properties={"rating": 7.5, "further": 1})),
        orjson.dumps(event_of("page_view", user_id=None, anonymous_id=None)),
        orjson.dumps(event_of("page_view", anonymous_id="[object Object]")),
        orjson.dumps(event_of("page_view", session_id="NaN")),
        orjson.dumps(event_of("page_view", event_id="00000000-0000-0000-0000-000000000000")),
        orjson.dumps(event_of("play", properties={"play_id": "0"})),
        orjson.dumps(event_of("comment", properties={"comment_id": " ", "text": "x"})),
        orjson.dumps(event_of("page_view", occurred_at="2026-02-30T00:00:00Z")),
        orjson.dumps(
            event_of("comment", properties={"comment_id": "c", "text": "x" * MAX_PROPERTIES_BYTES})
        ),
        orjson.dumps(event_of("search", properties={"query": "NUL"})).replace(b"NUL", b"\\u0000"),
    ],
)
def test_everything_else_is_left_to_the_models(body: bytes) -> None:
    assert read_records(body, OBSERVED) == []


RATINGS = {
    b"8": True,
    b"8.0": True,
    b"8e0": True,
    b"80E-1": True,
    b"0.5": True,
    b"7.500000000000000000000000001": True,
    b"7.3": False,
    b"0": False,
    b"10.5": False,
    b"1e400": False,
    b"08": False,
    b"true": False,
    b'"8"': False,
    b"null": False,
}
SECONDS = {
    b"0": True,
    b"-0": True,
    b"-0.0": True,
    b"1e-7": True,
    b"1234567.123456789012345678901234567890": True,
    b"10000000": True,
    b"10000000.5": False,
    b"9007199254740991": False,
    b"9007199254740996": False,
    b"1" * 30: False,
    b"-1e-9": False,
    b"NaN": False,
    b"Infinity": False,
}
TEXTS = {
    rb"\u00e9": True,
    "é 🎬 \u2028".encode(): True,
    rb"\ud83c\udfac": True,
    rb"\ud83c": False,
    rb"\udfac\ud83c": False,
    b"\xed\xa0\x80": False,
    b"\xff": False,
    b"\x01": False,
    rb"\x": False,
    b"x" * 129: False,
    ("🎬" * 128).encode(): True,
    ("🎬" * 129).encode(): False,
    b"": False,
    b"undefined": False,
    rb"\u006eull": False,
    b" -1 ": False,
    b"00": True,
}


@pytest.mark.parametrize(
    ("body", "is_read"),
    [
        *((RATING.replace(b"7.5", number), is_read) for number, is_read in RATINGS.items()),
        *((PLAY.replace(b"61.5", number), is_read) for number, is_read in SECONDS.items()),
        *((RATING.replace(b"user-1", text), is_read) for text, is_read in TEXTS.items()),
    ],
    ids=[repr(value) for value in (*RATINGS, *SECONDS, *TEXTS)],
)
def test_a_value_is_read_as_the_models_read_it(body: bytes, is_read: bool) -> None:
    assert assert_models_agree(body) is is_read


@pytest.mark.parametrize("name", [b"event_type", b"event_\\u0074ype", b"user_id"])
@pytest.mark.parametrize("value", [b'"rating"', b'"play"', b'""', b"null"])
@pytest.mark.parametrize("is_first", [True, False])
def test_of_a_field_that_stands_twice_the_same_value_counts(
    name: bytes, value: bytes, is_first: bool
) -> None:
    again = b'"%s": %s' % (name, value)
    if is_first:
        assert_models_agree(b"{%s, %s" % (again, RATING[1:]))
    else:
        assert_models_agree(b"%s, %s}" % (RATING[:-1], again))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [0.5, 10, "up", "none", "2026-01-01T00:00:00Z", "1999-12-31 23:59:59.1234567+05:30"]
    )
    | st.text(max_size=200),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(event_type=st.sampled_from(fast_path.EVENT_TYPES), data=st.data())
def test_any_value_in_any_field_is_read_as_the_models_read_it(
    event_type: str, data: st.DataObject
) -> None:
    event = event_of(event_type)
    part = data.draw(st.sampled_from([event, event["context"], event["properties"]]))
    field = data.draw(st.sampled_from([*part, "unknown"]))
    changed = {**part, field: data.draw(VALUES)}
    if part is event["context"]:
        changed = {**event, "context": changed}
    elif part is event["properties"]:
        changed = {**event, "properties": changed}
    body = orjson.dumps(changed)
    read = read_records(body, OBSERVED)
    if read:
        assert read == by_the_models(changed)


@pytest.mark.parametrize(
    "rule",
    [
        lambda of_search: of_search["properties"]["query"].update(contentEncoding="base64"),
        lambda of_search: of_search.update(minProperties=2),
    ],
    ids=["of a field", "of an object"],
)
def test_a_rule_that_msgspec_would_not_check_leaves_the_event_type_to_the_models(
    rule: Callable[[dict[str, Any]], None],
) -> None:
    schema = json_schema()["versions"]["1"]
    rule(schema["$defs"]["SearchProperties"])
    translated = {struct.event_type for struct in EventTypes(schema)}
    assert set(fast_path.EVENT_TYPES) - translated == {"search"}
