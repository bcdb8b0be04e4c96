"""Votes, reactions and watchlists: of one user about one thing the latest event decides."""

import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.silver import comment_votes, movie_reactions, watchlist

Events = Callable[..., DataFrame]


def _voted(at: int, vote: str, **fields: Any) -> dict[str, Any]:
    properties = json.dumps({"comment_id": fields.pop("comment_id", "c1"), "vote": vote})
    return {"at": at, "event_type": "comment_vote", "properties": properties, **fields}


def _reacted(at: int, reaction: str, **fields: Any) -> dict[str, Any]:
    properties = json.dumps({"reaction": reaction})
    return {
        "at": at,
        "event_type": "movie_reaction",
        "movie_id": 13,
        "properties": properties,
        **fields,
    }


def test_the_latest_vote_counts_also_when_it_takes_one_back(silver_events: Events) -> None:
    events = silver_events(
        _voted(2, "none"),
        _voted(1, "up"),
        _voted(3, "down", comment_id="c2"),
        _voted(4, "up", user_id="bob"),
        {"at": 9},
    )
    rows = comment_votes.transform(events).orderBy("user_id", "comment_id").collect()
    assert [(r.user_id, r.comment_id, r.vote, r.voted_at.minute) for r in rows] == [
        ("ada", "c1", "none", 2),
        ("ada", "c2", "down", 3),
        ("bob", "c1", "up", 4),
    ]


def test_the_latest_reaction_counts(silver_events: Events) -> None:
    events = silver_events(
        _reacted(5, "dislike"), _reacted(1, "like"), _reacted(2, "none", movie_id=14)
    )
    rows = movie_reactions.transform(events).orderBy("movie_id").collect()
    assert [(row.movie_id, row.reaction) for row in rows] == [(13, "dislike"), (14, "none")]


def test_a_movie_is_on_the_list_when_it_was_put_there_last(silver_events: Events) -> None:
    def put(at: int, movie_id: int) -> dict[str, Any]:
        return {"at": at, "event_type": "watchlist_add", "movie_id": movie_id}

    def off(at: int, movie_id: int) -> dict[str, Any]:
        return put(at, movie_id) | {"event_type": "watchlist_remove"}

    events = silver_events(put(1, 13), off(2, 13), put(3, 13), off(5, 14), put(4, 14), off(6, 15))
    rows = watchlist.transform(events).orderBy("movie_id").collect()
    told = [
        (
            row.movie_id,
            row.is_listed,
            row.added_at and row.added_at.minute,
            row.removed_at and row.removed_at.minute,
            row.changed_at.minute,
        )
        for row in rows
    ]
    assert told == [(13, True, 3, 2, 3), (14, False, 4, 5, 5), (15, False, None, 6, 6)]
