"""`silver.identities`: whose an anonymous id is, and what that makes of its events."""

from collections.abc import Callable

from pyspark.sql import DataFrame

from lakehouse.silver import identities
from tests.unit.silver.conftest import assert_rows, moment, uuid_of

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
    link = {"anonymous_id": "device", "user_id": "ada"}
    first = {"event_id": uuid_of("2"), "linked_at": moment(2)}
    assert_rows(links, "identities", link | first)
    resolved = identities.resolve(events, links).orderBy("occurred_at").collect()
    assert [row.resolved_user_id for row in resolved] == [None, "ada", "ada", "bob", "eve"]
