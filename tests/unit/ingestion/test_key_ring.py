"""Whoever guesses keys does not hold up those whose keys are known."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cinelake.errors import ServiceError
from cinelake.settings import load_settings, new_api_key
from ingestion.api import key_ring
from ingestion.api.key_ring import NEWCOMERS, InvalidKeyError, KeyRing
from ingestion.api.keys import ApiKey, _digest, split_key
from ingestion.api.scopes import Scope

KNOWN = new_api_key()


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyRing]:
    """A ring whose one key is known, and open already."""
    parts = split_key(KNOWN)
    assert parts is not None
    salt = b"salt"
    row = ApiKey(
        key_id=parts[0],
        name="known",
        scopes=[Scope.WRITE],
        salt=salt,
        digest=_digest(parts[1], salt),
        requests_per_second=None,
        created_at=datetime.now(UTC),
        expires_at=None,
        revoked_at=None,
    )
    monkeypatch.setattr(key_ring, "list_keys", lambda _: [row])
    made = KeyRing(load_settings())
    assert made.check(KNOWN).name == "known"
    yield made
    made.close()


def test_those_who_guess_leave_threads_to_those_whose_keys_are_known(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_wait, go_on = threading.Barrier(NEWCOMERS + 1), threading.Event()

    def wait(_: object) -> None:
        all_wait.wait(10)
        go_on.wait(10)

    monkeypatch.setattr(KeyRing, "_look_again", wait)
    refused: list[Exception] = []

    def guess() -> None:
        try:
            ring.check(new_api_key())
        except InvalidKeyError as error:
            refused.append(error)

    guessing = [threading.Thread(target=guess) for _ in range(NEWCOMERS)]
    for each in guessing:
        each.start()
    all_wait.wait(10)
    with pytest.raises(ServiceError, match="Too many new keys"):
        ring.check(new_api_key())
    with pytest.raises(InvalidKeyError):
        ring.check("no key at all")
    assert ring.check(KNOWN).name == "known"
    go_on.set()
    for each in guessing:
        each.join(10)
    assert len(refused) == NEWCOMERS
    monkeypatch.setattr(KeyRing, "_look_again", lambda _: None)
    with pytest.raises(InvalidKeyError):
        ring.check(new_api_key())
