"""Whether what a stack leaves behind tells one of its secrets."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cinelake.stack.state import SECRETS, load_env
from lakehouse.pseudonym import BLOCK_BYTES

HMAC_PADS = (0x36, 0x5C)
"""What HMAC combines each byte of its key with (RFC 2104)."""


def secrets_of(home: Path) -> list[str]:
    """The passwords and keys that were made up for a home."""
    env = load_env(home)
    password = urlsplit(env["POSTGRES_URI"]).password
    assert password
    return [*(env[name] for name in SECRETS), password]


def forms(secret: str) -> list[bytes]:
    """How a secret may stand somewhere: as it is, in hex, in base64, and as HMAC combines it with its pads."""
    raw = secret.encode()
    padded = raw.ljust(BLOCK_BYTES, b"\0")
    bare = [raw, *(bytes(byte ^ pad for byte in padded) for pad in HMAC_PADS)]
    in_hex = [text for each in bare for text in (each.hex(), each.hex().upper())]
    return [*bare, *(each.encode() for each in in_hex), *_in_base64(raw)]


def _in_base64(raw: bytes) -> Iterator[bytes]:
    # Within a longer text, three letters a group of four: what its neighbours make of the first and last is not known.
    for before in range(3):
        for encoded in (b64encode, urlsafe_b64encode):
            text = encoded(b"\0" * before + raw)
            yield text[4 if before else 0 : len(text) // 4 * 4 - 4]


def that_tell(home: Path) -> list[Path]:
    """The files of a home, but for `stack.env`, that hold a secret in any form."""
    wanted = [form for secret in secrets_of(home) for form in forms(secret)]
    return [
        path
        for path in home.rglob("*")
        if path.is_file() and path != home / "stack.env" and _holds(path, wanted)
    ]


def _holds(path: Path, wanted: list[bytes]) -> bool:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        # Gone since it was listed: the services work on.
        return False
    return any(form in content for form in wanted)
