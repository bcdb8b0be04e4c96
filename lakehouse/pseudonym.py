"""Pseudonyms for personal data: HMAC-SHA256, written in Spark's own functions so that no row leaves the JVM.

The key is a row of a table in memory, and no literal: a plan shows its literals, in Spark's web page too, and of a table
the names of its columns alone.
"""

from hashlib import sha256

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from lakehouse.frames import frame_of

BLOCK_BYTES = 64
"""SHA-256's block size, which HMAC pads its key to (RFC 2104)."""


def hmac_sha256(text: Column, secret: str) -> Column:
    """HMAC-SHA256 of a text column, hexadecimal; null stays null.

    The construction is RFC 2104: `H((K xor opad) || H((K xor ipad) || text))`.

    Args:
        text: The column to hide.
        secret: The key, at most 64 bytes in UTF-8 are used as they are; a longer one is hashed first.
    """
    pads = frame_of(SparkSession.active(), [_pads(secret)], "inner_pad binary, outer_pad binary")
    inner_pad, outer_pad = (pads.select(name).scalar() for name in pads.columns)
    inner = F.unhex(F.sha2(F.concat(inner_pad, F.encode(text, "UTF-8")), 256))
    return F.sha2(F.concat(outer_pad, inner), 256)


def _pads(secret: str) -> tuple[bytes, bytes]:
    key = secret.encode()
    if len(key) > BLOCK_BYTES:
        key = sha256(key).digest()
    key = key.ljust(BLOCK_BYTES, b"\0")
    return bytes(b ^ 0x36 for b in key), bytes(b ^ 0x5C for b in key)


def network_of(address: Column) -> Column:
    """The network of an IP address, so that no pseudonym stands for one connection alone; null stays null.

    IPv4 addresses keep their first 24 bits, IPv6 addresses 48, as web analytics cuts them
    (https://support.google.com/analytics/answer/2763052).

    Args:
        address: As the API writes it: canonical, IPv4-mapped IPv6 addresses included.
    """
    ipv4 = F.regexp_extract(address, r"^(?:::ffff:)?(\d+\.\d+\.\d+)\.\d+$", 1)
    before, after = (_groups(address, side) for side in (1, -1))
    is_short = address.contains("::")
    left_out = F.array_repeat(F.lit("0"), 8 - F.size(before) - F.size(after))
    groups = F.when(is_short, F.concat(before, left_out, after)).otherwise(before)
    ipv6 = F.concat(F.array_join(F.slice(groups, 1, 3), ":"), F.lit("::/48"))
    return F.when(ipv4 != "", F.concat(ipv4, F.lit(".0/24"))).otherwise(ipv6)


def _groups(address: Column, side: int) -> Column:
    """The groups of an IPv6 address before (1) or after (-1) its `::`; without one, all of them on both sides."""
    text = F.substring_index(address, "::", side)
    return F.filter(F.split(text, ":"), lambda group: group != "")
