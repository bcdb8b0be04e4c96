"""`silver.users`: the latest that is known of a user."""

import json
from collections.abc import Callable

from pyspark.sql import DataFrame

from lakehouse.silver import users


def test_each_profile_field_has_its_latest_given_value(
    silver_events: Callable[..., DataFrame],
) -> None:
    def upsert(at: int, **properties: object) -> dict[str, object]:
        return {"at": at, "event_type": "user_upsert", "properties": json.dumps(properties)}

    events = silver_events(
        upsert(5, name="Ada L.", country="FR"),
        upsert(1, name="Ada", country="GB", birth_year=1815),
        upsert(9, country="GB"),
        {"at": 20, "properties": json.dumps({"name": "not a profile"})},
    )
    row = users.transform(events).collect()[0]
    assert (row.user_id, row.name, row.country, row.birth_year) == ("ada", "Ada L.", "GB", 1815)
    assert (row.first_seen_at.minute, row.last_seen_at.minute, row.event_count) == (1, 20, 4)


def test_anonymous_visitors_are_not_users(silver_events: Callable[..., DataFrame]) -> None:
    assert users.transform(silver_events({"user_id": None, "anonymous_id": "x"})).count() == 0
