"""E-mail and IP addresses become pseudonyms wherever a text holds them, and nothing else does."""

import hashlib
import hmac
import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.devices import read_strings
from cinelake.pseudonyms import Pseudonyms, Quads

KEY = "a-key-for-tests-only"
PSEUDONYMS = Pseudonyms(KEY)


def pseudonym(canonical: str) -> str:
    return hmac.new(KEY.encode(), canonical.encode(), hashlib.sha256).hexdigest()


def hidden(text: str, address: str, canonical: str) -> None:
    assert address in text
    assert PSEUDONYMS.in_text(text) == text.replace(address, pseudonym(canonical)), text


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada.L+films@Mail.Example.ORG", "ada.l+films@mail.example.org"),
        ("ada%40example.org", "ada@example.org"),
        ("ada%2Bfilms%40example.org", "ada+films@example.org"),
        ("ada%2540example.org", "ada@example.org"),
        ("o'brien@example.museum", "o'brien@example.museum"),
        ("jos\u00e9@b\u00fccher.de", "jos\u00e9@b\u00fccher.de"),
        ("jose\u0301@bu\u0308cher.de", "jos\u00e9@b\u00fccher.de"),
        ("jos%C3%A9%40example.org", "jos\u00e9@example.org"),
        ("ada@xn--bcher-kva.xn--p1ai", "ada@xn--bcher-kva.xn--p1ai"),
        ("\u0938\u0902\u092a\u0930\u094d\u0915@\u0921\u093e\u091f\u093e.\u092d\u093e\u0930\u0924",)
        * 2,
        ("ada@[203.0.113.7]", "ada@[203.0.113.7]"),
        ("203.0.113.7", "203.0.113.7"),
        ("8.8.8.8", "8.8.8.8"),
        ("10.0.0.1", "10.0.0.1"),
        ("203.000.113.007", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0:0:0:0:0:0001", "2001:db8::1"),
        ("2001%3Adb8%3A%3A1", "2001:db8::1"),
        ("fd00:1:2:3:4:5:6:7", "fd00:1:2:3:4:5:6:7"),
        ("fe80::1", "fe80::1"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("2001:db8::203.0.113.7", "2001:db8::cb00:7107"),
    ],
)
def test_an_address_is_found_in_every_spelling_and_place(address: str, canonical: str) -> None:
    assert PSEUDONYMS.in_text(address) == pseudonym(canonical)
    for around in (
        *("mail {} to", "<{}>", "({}).", "'{}'", '"{}"', "[{}]", "{}, and", "{}\n", "\t{};"),
        *("ip={}&x=1", "?q={}#top", "/users/{}/films", "https://example.com/?next=%2Fa%3Fq%3D{}"),
        *("my%20{}", "auth0|{}", "session_of {}_1700000000", "{}\u3002", "\uff1a{}\uff0c"),
    ):
        hidden(around.format(address), address, canonical)


@pytest.mark.parametrize(
    ("text", "address", "canonical"),
    [
        ("http://203.0.113.7:8080/x", "203.0.113.7", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1", "2001:db8::1"),
        ("server: 203.0.113.7", "203.0.113.7", "203.0.113.7"),
        ("ip:2001:db8::1: it is", "2001:db8::1", "2001:db8::1"),
        ("2001:db8:0:0:0:0:0:1:8080", "2001:db8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"),
        ("\u6211\u7684IP\u662f203.0.113.7\u5417", "203.0.113.7", "203.0.113.7"),
        ("\u90ae\u7bb1ada@example.org\u5417", "ada@example.org", "ada@example.org"),
        ("?e%3Dada%40example.org", "ada%40example.org", "ada@example.org"),
        ("?u=%2Fa%253Fe%253Dada%2540example.org", "ada%2540example.org", "ada@example.org"),
        ("jos%E9%40example.org", "jos%E9%40example.org", "jos?@example.org"),
        ("https://ada:secret@example.org/", "secret@example.org", "secret@example.org"),
    ],
)
def test_what_stands_around_an_address_stays(text: str, address: str, canonical: str) -> None:
    hidden(text, address, canonical)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "ada", "ada@", "@ada", "ada @ example.org", "root@localhost", "%40", "a%FF%40"),
        *("logo@2x.png", "logo@1.5x.png", "@angular/core@16.1.2", "12:34:56", "5:4", "a::b"),
        *("std::vector<abc::def>", "::1", "127.0.0.1", "0.0.0.0", "::", "2024:12:31 10:20:30"),
        *("1.2.3", "1.2.3.4.5", "256.1.1.1", "1234.5.6.7", "v1.2.3.4", "version 1.2.3.4"),
        *("Version: 10.2.3.4", "rv:1.9.0.1", "Chrome/120.0.0.0 Safari/537.36", "120.0.0.0"),
        *("Mozilla/5.0 (X11) Firefox/1.5.0.4", "00:1a:2b:3c:4d:5e:6f:70", "3.14.15.926"),
        *("d0000000-0000-4000-8000-00000000000a", "f" * 64, "2026-01-01T12:00:00.000000Z"),
    ],
)
def test_what_is_no_address_of_anybody_stays(text: str) -> None:
    assert PSEUDONYMS.in_text(text) == text


def test_in_a_user_agent_versions_stay_and_addresses_go() -> None:
    agents = "Mozilla/4.0 (compatible; MSIE 6.0; Hotbar 4.2.14.0; via 203.0.113.7; spider/10.1.2.3)"
    found = PSEUDONYMS.in_text(agents, quads=Quads.OF_PROGRAMS)
    assert found == agents.replace("203.0.113.7", pseudonym("203.0.113.7"))


def test_the_version_of_an_application_stays_whatever_it_is() -> None:
    for version in ("203.0.113.7", "4.12.0.118"):
        assert PSEUDONYMS.in_text(version, quads=Quads.VERSIONS) == version
    assert "@" not in PSEUDONYMS.in_text("1.0 ada@example.org", quads=Quads.VERSIONS)


def test_of_real_user_agents_at_most_a_thousandth_is_taken_for_an_address(real_files: Path) -> None:
    agents = read_strings(real_files)
    assert len(agents) == 12_472
    # None of them holds an IP address of a visitor; with `@` there are the addresses of robots' owners.
    changed = [
        text
        for text in agents
        if PSEUDONYMS.in_text(text.replace("@", " "), quads=Quads.OF_PROGRAMS)
        != text.replace("@", " ")
    ]
    assert len(changed) / len(agents) <= 0.001, changed
    owners = [text for text in agents if PSEUDONYMS.in_text(text) != text and "@" in text]
    assert len(owners) > 30


def test_a_text_never_outgrows_its_limit() -> None:
    text = ",".join(["1.1.1.1"] * 30)
    assert PSEUDONYMS.in_text(text, 255) == ",".join(["***"] * 30)
    assert PSEUDONYMS.in_text(text, 30 * 65 - 1) == text.replace("1.1.1.1", pseudonym("1.1.1.1"))


def test_an_id_that_would_outgrow_its_limit_is_one_pseudonym() -> None:
    one, other = (f"{'x' * 100}|{name}@example.org" for name in ("ada", "bob"))
    found = [PSEUDONYMS.in_id(text) for text in (one, other, one.replace("ada", "Ada"))]
    assert [len(text) for text in found] == [64] * 3
    assert found[0] != found[1]
    assert found[0] == found[2]
    assert PSEUDONYMS.in_id("auth0|ada@example.org") == f"auth0|{pseudonym('ada@example.org')}"
    assert PSEUDONYMS.in_id("x" * 200) == "x" * 200


def in_json(text: str, limit: int = 65_536) -> str:
    return PSEUDONYMS.in_json(text, limit, {"query": 80}, ["play_id"])


def test_an_object_is_rewritten_at_any_depth_and_under_any_name() -> None:
    mail, ip = pseudonym("ada@example.org"), pseudonym("203.0.113.7")
    sent = {
        "Email": "Ada@example.org",
        "a": [{"b": ["x", "ip 203.0.113.7", 5, None]}],
        "ada@example.org": {"203.0.113.7": 1},
        "line": "hello\nada@example.org",
        "email": " ADA@example.org",
        "email_hash": "the client's own",
        "query": "ada@example.org and 203.0.113.7",
        "play_id": f"{'x' * 90}203.0.113.7 ada@example.org",
        "n": [2**63 - 1, -(2**63), 0.1234567890123456789, True],
    }
    found = json.loads(in_json(json.dumps(sent)))
    assert found.pop("play_id") == pseudonym(f"{'x' * 90}203.0.113.7 {mail}")
    assert found == {
        "Email": mail,
        "a": [{"b": ["x", f"ip {ip}", 5, None]}],
        mail: {ip: 1},
        "line": f"hello\n{mail}",
        "query": "*** and ***",
        "n": sent["n"],
        "email_hash": mail,
    }


@pytest.mark.parametrize("email", [None, 5, {"at": "ada@example.org"}, ["ada@example.org"]])
def test_an_email_that_is_no_text_has_no_hash(email: object) -> None:
    found = in_json(json.dumps({"email": email, "email_hash": "x"}))
    assert "email_hash" not in json.loads(found)
    assert "@" not in found


def test_an_object_never_outgrows_its_limit() -> None:
    sent = json.dumps(
        {"list": ["1.1.1.1"] * 1_500, "play_id": "ada@example.org", "email": "a@b.cd"}
    )
    found = in_json(sent, 16_384)
    assert len(found) <= 16_384
    assert json.loads(found) == {
        "list": ["***"] * 1_500,
        "play_id": pseudonym("ada@example.org"),
        "email_hash": pseudonym("a@b.cd"),
    }


@pytest.mark.parametrize(
    "text",
    ["[1, ", "[" * 5_000, '{"a":' * 300 + "1" + "}" * 300, '["ada@example.org"]', '"a\\ud800"'],
)
def test_what_is_no_object_that_an_event_may_hold_is_rewritten_as_a_text(text: str) -> None:
    assert in_json(text) == PSEUDONYMS.in_text(text)


def test_an_object_without_an_address_stays_as_it_was_written() -> None:
    text = '{"n": 1.0,  "at": "12:34:56", "e": 1e2, "m": -0}'
    assert in_json(text) == text


SIGNS = st.text(st.one_of(st.sampled_from("@.:%4023A[]/ a1\u0301"), st.characters()), max_size=60)


@given(SIGNS, st.sampled_from(Quads))
def test_what_was_rewritten_has_no_more_addresses(text: str, quads: Quads) -> None:
    once = PSEUDONYMS.in_text(text, quads=quads)
    assert PSEUDONYMS.in_text(once, quads=quads) == once


@given(
    st.recursive(
        SIGNS, lambda inner: st.dictionaries(SIGNS, st.lists(inner, max_size=3), max_size=3)
    )
)
def test_an_object_stays_json_of_the_same_shape(value: object) -> None:
    text = json.dumps({"it": value})
    found = json.loads(in_json(text))
    assert type(found["it"]) is type(value)


@pytest.mark.parametrize(
    "part", ["a", "a.", "a@", "a@a.", "1.", "a@1.", "2001:", "2001:1:", "'", "%25", "@", "\u0301"]
)
def test_no_text_takes_long(part: str) -> None:
    # A search that looked back at each sign would need minutes.
    text = part * (200_000 // len(part)) + "%40"
    assert isinstance(PSEUDONYMS.in_text(text), str)


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(PSEUDONYMS)
    assert set(PSEUDONYMS.of_email("a")) <= set(string.hexdigits)
