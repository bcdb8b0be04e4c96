"""Votes, reactions and watchlists: of one user about one thing the latest event decides."""

import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.silver import comment_votes, movie_reactions, watchlist
from tests.unit.silver.conftest import assert_rows, moment, uuid_of

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

    def row(at: int, user_id: str, comment_id: str, vote: str) -> dict[str, Any]:
        said = {"user_id": user_id, "comment_id": comment_id, "vote": vote}
        return said | {"event_id": uuid_of(str(at)), "voted_at": moment(at)}

    assert_rows(
        comment_votes.transform(events),
        "comment_votes",
        row(2, "ada", "c1", "none"),
        row(3, "ada", "c2", "down"),
        row(4, "bob", "c1", "up"),
    )


def test_the_latest_reaction_counts(silver_events: Events) -> None:
    events = silver_events(
        _reacted(5, "dislike"), _reacted(1, "like"), _reacted(2, "none", movie_id=14)
    )

    def row(at: int, movie_id: int, reaction: str) -> dict[str, Any]:
        said = {"user_id": "ada", "movie_id": movie_id, "reaction": reaction}
        return said | {"event_id": uuid_of(str(at)), "reacted_at": moment(at)}

    assert_rows(
        movie_reactions.transform(events),
        "movie_reactions",
        row(5, 13, "dislike"),
        row(2, 14, "none"),
    )


def test_a_movie_is_on_the_list_when_it_was_put_there_last(silver_events: Events) -> None:
    def put(at: int, movie_id: int) -> dict[str, Any]:
        return {"at": at, "event_type": "watchlist_add", "movie_id": movie_id}

    def off(at: int, movie_id: int) -> dict[str, Any]:
        return put(at, movie_id) | {"event_type": "watchlist_remove"}

    events = silver_events(put(1, 13), off(2, 13), put(3, 13), off(5, 14), put(4, 14), off(6, 15))

    def row(movie_id: int, added: int | None, removed: int) -> dict[str, Any]:
        is_listed = added is not None and added > removed
        changed = added if is_listed and added else removed
        return {
            "user_id": "ada",
            "movie_id": movie_id,
            "is_listed": is_listed,
            "added_at": None if added is None else moment(added),
            "removed_at": moment(removed),
            "event_id": uuid_of(str(changed)),
            "changed_at": moment(changed),
        }

    assert_rows(
        watchlist.transform(events), "watchlist", row(13, 3, 2), row(14, 4, 5), row(15, None, 6)
    )
