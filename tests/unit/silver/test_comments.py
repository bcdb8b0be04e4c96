"""`silver.comments`: the last wording, and the author's alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame

from lakehouse.silver import comments
from tests.unit.silver.conftest import assert_rows, moment, uuid_of

Events = Callable[..., DataFrame]


def _told(at: int, kind: str, text: str | None = None, **fields: Any) -> dict[str, Any]:
    properties = {"comment_id": fields.pop("comment_id", "c1"), "text": text}
    properties["parent_comment_id"] = fields.pop("parent", None)
    return {
        "at": at,
        "event_type": kind,
        "movie_id": 13 if kind == "comment" else None,
        "properties": json.dumps(properties),
        **fields,
    }


def _row(**fields: Any) -> dict[str, Any]:
    """The comment of minute 1, with some fields replaced."""
    row = {
        "comment_id": "c1",
        "user_id": "ada",
        "movie_id": 13,
        "text": "first",
        "is_edited": False,
        "is_deleted": False,
        "event_id": uuid_of("1"),
        "commented_at": moment(1),
    }
    return row | fields


def test_the_last_wording_counts_and_the_first_one_tells_when_and_where(
    silver_events: Events,
) -> None:
    events = silver_events(
        _told(9, "comment_edit", "third"),
        _told(1, "comment", "first", parent="c0"),
        _told(5, "comment_edit", "second"),
        {"at": 99},
    )
    edited = {"text": "third", "is_edited": True, "edited_at": moment(9)}
    assert_rows(comments.transform(events), "comments", _row(parent_comment_id="c0", **edited))


def test_a_deleted_comment_stays_and_says_since_when(silver_events: Events) -> None:
    deletions = (_told(7, "comment_delete"), _told(4, "comment_delete"))
    events = silver_events(*deletions, _told(1, "comment", "first"))
    deleted = {"is_deleted": True, "deleted_at": moment(4)}
    assert_rows(comments.transform(events), "comments", _row(**deleted))


@pytest.mark.parametrize("again", [3, 9])
def test_a_comment_that_is_sent_once_more_takes_no_edit_back(
    silver_events: Events, again: int
) -> None:
    sent_again = _told(again, "comment", "a draft")
    events = silver_events(
        _told(1, "comment", "first"), _told(5, "comment_edit", "second"), sent_again
    )
    edited = {"text": "second", "is_edited": True, "edited_at": moment(5)}
    assert_rows(comments.transform(events), "comments", _row(**edited))
    unedited = silver_events(_told(1, "comment", "first"), sent_again)
    assert_rows(comments.transform(unedited), "comments", _row())


def test_an_edit_from_before_the_comment_is_none(silver_events: Events) -> None:
    events = silver_events(_told(1, "comment", "first"), _told(0, "comment_edit", "zeroth"))
    assert_rows(comments.transform(events), "comments", _row())


def test_nobody_else_can_edit_or_delete_a_comment(silver_events: Events) -> None:
    events = silver_events(
        _told(1, "comment", "mine"),
        _told(2, "comment_edit", "yours", user_id="eve"),
        _told(3, "comment_delete", user_id="eve"),
    )
    assert_rows(comments.transform(events), "comments", _row(text="mine"))


def test_an_edit_without_its_comment_is_no_comment(silver_events: Events) -> None:
    assert comments.transform(silver_events(_told(1, "comment_edit", "x"))).count() == 0
