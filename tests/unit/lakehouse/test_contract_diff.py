"""Each kind of change is told apart: whom it breaks, and which version it needs."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lakehouse.contract import Column, Table, table
from lakehouse.contract_diff import Change, diff

RATINGS = table("silver.ratings").model_copy(update={"version": "1.0.0"})
"""At version 1.0.0: user_id, movie_id, rating from 0.5 to 10, event_id, rated_at, is_removed."""
WORD = Column(name="word", type="string", description="A word.", required=False)


def with_columns(*columns: Column, version: str = "1.0.0") -> Table:
    return RATINGS.model_copy(
        update={"columns": (*RATINGS.columns, *columns), "version": version},
    )


def changed(column: str, **fields: Any) -> Table:
    columns = tuple(
        each.model_copy(update=fields) if each.name == column else each for each in RATINGS.columns
    )
    return RATINGS.model_copy(update={"columns": columns})


def without(column: str) -> Table:
    kept = tuple(each for each in RATINGS.columns if each.name != column)
    return RATINGS.model_copy(update={"columns": kept})


def changes(old: Table, new: Table) -> list[Change]:
    return diff({old.full_name: old}, {new.full_name: new})


def word(**fields: Any) -> Table:
    return with_columns(WORD.model_copy(update=fields))


CASES = {
    "a column that is gone": (RATINGS, without("rating"), "breaking"),
    "a new required column": (RATINGS, word(required=True), "breaking"),
    "a new optional column": (RATINGS, word(), "compatible"),
    "a column required from now on": (RATINGS, changed("rating", required=True), "breaking"),
    "a column that may be null now": (RATINGS, changed("rated_at", required=False), "compatible"),
    "a narrower type": (RATINGS, changed("movie_id", type="int"), "breaking"),
    "a double that is whole now": (RATINGS, changed("rating", type="bigint"), "breaking"),
    "another type": (RATINGS, changed("rated_at", type="date"), "breaking"),
    "int to bigint": (changed("movie_id", type="int"), RATINGS, "compatible"),
    "int to double": (changed("rating", type="int"), RATINGS, "compatible"),
    "a text that is a UUID now": (word(), word(is_uuid=True), "breaking"),
    "a UUID that is any text now": (RATINGS, changed("event_id", is_uuid=False), "breaking"),
    "another key": (RATINGS, changed("movie_id", key_position=None), "breaking"),
    "the key in another order": (RATINGS, changed("user_id", key_position=3), "breaking"),
    "values that must be unique": (RATINGS, changed("event_id", unique=True), "breaking"),
    "values that may repeat": (changed("event_id", unique=True), RATINGS, "breaking"),
    "a higher minimum": (RATINGS, changed("rating", minimum=1), "breaking"),
    "a lower minimum": (RATINGS, changed("rating", minimum=0), "compatible"),
    "a first minimum": (changed("rating", minimum=None), RATINGS, "breaking"),
    "no minimum any more": (RATINGS, changed("rating", minimum=None), "compatible"),
    "a lower maximum": (RATINGS, changed("rating", maximum=5), "breaking"),
    "a higher maximum": (RATINGS, changed("rating", maximum=100), "compatible"),
    "a first length": (word(), word(max_length=9), "breaking"),
    "a greater length": (word(max_length=9), word(max_length=10), "compatible"),
    "a later first date": (
        changed("rated_at", minimum=datetime(1970, 1, 1, tzinfo=UTC)),
        changed("rated_at", minimum=datetime(1980, 1, 1, tzinfo=UTC)),
        "breaking",
    ),
    "a first pattern": (word(), word(pattern="^a"), "breaking"),
    "another pattern": (word(pattern="^a"), word(pattern="^b"), "breaking"),
    "no pattern any more": (word(pattern="^a"), word(), "compatible"),
    "a first list of values": (word(), word(valid_values=("a",)), "breaking"),
    "a value less": (word(valid_values=("a", "b")), word(valid_values=("a",)), "breaking"),
    "a value more": (word(valid_values=("a",)), word(valid_values=("a", "b")), "compatible"),
    "any value": (word(valid_values=("a",)), word(), "compatible"),
    "another text": (word(), word(description="Another word."), "informative"),
    "personal data": (word(), word(classification="personal"), "informative"),
    "a reference": (word(), word(references=("users", "user_id")), "informative"),
    "another grain": (RATINGS, RATINGS.model_copy(update={"grain": "One."}), "informative"),
    "a freshness": (
        RATINGS,
        RATINGS.model_copy(update={"freshness_column": "rated_at", "freshness_hours": 1}),
        "informative",
    ),
}
NEEDS = {"breaking": "2.0.0", "compatible": "1.1.0", "informative": "1.0.1"}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_of_its_kind_and_needs_its_version(case: str) -> None:
    old, new, kind = CASES[case]
    (change,) = changes(old, new)
    assert (change.kind, change.needs, change.is_announced) == (kind, NEEDS[kind], False)
    assert change.is_refused is (kind != "informative")
    assert change.table == "silver.ratings"


@pytest.mark.parametrize("case", CASES)
def test_the_version_that_a_change_needs_lets_it_through_and_one_below_does_not(case: str) -> None:
    old, new, kind = CASES[case]
    too_low = {"breaking": "1.9.9", "compatible": "1.0.9", "informative": "1.0.0"}
    for version, is_announced in ((NEEDS[kind], True), ("3.0.0", True), (too_low[kind], False)):
        (change,) = changes(old, new.model_copy(update={"version": version}))
        assert change.is_announced is is_announced, version


def test_a_change_names_its_column_and_what_was_and_is() -> None:
    (change,) = changes(RATINGS, changed("rating", type="bigint"))
    assert change.target == "silver.ratings.rating"
    assert change.change == "the type was double, and is bigint"
    (change,) = changes(RATINGS, changed("rating", maximum=5))
    assert change.change == "the maximum was 10, and is 5"


def test_contracts_that_are_equal_or_in_another_order_have_no_changes() -> None:
    assert changes(RATINGS, RATINGS) == []
    turned = RATINGS.model_copy(update={"columns": RATINGS.columns[::-1]})
    assert changes(RATINGS, turned) == []


def test_each_of_several_changes_is_told() -> None:
    new = changed("rating", minimum=1, maximum=100, description="Other.")
    assert [(each.column, each.kind) for each in changes(RATINGS, new)] == [
        ("rating", "breaking"),
        ("rating", "compatible"),
        ("rating", "informative"),
    ]


def test_a_new_table_is_allowed_and_one_that_goes_was_deprecated_before() -> None:
    name = "silver.ratings"
    (new,) = diff({}, {name: RATINGS})
    assert (new.kind, new.is_announced) == ("compatible", True)
    (gone,) = diff({name: RATINGS}, {})
    assert (gone.kind, gone.is_refused) == ("breaking", True)
    deprecated = RATINGS.model_copy(update={"status": "deprecated"})
    (gone,) = diff({name: deprecated}, {})
    assert (gone.kind, gone.is_refused) == ("breaking", False)
