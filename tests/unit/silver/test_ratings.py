"""`silver.ratings`: the latest word of a user on a movie."""

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.silver import ratings


def _rated(at: int, rating: float | None, **fields: Any) -> dict[str, Any]:
    kind = "rating" if rating is not None else "rating_removed"
    return {"at": at, "event_type": kind, "movie_id": 13, "rating": rating, **fields}


def test_the_latest_rating_of_a_user_and_movie_counts(
    silver_events: Callable[..., DataFrame],
) -> None:
    events = silver_events(
        _rated(5, 8.0), _rated(9, 6.5), _rated(1, 2.0), _rated(3, 4.0, user_id="bob"), {"at": 99}
    )
    rows = {row.user_id: row for row in ratings.transform(events).collect()}
    assert {user: row.rating for user, row in rows.items()} == {"ada": 6.5, "bob": 4.0}
    assert rows["ada"].rated_at.minute == 9


def test_a_removal_is_honoured_until_the_user_rates_again(
    silver_events: Callable[..., DataFrame],
) -> None:
    removed = ratings.transform(silver_events(_rated(1, 8.0), _rated(2, None))).collect()[0]
    assert (removed.is_removed, removed.rating) == (True, None)
    again = ratings.transform(
        silver_events(_rated(1, 8.0), _rated(3, 9.0), _rated(2, None))
    ).collect()[0]
    assert (again.is_removed, again.rating) == (False, 9.0)
