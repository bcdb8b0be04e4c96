"""Of a message from any producer silver says what the API says of the same event from a client."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ingestion.events import (
    BLANKS,
    CONTEXT_FIELDS,
    EVENT_TYPES,
    MAX_SECONDS,
    NO_EVENT_ID,
    PLACEHOLDERS,
    InvalidEventError,
    Observed,
    envelope_bytes,
    validate_event,
)
from ingestion.json_limits import MAX_DEPTH
from lakehouse.silver import event_rules, events
from tests.drawing import drawn
from tests.unit.silver.conftest import message

POLICY = events.Policy(pseudonym_secret="a-key-for-tests-only")
OBSERVED = Observed("2100-01-01T00:00:00.000000Z", "192.0.2.1", "test", None)
DRAWN = 900
SEED = 25

# --- Drawing events at the edges of the contract --------------------------------------------------------------

blanks = st.text(st.sampled_from(BLANKS), max_size=2)
placeholders = st.builds(
    lambda before, text, after: before + text + after,
    blanks,
    st.sampled_from(sorted(PLACEHOLDERS)).flatmap(
        lambda text: st.sampled_from([text, text.upper(), text.title()])
    ),
    blanks,
)
characters = st.characters(exclude_categories=[]) | st.sampled_from(
    '\0\ud800\udfff🎬\\"\u0301|@ \n'
)
texts = st.text(characters, max_size=8)
lengths = st.sampled_from([0, 1, 127, 128, 129, 256, 257, 320, 321, 4096, 4097, 16_300, 16_500])
long_texts = st.builds(
    lambda letter, length: letter * length, st.sampled_from(["a", "映", "🎬"]), lengths
)
emails = st.sampled_from(
    ["a@b", "a@b\n", "@b", "a@", "a b@c", "a\u2003b@c", "a@b@c", "a" * 318 + "@b", "a" * 319 + "@b"]
)
numbers = st.sampled_from(
    [
        0,
        -0.0,
        1,
        -1,
        0.5,
        8.25,
        10,
        10.5,
        8.5000000001,
        1899,
        1900,
        2100,
        2101,
        862.0,
        1e3,
        MAX_SECONDS,
        MAX_SECONDS + 0.5,
        2**53 - 1,
        2**53,
        2**63 - 1,
        2**63,
        -(2**63),
        1.7e308,
        5e-324,
    ]
)
others = st.sampled_from(
    [None, True, False, [], {}, [1], {"a": 1}, "8", "862", "", "up", "none", "GB", "gb"]
)


def nested(levels: int) -> Any:
    """Lists and objects within each other, with brackets in their texts."""
    value: Any = '{[{["\\'
    for level in range(levels):
        value = [value] if level % 2 else {"a}]": value}
    return value


values = placeholders | texts | long_texts | emails | numbers | others
times = st.sampled_from(
    [
        *("2026-01-01T12:00:00Z", "2026-01-01 12:00:00.123456+05:30", "2026-01-01t12:00:00.1z"),
        *("2026-01-01", "2026-01-01T12:00:00", "12:30", "T12:00Z", "0000-00-00T00:00:00Z", "now"),
        *("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "-0001-11-30"),
        "2026-01-01T12:00:00-14:00",
    ]
)


deep = st.integers(MAX_DEPTH - 2, MAX_DEPTH + 2).map(nested)

GOOD = {
    "path": "/",
    "play_id": "p",
    "position_seconds": 1.5,
    "query": "q",
    "rating": 8.5,
    "comment_id": "c",
    "text": "Loved it",
    "vote": "up",
    "reaction": "like",
    "email": "ada@example.org",
    "country": "GB",
    "birth_year": 1990,
}
OF_TYPE = {
    event_type: [
        field
        for field in event_rules.fields()
        if not field.event_types or event_type in field.event_types
    ]
    for event_type in EVENT_TYPES
}
RICH = [kind for kind, fields in OF_TYPE.items() if any("properties." in f.place for f in fields)]


def edges(schema: dict[str, Any]) -> list[Any]:
    """Values on both sides of each limit in a JSON Schema."""
    found: list[Any] = list(schema.get("enum", ()))
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if word in schema:
            limit = schema[word]
            found += [limit - 1, limit, limit + 1, limit - 0.5, limit + 0.5]
    for word in ("minLength", "maxLength"):
        found += ["🎬" * (schema[word] + more) for more in (-1, 0, 1) if word in schema]
    if "pattern" in schema:
        found += ["a@b", "a@b\n", "a\u2003b@c", "GB", "GB\n", "gb", "\u0413\u0411"]
    return found


@st.composite
def drawn_events(draw: st.DrawFn) -> dict[str, Any]:
    """An event of any type with a value or two drawn; about half of them keep to the contract."""
    event_type = draw(st.sampled_from([*EVENT_TYPES, *RICH, *RICH]))
    properties = {f.place.partition(".")[2] for f in OF_TYPE[event_type]}
    event: dict[str, Any] = {
        **message(event_type=event_type, movie_id=13, anonymous_id="device", session_id="s"),
        "context": {"locale": "en-GB", "referrer": "https://example.org/"},
        "properties": {name: value for name, value in GOOD.items() if name in properties},
    }
    del event["received_at"]
    for _ in range(draw(st.integers(0, 2))):
        match draw(st.integers(0, 19)):
            case 0:
                event["event_id"] = draw(st.sampled_from([str(NO_EVENT_ID), "42", None, 7, "0"]))
            case 1:
                event["occurred_at"] = draw(times | others)
            case 2:
                name = draw(st.sampled_from(["event_type", "schema_version"]))
                event[name] = draw(st.sampled_from([0, 1, 2, 1.5, True, None, "page_view"]))
            case 6 | 7:
                event["properties"] = {**event["properties"], "further": draw(values | deep)}
            case 4:
                del event[draw(st.sampled_from(sorted(event.keys() - {"context", "properties"})))]
                break
            case 5:
                event[draw(st.sampled_from(["context", "properties"]))] = draw(others)
                break
            case _:
                mine = [f for f in OF_TYPE[event_type] if f.place not in _DRAWN_APART]
                within = [f for f in mine if f.place.startswith("properties.")]
                field = draw(st.sampled_from(mine + within * 3))
                drawn = st.sampled_from(edges(field.schema)) if edges(field.schema) else values
                _put(event, field.place, draw(drawn | values))
    return event


_DRAWN_APART = ("event_id", "context", "properties", "context.ip", "context.user_agent", "key_id")


def _put(event: dict[str, Any], place: str, value: Any) -> None:
    top, _, below = place.partition(".")
    event[top] = {**event[top], below: value} if below else value


def as_sent(event: dict[str, Any]) -> bytes:
    """The message of a producer that writes the canonical form by itself, and checks nothing."""
    context = event.get("context")
    observed = {"user_agent": OBSERVED.user_agent, "ip": OBSERVED.ip}
    sent = {
        **event,
        "received_at": OBSERVED.received_at,
        "key_id": None,
        "context": {**context, **observed} if isinstance(context, dict) else context,
    }
    return json.dumps(sent).encode()


def of_the_api(event: dict[str, Any]) -> bytes | None:
    """The message that the API makes of an event; None where it refuses it."""
    try:
        return envelope_bytes(validate_event(event), OBSERVED)
    except InvalidEventError:
        return None


def is_of_a_newer_producer(event: dict[str, Any]) -> bool:
    """Whether it has a field that the contract does not know, which silver alone passes over."""
    context = event.get("context")
    return isinstance(context, dict) and not context.keys() <= set(CONTEXT_FIELDS)


# --- The promise ----------------------------------------------------------------------------------------------


def test_silver_takes_and_refuses_the_events_that_the_api_takes_and_refuses(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    # A message without a version is none of the API's, which writes the one that it takes for granted.
    sent = [
        event
        for event in drawn(drawn_events(), SEED, DRAWN)
        if "schema_version" in event and not is_of_a_newer_producer(event)
    ]
    taken = [of_the_api(event) for event in sent]
    assert 0.2 < sum(map(bool, taken)) / len(taken) < 0.8
    messages = [as_sent(event) for event in sent] + [value for value in taken if value]
    at_once = F.lit(OBSERVED.received_at).cast("timestamp")
    bronze = bronze_rows(*messages).withColumn("timestamp", at_once)
    rows = events.transform(bronze, POLICY).orderBy("kafka_offset").collect()
    differing = [
        (event, bool(by_api), row.broken)
        for event, by_api, row in zip(sent, taken, rows, strict=False)
        if bool(by_api) != (row.broken is None)
    ]
    assert differing == []
    # What the API has made of an event and what silver makes of it as it was sent is one row.
    places = [n for n, value in enumerate(taken) if value]
    columns = ("event_id", "user_id", "anonymous_id", "client_session_id", "movie_id", "rating")
    for place, by_api in zip(places, rows[len(sent) :], strict=True):
        assert by_api.broken is None
        assert [rows[place][name] for name in columns] == [by_api[name] for name in columns]
