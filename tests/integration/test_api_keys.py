"""Keys in the real PostgreSQL, as the real API's workers see them."""

import json
import math
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import takewhile
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
from ingestion.api.scopes import Scope
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


BEFORE_SCOPES = """
create table ops.api_keys (
    key_id text primary key, name text not null, scope text not null default 'write', salt bytea not null,
    digest bytea not null, requests_per_second double precision, created_at timestamptz not null default now(),
    expires_at timestamptz, revoked_at timestamptz
);
insert into ops.api_keys (key_id, name, salt, digest) values ('0123456789ab', 'old', '', '');
"""
"""The table as it was, with a key."""


def test_keys_of_before_there_were_scopes_have_both_until_they_are_narrowed(
    settings: Settings,
) -> None:
    with psycopg.connect(settings.postgres) as connection:
        connection.execute("set role loader")
        connection.execute(BEFORE_SCOPES)
    keys.create_key(settings, "new")
    wide = {key.name: (key.scopes, key.is_wide) for key in keys.list_keys(settings)}
    assert wide == {"old": (sorted(Scope), True), "new": ([Scope.WRITE], False)}
    assert keys.set_scopes(settings, "old", [Scope.WRITE]) == ["0123456789ab"]
    assert [key.is_wide for key in keys.list_keys(settings)] == [False, False]
    with (
        psycopg.connect(analyst_uri(settings)) as analyst,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        analyst.execute("select * from ops.api_keys")


def test_a_wide_key_is_warned_of_until_it_is_narrowed_and_the_api_keeps_to_that(
    stack: Settings,
) -> None:
    cinelake = command_line(stack.home)
    both = [word for scope in Scope for word in ("--scope", scope)]
    key = cinelake.here("keys", "create", "both", *both).stdout.splitlines()[-1]
    narrow = "cinelake keys scope both events:write"
    assert narrow in cinelake.here("keys", "list").stderr
    assert narrow in cinelake.here("status").stdout
    assert any(narrow in each for each in cinelake.status()["warnings"])
    asked = {_similar(stack, key) for _ in range(20)}
    cinelake.here(*narrow.split()[1:])
    assert narrow not in cinelake.here("keys", "list").stderr
    time.sleep(5)
    assert (asked, {_similar(stack, key) for _ in range(20)}) == ({422}, {403})
    assert post(stack, key) == 415
    keys.revoke_key(stack, "both")


def _similar(settings: Settings, key: str) -> int:
    """The status of a question that is refused only after its key was taken."""
    return requests.get(
        f"{endpoint(settings)}/v1/similar/0", headers={"X-API-Key": key}, timeout=15
    ).status_code


@pytest.mark.parametrize(
    "name",
    ["[bold red]x[/]", "[/]", ":smile: \\[a]", "名前 é", 'it\'s "quoted"', "n" * keys.LONGEST_NAME],
)
def test_a_name_is_listed_as_it_is_and_revokes_its_key(stack: Settings, name: str) -> None:
    cinelake = command_line(stack.home)
    key = cinelake.here("keys", "create", name).stdout.splitlines()[-1]
    key_id = key.split("_")[1]
    listed = cinelake.here("keys", "list").stdout.partition(key_id)[2]
    # A long cell goes on in the next lines, beside an empty one of the id.
    of_key = [listed.splitlines()[0], *takewhile(_goes_on, listed.splitlines()[1:])]
    cells = "".join(line.split("│")[-7] for line in of_key)
    assert cells.replace(" ", "") == name.replace(" ", "")
    assert cinelake.here("keys", "revoke", name).stdout == f"revoked {key_id}\n"


def _goes_on(line: str) -> bool:
    """Whether a line of a table goes on with the row before."""
    return line.startswith("│" + " " * 14)


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\nb", "\x1b[31ma", "a\u202eb", "a\0"])
def test_a_name_that_cannot_be_shown_as_it_is_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(BadInputError, match="name"):
        keys.create_key(settings, name)


@pytest.mark.parametrize("rate", [math.inf, -math.inf, math.nan, 0, -1, 1e-320])
def test_a_rate_is_finite_and_above_zero(settings: Settings, rate: float) -> None:
    with pytest.raises(BadInputError, match="requests a second"):
        keys.create_key(settings, "fast", requests_per_second=rate)
    cinelake = command_line(settings.home)
    done = cinelake.here("keys", "create", "fast", f"--rate={rate}", check=False)
    assert done.returncode == 2
