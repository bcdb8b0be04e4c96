"""`silver.comments`: the last wording, and the author's alone."""

import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, Row

from lakehouse.silver import comments

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


def _only(events: DataFrame) -> Row:
    (row,) = comments.transform(events).collect()
    return row


def test_the_last_wording_counts_and_the_first_one_tells_when_and_where(
    silver_events: Events,
) -> None:
    row = _only(
        silver_events(
            _told(9, "comment_edit", "third"),
            _told(1, "comment", "first", parent="c0"),
            _told(5, "comment_edit", "second"),
            {"at": 99},
        )
    )
    assert (row.text, row.is_edited, row.edited_at.minute) == ("third", True, 9)
    assert (row.movie_id, row.parent_comment_id, row.commented_at.minute) == (13, "c0", 1)
    assert (row.is_deleted, row.deleted_at) == (False, None)


def test_a_deleted_comment_stays_and_says_since_when(silver_events: Events) -> None:
    deletions = (_told(7, "comment_delete"), _told(4, "comment_delete"))
    row = _only(silver_events(*deletions, _told(1, "comment", "first")))
    assert (row.is_deleted, row.deleted_at.minute, row.text) == (True, 4, "first")
    assert (row.is_edited, row.edited_at) == (False, None)


def test_nobody_else_can_edit_or_delete_a_comment(silver_events: Events) -> None:
    row = _only(
        silver_events(
            _told(1, "comment", "mine"),
            _told(2, "comment_edit", "yours", user_id="eve"),
            _told(3, "comment_delete", user_id="eve"),
        )
    )
    assert (row.user_id, row.text, row.is_deleted) == ("ada", "mine", False)


def test_an_edit_without_its_comment_is_no_comment(silver_events: Events) -> None:
    assert comments.transform(silver_events(_told(1, "comment_edit", "x"))).count() == 0
