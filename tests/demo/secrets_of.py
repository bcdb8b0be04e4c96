"""Whether what a stack leaves behind tells one of its secrets, or who its visitors are."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from cinelake.settings import API_KEY_PATTERN
from cinelake.stack.state import SECRETS, load_env
from lakehouse.pseudonym import BLOCK_BYTES

HMAC_PADS = (0x36, 0x5C)
"""What HMAC combines each byte of its key with (RFC 2104)."""


def files_that_tell(home: Path) -> list[Path]:
    """The files of a home, but for `stack.env`, that hold one of its passwords and keys in any form."""
    wanted = [form for secret in secrets_of(home) for form in forms(secret)]
    return [
        path
        for path in home.rglob("*")
        if path.is_file() and path != home / "stack.env" and _holds(path, wanted)
    ]


def files_that_show(folder: Path, texts: Iterable[str]) -> list[Path]:
    """The files of a folder that hold one of some texts, as it is, as HTML or as JSON."""
    wanted = {
        form.encode()
        for text in texts
        for form in (text, escape(text), escape(text, quote=False), *_in_json(text))
    }
    return [path for path in folder.rglob("*") if path.is_file() and _holds(path, wanted)]


def _in_json(text: str) -> list[str]:
    return [json.dumps(text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)]


def words_of_visitors(home: Path) -> set[str]:
    """How the visitors of a home are called, what they wrote and what they came with; what is so short that others say it is
    left out."""
    query = (
        "select name from silver.users union select text from silver.comments"
        " union select user_agent from silver.events"
    )
    with psycopg.connect(load_env(home)["POSTGRES_URI"]) as connection:
        return {text for (text,) in connection.execute(query) if text and len(text) > 5}


def secrets_of(home: Path) -> list[str]:
    """The passwords and keys that were made up for a home; of an API key its secret, as its id may be shown."""
    env = load_env(home)
    password = urlsplit(env["POSTGRES_URI"]).password
    assert password
    api_key = re.fullmatch(API_KEY_PATTERN, env["CINELAKE_API_KEY"])
    assert api_key
    others = {env[name] for name in SECRETS if name != "CINELAKE_API_KEY"}
    return [password, api_key[2], *others]


def forms(secret: str) -> set[bytes]:
    """How a secret may stand somewhere: as it is, in hex, in base64, and as HMAC combines it with its pads."""
    raw = secret.encode()
    padded = raw.ljust(BLOCK_BYTES, b"\0")
    bare = [raw, *(bytes(byte ^ pad for byte in padded) for pad in HMAC_PADS)]
    in_hex = [text.encode() for each in bare for text in (each.hex(), each.hex().upper())]
    return {*bare, *in_hex, *_in_base64(raw)}


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """As a part of a text in base64, wherever in it; without the letters that its neighbours have a part in."""
    for before in range(3):
        for encoded in (b64encode, urlsafe_b64encode):
            text = encoded(bytes(before) + raw)
            yield text[4 if before else 0 : len(raw) // 3 * 4]


def _holds(path: Path, wanted: set[bytes]) -> bool:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        # Gone since it was listed: the services work on.
        return False
    return any(form in content for form in wanted)
