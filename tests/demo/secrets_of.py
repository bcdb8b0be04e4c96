"""Whether what a stack leaves behind tells one of its secrets."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

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
