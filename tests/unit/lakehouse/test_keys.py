"""Keys of several parts: different parts, different keys; and what holds no sign of ours is its parts joined."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cinelake.natural_keys import natural_key
from lakehouse import keys
from lakehouse.frames import frame_of

SIGNS = st.text(alphabet="|\\a:", max_size=4)
PARTS = st.lists(SIGNS | st.text(max_size=5), min_size=1, max_size=4)
PLAIN = st.lists(st.text(st.characters(exclude_characters="|\\")), min_size=1, max_size=4)


def _parts_of(key: str) -> list[str]:
    """Take a key apart again."""
    parts = [""]
    signs = iter(key)
    for sign in signs:
        if sign == "|":
            parts.append("")
        else:
            parts[-1] += next(signs) if sign == "\\" else sign
    return parts


@given(PARTS)
def test_a_key_tells_its_parts(parts: list[str]) -> None:
    assert _parts_of(natural_key(*parts)) == parts


@given(PLAIN)
def test_parts_without_signs_are_joined_as_they_are(parts: list[str]) -> None:
    assert natural_key(*parts) == "|".join(parts)


def test_another_separator_is_escaped_instead() -> None:
    assert natural_key("a:b", "c|d", "e\\", separator=":") == "a\\:b:c|d:e\\\\"


def test_columns_give_the_same_keys_as_texts(spark: SparkSession) -> None:
    texts = ["auth0|42", "auth0", "42|s1", "s1", "\\", "\\|", "|", "", "é|😀", "$1"]
    rows = [(a, b, number) for number, (a, b) in enumerate(pairwise(texts * 2))]
    frame = frame_of(spark, [*rows, ("a", None, 1)], "a string, b string, number int")
    key = keys.natural_key(F.lit("kind|"), "a", F.col("b"), "number")
    found = [row.key for row in frame.orderBy("number").select("b", key.alias("key")).collect()]
    expected = [natural_key("kind|", a, b, str(number)) for a, b, number in rows]
    assert sorted(filter(None, found)) == sorted(expected)
    assert found.count(None) == 1
