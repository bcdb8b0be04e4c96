"""No e-mail address, IP address, key or password stays in a text; what only looks like one does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinelake.masking import HIDDEN, mask, mask_all
from cinelake.settings import EXAMPLES, new_api_key


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("sent to jane.o'neil+film@mail.example.org.", "sent to ***."),
        ("user=jane%40mail.example&x=1", "user=***&x=1"),
        ("from 203.0.113.9, port 80", "from ***, port 80"),
        ("peer 203.0.113.9:51820 gone", "peer ***:51820 gone"),
        ("[2001:db8::8a2e:370:7334]:443", "[***]:443"),
        ("ip=fe80::1", "ip=***"),
        ("::ffff:203.0.113.9 asked", "*** asked"),
        (f"key {EXAMPLES['CINELAKE_API_KEY']} refused", "key *** refused"),
        ("Authorization: Bearer abcdef123456", "Authorization: ***"),
        ("{'api_key': '0123456789abcdef'}", "{'api_key': '***'}"),
        ("GET /3/movie?api_key=0123456789abcdef&page=2", "GET /3/movie?api_key=***&page=2"),
        ("postgresql://boss:s3cr-et@db.example:5432/x", "postgresql://boss:***@db.example:5432/x"),
        ("smtp://u:p%40ss@mail.example:587", "smtp://u:***@mail.example:587"),
        ("Key (email)=(jane@mail.example) already exists", "Key (email)=(***) already exists"),
    ],
)
def test_what_tells_of_a_person_or_opens_a_door_is_hidden(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "serving on http://127.0.0.1:20001/metrics and [::1]:80, all of 0.0.0.0",
        "2026-11-26T16:32:17.216984Z started at 16:32:17",
        "version 4.2.1, delta 4.4.0, build 1.2.3.4.5",
        "silver.events: range(rating) failed, 12.5 of 10:00",
        "java.lang.IllegalStateException: at org.apache.spark.sql::apply(Foo.scala:12)",
        "std::io::Error",
        "query silver from bronze.user_logs, key_id 0123456789ab",
        "@media and user@ and @home, controller 1@127.0.0.1:30646, java.lang.Object@7d3a",
        "postgresql://127.0.0.1:5432/cinelake",
        "a\nb\tc é 😀",
        "",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert mask(text) == text


def test_values_are_masked_wherever_they_are() -> None:
    line = {"event": "x", "rows": 3, "ok": True, "none": None, "sample": [{"ip": "203.0.113.9"}]}
    assert mask_all(line) == {**line, "sample": [{"ip": HIDDEN}]}
    assert mask_all(ValueError("for jane@mail.example")) == f"for {HIDDEN}"
    assert mask_all({"jane@mail.example": ("203.0.113.9", 1.5)}) == {HIDDEN: [HIDDEN, 1.5]}


@settings(deadline=None)
@given(st.text(max_size=60), st.ip_addresses(), st.emails(), st.text(max_size=20))
def test_masking_twice_changes_nothing_more(
    before: str, address: object, email: str, after: str
) -> None:
    once = mask(f"{before} {address} {email} {after}")
    assert mask(once) == once


@settings(deadline=None)
@given(st.ip_addresses().filter(lambda each: not (each.is_loopback or each.is_unspecified)))
def test_no_address_stays(address: object) -> None:
    assert str(address) not in mask(f"from {address}: gone")


@pytest.mark.parametrize("_", range(50))
def test_no_key_of_ours_stays(_: int) -> None:
    key = new_api_key()
    for text in (key, f"'{key}'", f"cinelake keys: {key}.", f"X-API-Key: {key}\n"):
        assert key.split("_", 2)[2] not in mask(text)
