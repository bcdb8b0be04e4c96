"""Pseudonyms for personal data in Spark: HMAC-SHA256 of a column, and in place of addresses in texts.

The hash of a column is written in Spark's own functions, so that no row leaves the JVM; where addresses are in a text, Python
looks for them (`cinelake.pseudonyms`) in those texts that may hold any. The key is a row of a table in memory, or what a
function in Python holds, and no literal: a plan shows its literals, in Spark's web page too, of a table the names of its
columns alone, and of a function its name.
"""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from cinelake.pseudonyms import LIKELY, Pseudonyms
from lakehouse.frames import frame_of

Rewrite = Callable[[Pseudonyms, str], str]
"""Puts pseudonyms in place of the addresses in a text, as a method of `Pseudonyms` does."""

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


def without_addresses(
    frame: DataFrame, rewrites: Mapping[str, Rewrite], secret: str, likely: str = LIKELY
) -> DataFrame:
    """The frame with pseudonyms in place of the addresses in some columns.

    Args:
        frame: Rows.
        rewrites: Names of columns of texts, and how each is rewritten.
        secret: The key.
        likely: What a text matches that is rewritten; every other stays as it is.
    """
    pseudonyms = Pseudonyms(secret)

    def rewrite_addresses(texts: pa.Array) -> pa.Array:
        columns = [
            _each_once(texts.field(name), partial(rewrite, pseudonyms))
            for name, rewrite in rewrites.items()
        ]
        return pa.StructArray.from_arrays(columns, names=list(rewrites))

    texts = (F.when(F.col(name).rlike(likely), F.col(name)).alias(name) for name in rewrites)
    ddl = ", ".join(f"{name} string" for name in rewrites)
    # Spark's stubs ask for the kind of UDF, which Spark itself reads off the type hints.
    rewritten = arrow_udf(rewrite_addresses, ddl)  # type: ignore[call-overload]
    found = frame.withColumn("_rewritten", rewritten(F.struct(*texts)))
    return found.withColumns(
        {name: F.coalesce(f"_rewritten.{name}", name) for name in rewrites}
    ).drop("_rewritten")


def _each_once(texts: pa.Array, rewrite: Callable[[str], str]) -> pa.Array:
    """Texts rewritten, each distinct one once; null stays null."""
    encoded = pc.dictionary_encode(texts)
    distinct = [rewrite(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(distinct, pa.string()).take(encoded.indices)


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
