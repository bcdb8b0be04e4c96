"""A mapping mends what its steps name, leaves everything else byte for byte, and is refused when it is not clear."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinelake.errors import BadInputError
from lakehouse.mapping import Mapping, apply, read_mapping


def mended(document: Any, *steps: dict[str, Any]) -> Any:
    mapping = Mapping.model_validate(steps)
    return json.loads(apply(mapping, json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("before", "step", "after"),
    [
        ({"movie": 13}, {"rename": {"from": "movie", "to": "movie_id"}}, {"movie_id": 13}),
        ({"a": {"b": 1}}, {"rename": {"from": "a.b", "to": "c"}}, {"a": {}, "c": 1}),
        ({"b": 1, "p": None}, {"rename": {"from": "b", "to": "p.q"}}, {"p": {"q": 1}}),
        ({"b": 1, "c": None}, {"rename": {"from": "b", "to": "c"}}, {"c": 1}),
        ({"b": 1, "c": "x"}, {"rename": {"from": "b", "to": "c.d"}}, {"b": 1, "c": "x"}),
        ({"a": 1}, {"rename": {"from": "b", "to": "c"}}, {"a": 1}),
        ({"n": " 13 "}, {"cast": {"field": "n", "type": "int"}}, {"n": 13}),
        ({"n": 13.0}, {"cast": {"field": "n", "type": "int"}}, {"n": 13}),
        ({"n": 13.5}, {"cast": {"field": "n", "type": "int"}}, {"n": 13.5}),
        ({"n": "1_000"}, {"cast": {"field": "n", "type": "int"}}, {"n": "1_000"}),
        ({"n": str(2**80)}, {"cast": {"field": "n", "type": "int"}}, {"n": 2**80}),
        ({"n": True}, {"cast": {"field": "n", "type": "int"}}, {"n": 1}),
        ({"n": "8.5"}, {"cast": {"field": "n", "type": "float"}}, {"n": 8.5}),
        ({"n": "1e999"}, {"cast": {"field": "n", "type": "float"}}, {"n": "1e999"}),
        ({"n": "nan"}, {"cast": {"field": "n", "type": "float"}}, {"n": "nan"}),
        ({"n": 7}, {"cast": {"field": "n", "type": "float"}}, {"n": 7.0}),
        ({"n": 7}, {"cast": {"field": "n", "type": "string"}}, {"n": "7"}),
        ({"n": True}, {"cast": {"field": "n", "type": "string"}}, {"n": "true"}),
        ({"n": " x "}, {"cast": {"field": "n", "type": "string"}}, {"n": " x "}),
        ({"n": "TRUE"}, {"cast": {"field": "n", "type": "bool"}}, {"n": True}),
        ({"n": 0}, {"cast": {"field": "n", "type": "bool"}}, {"n": False}),
        ({"n": "maybe"}, {"cast": {"field": "n", "type": "bool"}}, {"n": "maybe"}),
        ({"n": [1]}, {"cast": {"field": "n", "type": "string"}}, {"n": [1]}),
        ({"n": None}, {"cast": {"field": "n", "type": "string"}}, {"n": None}),
        ({}, {"cast": {"field": "n.m", "type": "int"}}, {}),
        ({}, {"default": {"field": "v", "value": 1}}, {"v": 1}),
        ({"v": None}, {"default": {"field": "v", "value": 1}}, {"v": 1}),
        ({"v": 0}, {"default": {"field": "v", "value": 1}}, {"v": 0}),
        ({}, {"default": {"field": "p.q", "value": [1]}}, {"p": {"q": [1]}}),
        ({"p": 3}, {"default": {"field": "p.q", "value": 1}}, {"p": 3}),
        ({"a": 1, "b": None}, {"drop": {"field": "b"}}, {"a": 1}),
        ({"a": {"b": 1}}, {"drop": {"field": "a.b"}}, {"a": {}}),
        ({"a": 1}, {"drop": {"field": "a.b"}}, {"a": 1}),
    ],
)  # fmt: skip
def test_each_step_does_what_it_says(
    before: dict[str, Any], step: dict[str, Any], after: dict[str, Any]
) -> None:
    found = mended(before, step)
    assert found == after
    assert [type(value) for value in found.values()] == [type(value) for value in after.values()]


def test_steps_are_taken_in_their_order() -> None:
    steps = (
        {"rename": {"from": "movie", "to": "movie_id"}},
        {"cast": {"field": "movie_id", "type": "int"}},
        {"default": {"field": "schema_version", "value": 1}},
        {"drop": {"field": "debug"}},
    )
    before = {"movie": "13", "debug": True, "title": "映画 😀"}
    assert mended(before, *steps) == {
        "movie_id": 13,
        "schema_version": 1,
        "title": before["title"],
    }
    assert mended(mended(before, *steps), *steps) == mended(before, *steps)


def test_a_default_is_not_shared_between_messages() -> None:
    steps = (
        {"default": {"field": "p", "value": {}}},
        {"rename": {"from": "a", "to": "p.a"}},
    )
    mapping = Mapping.model_validate(steps)
    assert apply(mapping, b'{"a":1}') == b'{"p":{"a":1}}'
    assert apply(mapping, b"{}") == b'{"p":{}}'


DROP = Mapping.model_validate([{"drop": {"field": "gone"}}])


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"\xff\xfe", b"[1]", b'"gone"', b"null", b'{"gone": NaN}', b'{"gone": 1e999}',
        b"\xef\xbb\xbf" + b'{"gone": 1}', b'{"a": ' * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_json_object_comes_back_as_it_was(payload: bytes) -> None:
    assert apply(DROP, payload) == payload


def test_a_message_that_no_step_concerns_keeps_every_byte() -> None:
    payload = b'{ "a" : 1.10, "a": 2 }'
    assert apply(DROP, payload) is payload


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_fields_that_no_step_names_stay_as_they_are(document: dict[str, Any]) -> None:
    found = mended({**document, "gone": 1}, {"drop": {"field": "gone"}})
    assert found == {name: value for name, value in document.items() if name != "gone"}


def test_the_same_steps_have_one_canonical_text(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text("- rename:\n    to: movie_id\n    from: movie\n- drop: {field: é}\n", "utf-8")
    expected = '[{"rename":{"from":"movie","to":"movie_id"}},{"drop":{"field":"é"}}]'
    assert read_mapping(path).canonical == expected
    assert Mapping.model_validate_json(expected) == read_mapping(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rename: {from: a, to: b}", "not a mapping"),
        ("- rename: {from: a}", "entry 1, rename.to: Field required"),
        ("- drop: {field: a}\n- cast: {field: a, type: date}", "entry 2, cast.type"),
        ("- drop: {field: a}\n  default: {field: b, value: 1}", "entry 1: an entry holds exactly one"),
        ("- drop: null", "entry 1: an entry holds exactly one"),
        ("- {}", "entry 1: an entry holds exactly one"),
        ("- rename: {from: a..b, to: c}", "entry 1, rename.from"),
        ("- default: {field: a, value: null}", "entry 1, default.value: null is what"),
        ("- rename: {from: a, to: a}", "entry 1, rename: a is a itself"),
        ("- rename: {from: a, to: a.b}", "entry 1, rename: a.b is a itself or lies in it"),
        ("- copy: {from: a, to: b}", "entry 1, copy"),
        ("- drop: {field: a, why: b}", "entry 1, drop.why"),
        ("- [", "not a mapping"),
        ("", "not a mapping"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_mapping(path)
    assert words in refused.value.message
    assert str(path) in refused.value.message


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere"):
        read_mapping(tmp_path / "nowhere.yaml")
