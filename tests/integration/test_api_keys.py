"""Keys in the real PostgreSQL, as the real API's workers see them."""

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import requests

from cinelake.errors import BadInputError
from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack.api import endpoint
from cinelake.stack.local import SERVICES
from cinelake.stack.postgres import analyst_uri, bootstrap
from cinelake.stack.state import load_state
from ingestion.api import keys
from ingestion.api.key_ring import InvalidKeyError, KeyRing
from tests.integration.conftest import command_line


def post(settings: Settings, key: str) -> int:
    """The status of a body that is refused only after its key was taken."""
    return requests.post(
        f"{endpoint(settings)}/v1/events", data=b"nope", headers={"X-API-Key": key}, timeout=15
    ).status_code


def test_a_new_key_opens_at_once_and_a_revoked_one_not_for_long(stack: Settings) -> None:
    key = keys.create_key(stack, "short-lived")
    # Each worker has a ring of its own.
    assert {post(stack, key) for _ in range(20)} == {415}
    keys.revoke_key(stack, "short-lived")
    time.sleep(5)
    assert {post(stack, key) for _ in range(20)} == {401}


def test_the_first_commands_of_the_guide_make_a_key_and_send_an_event(stack: Settings) -> None:
    guide = (PROJECT_ROOT / "docs" / "api.md").read_text("utf-8")
    block = re.search(r"^```sh\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    assert block is not None
    commands = block[1].replace(".venv/bin", str(Path(sys.executable).parent))
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{commands}"],
        env=command_line(stack.home).environment,
        capture_output=True,
        text=True,
        check=False,
    )
    keys.revoke_key(stack, "web")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"accepted": 1, "rejected": 0, "errors": []}


def test_no_process_of_the_stack_has_a_key_or_a_password_on_its_command_line(
    stack: Settings,
) -> None:
    assert stack.postgres_uri
    secrets = [
        *(stack.api_secret, stack.analyst_secret, stack.pseudonym_secret),
        str(urlsplit(stack.postgres_uri).password),
    ]
    roots = [psutil.Process(each.pid) for each in load_state(stack.home).processes.values()]
    started = [each.cmdline() for root in roots for each in (root, *root.children(recursive=True))]
    assert len(started) > len(SERVICES)
    assert not [line for line in started if any(secret in " ".join(line) for secret in secrets)]


def test_workers_that_read_the_keys_at_once_do_not_collide(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: keys.list_keys(settings), range(80))) == [[]] * 80


def test_a_key_that_was_made_a_moment_ago_opens_every_time(settings: Settings) -> None:
    ring = KeyRing(settings)
    try:
        for number in range(5):
            assert ring.check(keys.create_key(settings, f"new {number}")).name == f"new {number}"
    finally:
        ring.close()


def test_a_key_is_stored_as_a_digest_that_analysts_cannot_read(stack: Settings) -> None:
    key = keys.create_key(stack, "secret")
    # As a second `cinelake up` does.
    bootstrap(stack)
    secret = key.split("_", 2)[2]
    with psycopg.connect(stack.postgres) as connection:
        rows = connection.execute("select t::text from ops.api_keys as t").fetchall()
    assert rows
    assert not [row for row in rows if secret in row[0] or secret.encode().hex() in row[0]]
    with (
        psycopg.connect(analyst_uri(stack)) as analyst,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        analyst.execute("select * from ops.api_keys")


def test_an_expired_key_opens_nothing(settings: Settings) -> None:
    now = datetime.now(UTC)
    good = keys.create_key(settings, "good", expires_at=now + timedelta(hours=1))
    old = keys.create_key(settings, "old", expires_at=now - timedelta(seconds=1))
    ring = KeyRing(settings)
    try:
        assert ring.check(good).name == "good"
        with pytest.raises(InvalidKeyError):
            ring.check(old)
    finally:
        ring.close()


def test_a_wrong_secret_of_a_known_id_opens_nothing(settings: Settings) -> None:
    key = keys.create_key(settings, "guessed")
    ring = KeyRing(settings)
    try:
        for wrong in (
            key[:-1] + ("A" if key[-1] != "A" else "B"),
            key + "A",
            "",
            "\udcff",
            key[3:],
        ):
            with pytest.raises(InvalidKeyError):
                ring.check(wrong)
        assert ring.check(key).name == "guessed"
    finally:
        ring.close()


def test_the_last_known_keys_stay_good_while_postgres_is_away(settings: Settings) -> None:
    key = keys.create_key(settings, "kept")
    ring = KeyRing(settings)
    try:
        assert ring.check(key).name == "kept"
        ring._settings = settings.model_copy(
            update={"postgres_uri": "postgresql://nobody:x@127.0.0.1:1/gone"}
        )
        time.sleep(3)
        assert ring.check(key).name == "kept"
    finally:
        ring.close()


def test_a_name_is_given_to_one_good_key_at_a_time(settings: Settings) -> None:
    first = keys.create_key(settings, "web")
    with pytest.raises(BadInputError, match="in use"):
        keys.create_key(settings, "web")
    assert keys.revoke_key(settings, "web") == [first.split("_")[1]]
    assert keys.revoke_key(settings, "web") == []
    keys.create_key(settings, "web")
    assert [key.state for key in keys.list_keys(settings)] == ["revoked", "active"]
    with pytest.raises(BadInputError, match="no key"):
        keys.revoke_key(settings, "nobody")


def test_our_own_key_is_made_once_and_stays_revoked(settings: Settings) -> None:
    keys.ensure_key(settings, settings.api_secret, "local")
    keys.ensure_key(settings, settings.api_secret, "local")
    assert [key.state for key in keys.list_keys(settings)] == ["active"]
    keys.revoke_key(settings, "local")
    keys.ensure_key(settings, settings.api_secret, "local")
    assert [key.state for key in keys.list_keys(settings)] == ["revoked"]
