from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from events_by_type import PROPERTIES, event_of
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ingestion.events import (
    EVENT_TYPES,
    MAX_PROPERTIES_BYTES,
    InvalidEventError,
    Observed,
    envelope_bytes,
    is_placeholder,
    iso_utc,
    json_schema,
    partition_key,
    validate_event,
)
from ingestion.json_limits import Problem

NOW = datetime(2026, 1, 2, tzinfo=UTC)
OF_MOVIE = (
    "movie_view",
    "play",
    "play_progress",
    "play_complete",
    "rating",
    "rating_removed",
    "comment",
    "movie_reaction",
    "watchlist_add",
    "watchlist_remove",
)
OF_USER = (
    "rating",
    "rating_removed",
    "comment",
    "comment_edit",
    "comment_delete",
    "comment_vote",
    "movie_reaction",
    "watchlist_add",
    "watchlist_remove",
    "user_upsert",
)


def problems_of(raw: Any) -> list[Problem]:
    with pytest.raises(InvalidEventError) as refusal:
        validate_event(raw)
    assert refusal.value.problems
    # Whatever came in, the answer about it can be written and stays small.
    assert len(orjson.dumps([tuple(problem) for problem in refusal.value.problems])) < 20_000
    return refusal.value.problems


def sent(raw: Any) -> dict[str, Any]:
    """The message that an event becomes."""
    value: dict[str, Any] = orjson.loads(
        envelope_bytes(validate_event(raw), Observed(iso_utc(NOW), None, None, None))
    )
    return value


def fields_of(raw: Any) -> list[str]:
    return [problem.field for problem in problems_of(raw)]


def test_the_samples_cover_every_event_type() -> None:
    assert set(PROPERTIES) == set(EVENT_TYPES)
    assert len(EVENT_TYPES) == 18


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_an_event_of_each_type_is_accepted(event_type: str) -> None:
    event = validate_event(event_of(event_type))
    assert event.event_type == event_type
    assert event.occurred_at == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_movie_id_is_required_where_a_movie_is_meant(event_type: str) -> None:
    raw = event_of(event_type, movie_id=...)
    if event_type in OF_MOVIE:
        assert fields_of(raw) == ["movie_id"]
    else:
        validate_event(raw)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_user_is_required_where_someone_must_have_signed_in(event_type: str) -> None:
    raw = event_of(event_type, user_id=None)
    if event_type in OF_USER:
        assert fields_of(raw) == ["user_id"]
    else:
        validate_event(raw)


def test_an_event_of_nobody_is_refused() -> None:
    assert fields_of(event_of("page_view", user_id=..., anonymous_id=...)) == ["user_id"]


@pytest.mark.parametrize("field", ["event_id", "event_type", "occurred_at"])
def test_a_missing_field_is_refused_by_its_name(field: str) -> None:
    assert problems_of(event_of("page_view", **{field: ...})) == [Problem(field, "is required")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "not-a-uuid"),
        ("event_id", 7),
        ("event_id", None),
        ("event_type", "teleport"),
        ("event_type", ["rating"]),
        ("event_type", "x" * 100_000),
        ("schema_version", "1"),
        ("schema_version", True),
        ("schema_version", 0),
        ("schema_version", 2),
        ("occurred_at", "2026-01-01T12:00:00"),
        ("occurred_at", "2026-02-30T12:00:00Z"),
        ("occurred_at", 1767268800),
        ("occurred_at", "1767268800"),
        ("occurred_at", "yesterday"),
        ("occurred_at", "٢٠٢٦-01-01T12:00:00Z"),
        ("occurred_at", "0001-01-01T00:00:00+14:00"),
        ("occurred_at", "9999-12-31T23:59:59-14:00"),
        ("user_id", ""),
        ("user_id", "x" * 129),
        ("user_id", 5),
        ("anonymous_id", {"id": 1}),
        ("user_id", "Undefined"),
        ("user_id", "\u2003-1\n"),
        ("event_id", "00000000-0000-0000-0000-000000000000"),
        ("event_id", "{00000000000000000000000000000000}"),
        ("movie_id", "862"),
        ("movie_id", 862.0),
        ("movie_id", True),
        ("movie_id", 0),
        ("movie_id", -1),
        ("movie_id", 2**53),
        ("context", "en-GB"),
        ("properties", []),
    ],
)
def test_a_malformed_field_is_refused_by_its_name(field: str, value: object) -> None:
    assert fields_of(event_of("rating", **{field: value})) == [field]


@pytest.mark.parametrize(
    ("event_type", "properties", "field"),
    [
        ("rating", {}, "rating"),
        ("rating", {"rating": "8"}, "rating"),
        ("rating", {"rating": True}, "rating"),
        ("rating", {"rating": None}, "rating"),
        ("rating", {"rating": 0}, "rating"),
        ("rating", {"rating": 11}, "rating"),
        ("rating", {"rating": 8.25}, "rating"),
        ("play_progress", {}, "position_seconds"),
        ("play_progress", {"position_seconds": -1}, "position_seconds"),
        ("search", {}, "query"),
        ("comment", {"comment_id": "c1"}, "text"),
        ("comment", {"comment_id": "c1", "text": ""}, "text"),
        ("comment_vote", {"comment_id": "c1", "vote": "sideways"}, "vote"),
        ("movie_reaction", {"reaction": "love"}, "reaction"),
        ("user_upsert", {"email": "nobody"}, "email"),
        ("user_upsert", {"country": "gb"}, "country"),
        ("user_upsert", {"birth_year": 1990.0}, "birth_year"),
    ],
)
def test_a_malformed_property_is_refused_by_its_name(
    event_type: str, properties: dict[str, object], field: str
) -> None:
    assert fields_of(event_of(event_type, properties=properties)) == [f"properties.{field}"]


PLACEHOLDERS_SENT = [
    *(
        "undefined",
        "UNDEFINED",
        " null ",
        "NaN",
        "None",
        "[object Object]",
        "0",
        "-1",
        "",
        "\t\u3000",
    ),
    "00000000-0000-0000-0000-000000000000",
]


@pytest.mark.parametrize("text", PLACEHOLDERS_SENT)
def test_a_placeholder_counts_as_missing(text: str) -> None:
    value = sent(event_of("play", user_id=text, session_id=text, properties={"play_id": text}))
    assert (value["user_id"], value["session_id"]) == (None, None)
    assert value["properties"] == {"play_id": None}
    assert partition_key(validate_event(event_of("play", user_id=text))) == b"anon-1"
    reply = {"comment_id": "c1", "text": text or "x", "parent_comment_id": text}
    assert sent(event_of("comment", properties=reply))["properties"]["parent_comment_id"] is None
    # Without a user, without a comment, and without both ids there is no event.
    assert fields_of(event_of("rating", user_id=text)) == ["user_id"]
    assert fields_of(event_of("comment_delete", properties={"comment_id": text})) == [
        "properties.comment_id"
    ]
    assert fields_of(event_of("page_view", user_id=text, anonymous_id=text)) == ["user_id"]


@pytest.mark.parametrize("text", ["00", "-1-1", "undefined.", "nul", "0.0", "nobody", "\ufeff"])
def test_an_id_that_is_like_a_placeholder_is_an_id(text: str) -> None:
    assert sent(event_of("page_view", user_id=text))["user_id"] == text


@pytest.mark.parametrize("text", PLACEHOLDERS_SENT)
def test_the_schema_says_what_counts_as_missing(text: str) -> None:
    schema = Draft202012Validator(json_schema()["versions"]["1"])
    for event, is_valid in (
        (event_of("page_view", user_id=text), True),
        (event_of("page_view", user_id=text, anonymous_id=text), False),
        (event_of("rating", user_id=text), False),
        (event_of("play", properties={"play_id": text}), True),
        (event_of("comment_delete", properties={"comment_id": text}), False),
    ):
        assert schema.is_valid(event) is is_valid


@pytest.mark.parametrize("seconds", [10_000_000.5, 1e300, 2**53])
def test_a_position_beyond_any_film_is_refused(seconds: float) -> None:
    validate_event(event_of("play", properties={"position_seconds": 10_000_000}))
    raw = event_of("play", properties={"position_seconds": seconds})
    assert fields_of(raw) == ["properties.position_seconds"]


def test_a_rating_that_is_nearly_a_step_is_refused() -> None:
    raw = event_of("rating", properties={"rating": 8.5000000001})
    assert fields_of(raw) == ["properties.rating"]


@pytest.mark.parametrize("rating", [0.5, 1, 5, 9.5, 10, 10.0])
def test_ratings_go_from_a_half_to_ten_in_halves(rating: float) -> None:
    validate_event(event_of("rating", properties={"rating": rating}))


@pytest.mark.parametrize(
    "raw",
    [
        event_of("page_view", received_at="2026-01-01T00:00:00Z"),
        event_of("page_view", received_at=None),
        event_of("page_view", context={"ip": "127.0.0.1"}),
        event_of("page_view", context={"user_agent": "forged"}),
    ],
)
def test_a_client_cannot_forge_what_the_server_observes(raw: dict[str, Any]) -> None:
    (problem,) = problems_of(raw)
    assert problem.field in ("received_at", "context.ip", "context.user_agent")
    assert "set by the server" in problem.reason


def test_an_unknown_field_of_the_envelope_is_refused_and_its_name_is_cut() -> None:
    (problem,) = problems_of(event_of("page_view", **{"x" * 5000: 1}))
    assert problem.reason == "is not a field of this event"
    assert len(problem.field) <= 201


def test_unknown_properties_are_kept_even_under_names_of_the_model() -> None:
    extra = {"model_dump": 1, "model_config": 2, "__dict__": {}, "__class__": "x", "a.b": [None]}
    event = validate_event(event_of("rating", properties={"rating": 8, **extra}))
    value = orjson.loads(envelope_bytes(event, Observed(iso_utc(NOW), None, None, None)))
    assert value["properties"] == {"rating": 8.0, **extra}


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x\udfff", "é\0"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("as_key", [False, True])
def test_nul_and_half_surrogates_are_refused_wherever_they_stand(
    bad: str, deep: bool, as_key: bool
) -> None:
    inner: Any = {bad: 1} if as_key else {"text": bad}
    properties = {"query": "q", "deep": [1, {"er": inner}]} if deep else {"query": "q", **inner}
    (problem,) = problems_of(event_of("search", properties=properties))
    assert problem.field.startswith("properties")
    assert fields_of(event_of("search", user_id=bad)) == ["user_id"]
    assert fields_of(event_of("search", context={"locale": bad})) == ["context.locale"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 2**63, -(2**63) - 1])
def test_numbers_that_json_or_64_bits_cannot_hold_are_refused(number: float) -> None:
    raw = event_of("search", properties={"query": "q", "n": number})
    assert fields_of(raw) == ["properties.n"]


def test_properties_nest_eight_levels_and_no_more() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels - 1):
            value = {"a": value}
        return value

    validate_event(event_of("page_view", properties=nested(8)))
    assert "nests deeper" in problems_of(event_of("page_view", properties=nested(9)))[0].reason
    assert "nests deeper" in problems_of(event_of("page_view", properties=nested(900)))[0].reason


def test_properties_take_16_kib_and_no_more() -> None:
    room = MAX_PROPERTIES_BYTES - len(orjson.dumps({"query": "q", "pad": ""}))
    validate_event(event_of("search", properties={"query": "q", "pad": "x" * room}))
    too_long = event_of("search", properties={"query": "q", "pad": "x" * (room + 1)})
    assert fields_of(too_long) == ["properties"]


@pytest.mark.parametrize("raw", [None, 7, "text", [], [{}], True])
def test_what_is_no_object_is_no_event(raw: object) -> None:
    assert problems_of(raw) == [Problem("", "should be a JSON object")]


def test_many_problems_are_listed_up_to_a_limit() -> None:
    assert len(problems_of(event_of("search", properties={str(n): "\0" for n in range(99)}))) == 20


# Patterns that break software: scripts, quotes, formats, bidirectional text, emoji, injections.
NAUGHTY = [
    "undefined", "NULL", "1/0", "-0", "0x0", "1e1000", "٠١٢", "'; drop table users; --", "<script>",
    "${jndi:ldap://x}", "{{7*7}}", "%s%n%x", "../../etc/passwd", "\\u0000", "ﷺ", "Ω≈ç√", "田中さん",
    "🏳0🌈️", "👩‍👩‍👧‍👦", "ثم نفس", "\u202etest\u202c", "\ufeff", "\u2028", "Z̮̞̠͙͔ͅ", "\t\r\n\x0b\x7f\x85", " ",
]  # fmt: skip


@pytest.mark.parametrize("text", NAUGHTY)
def test_naughty_strings_come_through_unchanged(text: str) -> None:
    user = f"u{text}"
    event = validate_event(event_of("search", user_id=user, properties={"query": text, text: text}))
    value = orjson.loads(envelope_bytes(event, Observed(iso_utc(NOW), None, text, None)))
    assert value["user_id"] == user
    assert value["properties"]["query"] == value["properties"][text] == text
    assert value["context"]["user_agent"] == text


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(raw=json_values)
def test_no_json_value_breaks_the_validation(raw: object) -> None:
    problems_of(raw)


@given(event_type=st.sampled_from(EVENT_TYPES), data=st.data())
def test_any_value_in_any_field_is_either_refused_or_comes_through(
    event_type: str, data: st.DataObject
) -> None:
    raw = event_of(event_type)
    field = data.draw(st.sampled_from([*raw, "unknown"]))
    raw[field] = data.draw(json_values)
    try:
        event = validate_event(raw)
    except InvalidEventError as refusal:
        assert orjson.dumps([tuple(problem) for problem in refusal.problems])
        return
    value = orjson.loads(envelope_bytes(event, Observed(iso_utc(NOW), None, None, None)))
    if field in ("user_id", "anonymous_id", "session_id"):
        known = raw[field] is not None and not is_placeholder(raw[field])
        assert value[field] == (raw[field] if known else None)
    elif field in ("movie_id", "properties"):
        assert value[field] == raw[field]


@given(moment=st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1), timezones=st.timezones()))
def test_any_time_with_an_offset_is_kept_in_utc(moment: datetime) -> None:
    # Some zones of the past have offsets with seconds, which RFC 3339 cannot write.
    if (moment.utcoffset() or moment - moment).total_seconds() % 60:
        return
    event = validate_event(event_of("page_view", occurred_at=moment.isoformat()))
    # Compared in UTC: Python calls an hour that a clock shows twice unequal to everything in another zone.
    assert event.occurred_at == moment.astimezone(UTC)
    assert event.occurred_at.tzinfo is UTC
