import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinelake.errors import BadInputError
from ingestion.api.bodies import parse_json, split_elements
from ingestion.json_limits import find_problems

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(elements=st.lists(json_values, max_size=6), spread=st.booleans(), as_object=st.booleans())
def test_each_element_gets_its_own_bytes(
    elements: list[Any], spread: bool, as_object: bool
) -> None:
    value = {"events": elements} if as_object else elements
    body = json.dumps(value, indent=2 if spread else None).encode()
    parts = split_elements(body, depth=2 if as_object else 1)
    assert [json.loads(part) for part in parts] == elements
    assert all(part in body for part in parts)


def test_of_a_member_that_stands_twice_both_parsers_take_the_last() -> None:
    body = b'{"events": [1, 2], "\\u0065vents": [3]}'
    assert parse_json(body).value == {"events": [3]}
    assert split_elements(body, depth=2) == [b"3"]


@given(value=json_values)
def test_json_is_parsed_as_json(value: Any) -> None:
    assert parse_json(orjson.dumps(value)).value == value


@given(body=st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        parse_json(body)
    except BadInputError as error:
        assert error.message.startswith("The body is not JSON")


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"-Infinity", b"[1,]", b"{'a':1}", b"01"])
def test_the_lenient_second_look_takes_no_invalid_json(body: bytes) -> None:
    with pytest.raises(BadInputError):
        parse_json(body)


@given(value=json_values)
def test_a_clean_body_holds_no_text_and_no_number_that_a_look_would_find(value: Any) -> None:
    parsed = parse_json(orjson.dumps(value))
    found = [problem for problem in find_problems(parsed.value) if "nests" not in problem.reason]
    assert not (parsed.is_clean and found)


@pytest.mark.parametrize(
    "body",
    [b'"a\\u0000b"', b"9223372036854775808", b"-9223372036854775809", b'"\\ud800"', b"1e999"],
)
def test_what_no_store_can_hold_is_never_clean(body: bytes) -> None:
    parsed = parse_json(body)
    assert not parsed.is_clean
    assert list(find_problems(parsed.value))
