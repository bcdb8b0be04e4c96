"""Pseudonyms for personal data: HMAC-SHA256, written in Spark's own functions so that no row leaves the JVM."""

from hashlib import sha256

from pyspark.sql import Column
from pyspark.sql import functions as F

BLOCK_BYTES = 64
"""SHA-256's block size, which HMAC pads its key to (RFC 2104)."""


def hmac_sha256(text: Column, secret: str) -> Column:
    """HMAC-SHA256 of a text column, hexadecimal; null stays null.

    The construction is RFC 2104: `H((K xor opad) || H((K xor ipad) || text))`.

    Args:
        text: The column to hide.
        secret: The key, at most 64 bytes in UTF-8 are used as they are; a longer one is hashed first.
    """
    inner_pad, outer_pad = _pads(secret)
    inner = F.unhex(F.sha2(F.concat(F.unhex(F.lit(inner_pad)), F.encode(text, "UTF-8")), 256))
    return F.sha2(F.concat(F.unhex(F.lit(outer_pad)), inner), 256)


def _pads(secret: str) -> tuple[str, str]:
    key = secret.encode()
    if len(key) > BLOCK_BYTES:
        key = sha256(key).digest()
    key = key.ljust(BLOCK_BYTES, b"\0")
    return bytes(b ^ 0x36 for b in key).hex(), bytes(b ^ 0x5C for b in key).hex()
