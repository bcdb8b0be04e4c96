"""`silver.identities`: whose an anonymous id is, and what that makes of its events."""

from collections.abc import Callable

from pyspark.sql import DataFrame

from lakehouse.silver import identities

Events = Callable[..., DataFrame]


def test_the_first_user_seen_with_an_anonymous_id_owns_it(silver_events: Events) -> None:
    events = silver_events(
        {"at": 3, "user_id": "bob", "anonymous_id": "device"},
        {"at": 2, "user_id": "ada", "anonymous_id": "device"},
        {"at": 1, "user_id": None, "anonymous_id": "device"},
        {"at": 0, "user_id": None, "anonymous_id": "nobody's"},
        {"at": 4, "user_id": "eve"},
    )
    links = identities.transform(events)
    (row,) = links.collect()
    assert (row.anonymous_id, row.user_id, row.linked_at.minute) == ("device", "ada", 2)
    resolved = identities.resolve(events, links).orderBy("occurred_at").collect()
    assert [row.resolved_user_id for row in resolved] == [None, "ada", "ada", "bob", "eve"]
