"""A pseudonym is the HMAC-SHA256 that every other language computes."""

import hashlib
import hmac

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.frames import frame_of
from lakehouse.pseudonym import hmac_sha256, network_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
KEYS = st.one_of(TEXT, st.text("é映🎬k", min_size=17, max_size=70))


def pseudonyms(spark: SparkSession, texts: list[str | None], key: str) -> list[str | None]:
    rows = frame_of(spark, list(enumerate(texts)), "position int, text string")
    hashed = rows.orderBy("position").select(hmac_sha256(F.col("text"), key).alias("it"))
    return [row.it for row in hashed.collect()]


def expected(text: str, key: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TEXT, min_size=1, max_size=30), KEYS)
def test_it_is_the_hmac_of_the_standard_library(
    spark: SparkSession, texts: list[str], key: str
) -> None:
    assert pseudonyms(spark, list(texts), key) == [expected(text, key) for text in texts]


def test_keys_around_the_block_size_and_outside_ascii(spark: SparkSession) -> None:
    texts = ["", "192.0.2.1", "ada@example.org", "Amélie 映画 🎬", "x" * 1000, "a\x00b"]
    for key in ("", "k" * 63, "k" * 64, "k" * 65, "k" * 200, "schlüssel", "é" * 32, "é" * 33):
        found = pseudonyms(spark, list(texts), key)
        assert found == [expected(text, key) for text in texts], key


def test_nothing_has_no_pseudonym(spark: SparkSession) -> None:
    assert pseudonyms(spark, [None, ""], "key") == [None, expected("", "key")]


def test_the_network_of_an_address_keeps_24_or_48_bits(spark: SparkSession) -> None:
    expected = {
        "192.0.2.17": "192.0.2.0/24",
        "::ffff:192.0.2.17": "192.0.2.0/24",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1::/48",
        "2001:db8::1": "2001:db8:0::/48",
        "1::2:3:4:5:6:7": "1:0:2::/48",
        "::1": "0:0:0::/48",
        None: None,
    }
    rows = frame_of(spark, [(address,) for address in expected], "address string")
    found = rows.select("address", network_of(F.col("address")).alias("network")).collect()
    assert {row.address: row.network for row in found} == expected
