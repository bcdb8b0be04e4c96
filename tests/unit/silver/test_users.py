"""`silver.users`: the latest that is known of a user."""

import json
from collections.abc import Callable

from pyspark.sql import DataFrame

from lakehouse.silver import users
from tests.unit.silver.conftest import assert_rows, moment


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
    profile = {"name": "Ada L.", "country": "GB", "birth_year": 1815}
    seen = {"first_seen_at": moment(1), "last_seen_at": moment(20), "event_count": 4}
    assert_rows(users.transform(events), "users", {"user_id": "ada"} | profile | seen)


def test_anonymous_visitors_are_not_users(silver_events: Callable[..., DataFrame]) -> None:
    assert users.transform(silver_events({"user_id": None, "anonymous_id": "x"})).count() == 0
