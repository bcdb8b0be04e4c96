"""`silver.events`: what is kept, what is set aside and why."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from ingestion.events import validate_event
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.silver import events
from lakehouse.silver.watch_history import EVENT_TYPES as WATCHED
from tests.unit.silver.conftest import message, rows_of_messages

POLICY = events.Policy(pseudonym_secret="a-key-for-tests-only")

BROKEN = [
    (b"not json", "not_json"),
    (b"[1, 2]", "not_json"),
    (b'{"event_id": ', "not_json"),
    (None, "text_not_storable"),
    (b'\xff\xfe{"a": 1}', "text_not_storable"),
    (message(user_id="a\x00b"), "text_not_storable"),
    (message(event_id="a\x00b"), "text_not_storable"),
    (message(user_id="a\ud800b"), "text_not_storable"),
    (message(event_type="user_upsert", properties={"email": "\ud800@x.org"}), "text_not_storable"),
    (rb'{"event_id": "\\\\\\\ud83c\u0301"}', "text_not_storable"),
    (message(properties=[1, "email"]), "wrong_type"),
    (message(properties="email"), "wrong_type"),
    (message(properties=5), "wrong_type"),
    (message(properties={"n": 2**63}), "out_of_range"),
    (message(properties={"n": [1, -(2**63) - 1]}), "out_of_range"),
    (b'{"properties": {"n": 1e400}}', "out_of_range"),
    (message(user_id="undefined"), "no_visitor"),
    (message(user_id=" NULL\u2003", anonymous_id="[object Object]"), "no_visitor"),
    (message(event_type="comment_delete", properties={"comment_id": "0"}), "missing_field"),
    (message(occurred_at="2026-01-01"), "bad_timestamp"),
    (message(occurred_at="2026-01-01T12:00:00"), "bad_timestamp"),
    (message(movie_id="thirteen"), "wrong_type"),
    (message(user_id=5), "wrong_type"),
    (message(session_id={"id": "s"}), "wrong_type"),
    (message(event_type=["page_view"]), "wrong_type"),
    (message(occurred_at=1767225600), "bad_timestamp"),
    (message(context={"ip": "192.0.2.1", "locale": 7}), "wrong_type"),
    (message(context={"user_agent": True}), "wrong_type"),
    (message(context="firefox"), "wrong_type"),
    (message(occurred_at="yesterday"), "bad_timestamp"),
    (message(occurred_at="T12:00:00"), "bad_timestamp"),
    (message(occurred_at="1969-12-31T23:59:59Z"), "bad_timestamp"),
    (message(occurred_at="-200000-01-01T00:00:00Z"), "bad_timestamp"),
    (message(received_at="+294247-01-10T04:00:54Z"), "missing_field"),
    (message(user_id=None), "no_visitor"),
    (message(event_id=None), "missing_field"),
    (message(event_id="42"), "not_a_uuid"),
    (message(event_type="sneeze"), "value_not_allowed"),
    (message(schema_version=0), "out_of_range"),
    (message(occurred_at=None), "missing_field"),
    (message(received_at=None), "missing_field"),
    (message(occurred_at="2026-01-01T00:05:02Z"), "occurred_in_the_future"),
    (message(received_at="2026-02-01T00:05:00.000001Z"), "occurred_in_the_future"),
    (message(received_at="2199-12-31T23:59:59Z"), "occurred_in_the_future"),
    (message(event_type="play", movie_id=None), "missing_field"),
    (message(event_type="play", movie_id=0), "out_of_range"),
    *(
        (message(event_type=kind, movie_id=13, properties={"position_seconds": seconds}), rule)
        for kind in WATCHED
        for seconds, rule in ((-5, "out_of_range"), (1e300, "out_of_range"), ("NaN", "wrong_type"))
    ),
    (
        message(event_type="watchlist_add", movie_id=13, user_id=None, anonymous_id="x"),
        "missing_field",
    ),
    (message(event_type="rating", movie_id=13, properties={}), "missing_field"),
    (message(event_type="rating", movie_id=13, properties={"rating": 11}), "out_of_range"),
    (message(event_type="rating", movie_id=13, properties={"rating": 0}), "out_of_range"),
    (message(event_type="rating", movie_id=13, properties={"rating": 8.3}), "out_of_range"),
]


def test_each_broken_message_is_set_aside_with_its_rule(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    judged = events.transform(bronze_rows(*(value for value, _ in BROKEN)), POLICY)
    found = {row.kafka_offset: row.broken.rule if row.broken else None for row in judged.collect()}
    expected = {offset: rule for offset, (_, rule) in enumerate(BROKEN)}
    assert found == expected


def test_the_original_bytes_of_a_broken_message_are_kept(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    row = events.transform(bronze_rows(b"\xffnot json"), POLICY).collect()[0]
    assert bytes(row.payload) == b"\xffnot json"


VALID = [
    message(),
    message(user_id=None, anonymous_id="device-1"),
    message(context={"ip": None, "locale": None}),
    message(context=None),
    message(user_id="a\\u0000b", properties={"path": "\\\\u0000"}),
    message(event_type="rating", movie_id=13, properties={"rating": 8.5}),
    message(occurred_at="2026-01-01T00:05:01Z"),
    message(properties={"title": "Amélie 映画 🎬 \u202e"}),
    message(properties={"title": "\\ud800", "n": [2**63 - 1, -(2**63), 0.1234567890123456789]}),
    message(user_id="0123456789012345678901234567890", properties={"n": "1e999"}),
    # As long as the API takes it; Spark writes each of these numbers longer.
    message(properties={"n": [12345678.9] * 1_488}),
    message(properties={"n": [1e16] * 2_728}),
]


@pytest.fixture(scope="module")
def valid_rows(spark: SparkSession) -> list[Row]:
    """What becomes of each of them, judged in one batch, in their order."""
    judged = events.transform(rows_of_messages(spark, VALID, "user_logs"), POLICY)
    return judged.orderBy("kafka_offset").collect()


@pytest.mark.parametrize("place", range(len(VALID)))
def test_a_valid_message_breaks_no_rule(valid_rows: list[Row], place: int) -> None:
    good, row = VALID[place], valid_rows[place]
    # What the API adds is none of a client's.
    validate_event({name: good[name] for name in good if name not in ("received_at", "context")})
    assert row.broken is None
    assert json.loads(row.properties) == good["properties"]
    assert row.visitor_id == (f"u:{good['user_id']}" if good["user_id"] else "a:device-1")


def pseudonym(text: str) -> str:
    key = POLICY.pseudonym_secret.encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_addresses_are_pseudonyms_before_silver(bronze_rows: Callable[..., DataFrame]) -> None:
    properties = {
        "email": " Ada@Example.org ",
        "country": "GB",
        "answers": [1, 2.5, {"deep": None}],
    }
    row = events.transform(
        bronze_rows(message(event_type="user_upsert", properties=properties)), POLICY
    ).collect()[0]

    assert row.ip_hash == pseudonym("192.0.2.0/24")
    kept = json.loads(row.properties)
    assert kept.pop("email_hash") == pseudonym("ada@example.org")
    del properties["email"]
    assert kept == properties


def test_addresses_are_pseudonyms_wherever_a_client_writes_them(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    mail, ip = pseudonym("ada@example.org"), pseudonym("203.0.113.7")
    spelled = ["Ada@Example.org", "ada%40example.org", "203.0.113.7", "::ffff:cb00:7107"]
    context = {
        "ip": "203.0.113.7",
        "user_agent": "test",
        "referrer": "https://www.google.com/search?q=Ada%40example.org",
        "locale": "en-GB ada@example.org",
        "screen": "203.0.113.7",
        "app_version": "4.12.0.118 ada@example.org",
    }
    of_address = message(
        user_id="Ada@example.org",
        anonymous_id="203.0.113.7",
        session_id="s|ada@example.org",
        context=context,
        properties={"path": "/u/ada%40example.org", "Email": spelled, "of": {"203.0.113.7": [1.5]}},
    )
    no_event = message(event_id="ADA@example.org")
    plain = message(properties={"path": "/a?v=1.2.3.4.5", "at": "12:34:56", "n": 1.0})
    row, refused, untouched = (
        events.transform(bronze_rows(of_address, no_event, plain), POLICY)
        .orderBy("kafka_offset")
        .collect()
    )
    assert row.broken is None
    assert (row.user_id, row.visitor_id) == (mail, f"u:{mail}")
    assert (row.anonymous_id, row.client_session_id) == (ip, f"s|{mail}")
    assert (row.referrer, row.referrer_class) == (
        f"https://www.google.com/search?q={mail}",
        "search",
    )
    assert (row.locale, row.country) == (f"en-GB {mail}", None)
    assert (row.screen, row.app_version) == (ip, f"4.12.0.118 {mail}")
    found = json.loads(row.properties)
    assert found == {"path": f"/u/{mail}", "Email": [mail, mail, ip, ip], "of": {ip: [1.5]}}
    assert (refused.broken.rule, refused.event_id) == ("not_a_uuid", mail)
    assert "ada" not in refused.broken.reason
    assert untouched.properties == '{"path":"/a?v=1.2.3.4.5","at":"12:34:56","n":1.0}'


def test_an_id_with_an_address_keeps_to_its_limit(bronze_rows: Callable[..., DataFrame]) -> None:
    long = f"{'x' * 100}|ada@example.org"
    play = {"play_id": long, "position_seconds": 3}
    sent = message(event_type="play", movie_id=13, user_id=long, session_id=long, properties=play)
    row = events.transform(bronze_rows(sent), POLICY).collect()[0]
    assert row.broken is None
    whole = pseudonym(f"{'x' * 100}|{pseudonym('ada@example.org')}")
    assert [row.user_id, row.client_session_id] == [whole] * 2
    assert json.loads(row.properties)["play_id"] == whole


def test_a_user_agent_tells_of_its_device_before_addresses_leave_it(
    spark: SparkSession, bronze_rows: Callable[..., DataFrame]
) -> None:
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; ada@example.org; 203.0.113.7) Chrome/99.0.1.2"
    sent = message(context={"ip": "203.0.113.7", "user_agent": agent})
    names = ("movie_versions", "movies")
    empty = (frame_of(spark, [], table(f"silver.{name}").spark_schema()) for name in names)
    judged = events.transform(bronze_rows(sent, message(context=None)), POLICY)
    row, without = (
        events.with_lookups(judged.drop("payload", "broken"), *empty, POLICY)
        .orderBy("kafka_offset")
        .collect()
    )
    assert (row.browser, row.is_bot, without.user_agent) == ("Googlebot", True, None)
    assert row.user_agent == agent.replace("ada@example.org", pseudonym("ada@example.org")).replace(
        "203.0.113.7", pseudonym("203.0.113.7")
    )


def test_no_plan_shows_the_key_of_the_pseudonyms(bronze_rows: Callable[..., DataFrame]) -> None:
    mail = "ada@example.org"
    sent = message(event_type="user_upsert", user_id=mail, properties={"email": mail, "a": mail})
    frame = events.transform(bronze_rows(sent), POLICY)
    before = explained(frame)
    assert frame.collect()[0].ip_hash
    key = POLICY.pseudonym_secret.encode()
    forms = [key, *(bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))]
    for form in forms:
        shown = (
            form.decode("latin-1"),
            form.hex(),
            form.hex(" "),
            base64.b64encode(form).decode()[:20],
            ", ".join(map(str, form)),
        )
        for plan in (before, explained(frame)):
            assert "ip_hash" in plan
            assert [each for each in shown if each.lower() in plan.lower()] == []


def explained(frame: DataFrame) -> str:
    """All that Spark tells of a plan: parsed, analysed, optimised and physical, and the code it becomes."""
    execution = frame._jdf.queryExecution()
    explain = frame.sparkSession._jvm.PythonSQLUtils.explainString  # type: ignore[union-attr]
    told = (explain(execution, mode) for mode in ("extended", "codegen", "formatted"))
    return "\n".join([execution.toString(), *told])


@pytest.mark.parametrize(
    "properties",
    [
        {"email": "ada@example.org", "email_hash": "the client's own"},
        {"email_hash": "the client's own"},
    ],
)
def test_the_hash_of_an_address_is_ours_or_there_is_none(
    bronze_rows: Callable[..., DataFrame], properties: dict[str, str]
) -> None:
    sent = message(event_type="user_upsert", properties={**properties, "name": "Ada"})
    row = events.transform(bronze_rows(sent), POLICY).collect()[0]
    kept = json.loads(row.properties)
    assert row.broken is None
    assert kept.pop("name") == "Ada"
    assert kept in ({"email_hash": pseudonym("ada@example.org")}, {})
    assert ("email_hash" in kept) == (properties.get("email") == "ada@example.org")


def test_an_address_under_an_escaped_name_is_a_pseudonym_too(
    bronze_rows: Callable[..., DataFrame],
) -> None:
    sent = json.dumps(message(event_type="user_upsert", properties={"email": "ada@example.org"}))
    escaped = sent.replace('"email"', '"\\u0065mail"').encode()
    row = events.transform(bronze_rows(escaped), POLICY).collect()[0]
    assert list(json.loads(row.properties)) == ["email_hash"]


def test_a_placeholder_is_no_id_whoever_sent_it(bronze_rows: Callable[..., DataFrame]) -> None:
    play = {"play_id": " NaN ", "position_seconds": 3}
    sent = [
        message(user_id="[Object object]", anonymous_id="device", session_id="-1"),
        message(event_type="play", movie_id=13, properties=play),
        message(event_type="page_view", properties=play),
    ]
    rows = events.transform(bronze_rows(*sent), POLICY).orderBy("kafka_offset").collect()
    assert [row.broken for row in rows] == [None] * 3
    assert (rows[0].user_id, rows[0].visitor_id) == (None, "a:device")
    assert rows[0].client_session_id is None
    assert json.loads(rows[1].properties) == {"position_seconds": 3}
    assert json.loads(rows[2].properties) == play, "of a page it is no id"


def test_a_late_event_is_taken_and_flagged(bronze_rows: Callable[..., DataFrame]) -> None:
    on_time = message(received_at="2026-01-02T00:00:00.000000Z")
    late = message(received_at="2026-01-02T00:00:00.000001Z")
    rows = events.transform(bronze_rows(on_time, late), POLICY).orderBy("kafka_offset").collect()
    assert [row.is_late for row in rows] == [False, True]
    assert [row.broken for row in rows] == [None, None]


def test_the_first_received_of_one_event_id_wins(bronze_rows: Callable[..., DataFrame]) -> None:
    second = message(received_at="2026-01-01T00:00:03.000000Z")
    first = message(received_at="2026-01-01T00:00:02.000000Z")
    judged = events.transform(bronze_rows(second, first, second), POLICY)
    assert [row.kafka_offset for row in events.first_received(judged).collect()] == [1]
