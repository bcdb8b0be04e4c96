"""What proxies and sockets tell of a client is an IP address in one form, or nothing."""

from typing import Any

import orjson
import pytest
from events_by_type import event_of
from hypothesis import given
from hypothesis import strategies as st
from recording_publisher import KEY, KnownKeys, RecordingPublisher

from cinelake.settings import load_settings
from ingestion.api.addresses import canonical_ip
from ingestion.api.app import create_app
from ingestion.topics import USER_LOGS

TOLD: dict[str, str | None] = {
    "203.0.113.79": "203.0.113.79",
    "203.0.113.79:4711": "203.0.113.79",
    "2001:DB8:0:0::1": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[2001:db8::1]:4711": "2001:db8::1",
    "::ffff:203.0.113.79": "203.0.113.79",
    "[::FFFF:cb00:714f]:4711": "203.0.113.79",
    "x" * 3000: None,
    "": None,
    "unknown": None,
    "_hidden": None,
    "203.0.113.079": None,
    "203.0.113.79:": None,
    "203.0.113.79:port": None,
    "[203.0.113.79]:4711": None,
    "203.0.113.0/24": None,
    "2001:db8::1]:4711": None,
    "[2001:db8::1": None,
    "fe80::1%eth0": None,
    "fe80::1%" + "x" * 3000: None,
    "localhost:80": None,
    "3405803983": None,
}


@pytest.mark.parametrize(("told", "ip"), TOLD.items(), ids=[text[:20] for text in TOLD])
def test_an_address_has_one_form_and_anything_else_is_absent(told: str, ip: str | None) -> None:
    assert canonical_ip(told) == ip


@given(address=st.ip_addresses(), port=st.integers(1, 65535))
def test_a_port_changes_no_address(address: Any, port: int) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    assert canonical_ip(f"{host}:{port}") == canonical_ip(str(address))


@pytest.mark.parametrize("told", ["203.0.113.79:4711", "x" * 3000])
@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_a_forwarded_address_is_stored_in_that_form_and_only_from_trusted_proxies(
    told: str, proxies: int
) -> None:
    publisher = RecordingPublisher()
    settings = load_settings(CINELAKE_TRUSTED_PROXIES=str(proxies))
    client = create_app(settings, publisher, KnownKeys()).test_client()
    # What the client says itself, what the first proxy saw, and what a second one saw.
    forwarded = ", ".join(["198.51.100.1", told, "192.0.2.1"][: proxies + 1])
    client.post(
        "/v1/events",
        data=orjson.dumps(event_of("rating")),
        headers={
            "Content-Type": "application/json",
            "X-API-Key": KEY,
            "X-Forwarded-For": forwarded,
            "Forwarded": "for=198.51.100.2",
            "X-Real-Ip": "198.51.100.3",
        },
    )
    (value,) = publisher.values(USER_LOGS)
    assert value["context"]["ip"] == (TOLD[told] if proxies else "127.0.0.1")
