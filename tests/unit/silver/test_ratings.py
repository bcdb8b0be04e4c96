"""`silver.ratings`: the latest word of a user on a movie."""

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.silver import ratings
from tests.unit.silver.conftest import assert_rows, moment, uuid_of


def _rated(at: int, rating: float | None, **fields: Any) -> dict[str, Any]:
    kind = "rating" if rating is not None else "rating_removed"
    return {"at": at, "event_type": kind, "movie_id": 13, "rating": rating, **fields}


def _row(at: int, rating: float | None, user_id: str = "ada") -> dict[str, Any]:
    """The row that the event of a minute decides."""
    return {
        "user_id": user_id,
        "movie_id": 13,
        "rating": rating,
        "event_id": uuid_of(str(at)),
        "rated_at": moment(at),
        "is_removed": rating is None,
    }


def test_the_latest_rating_of_a_user_and_movie_counts(
    silver_events: Callable[..., DataFrame],
) -> None:
    events = silver_events(
        _rated(5, 8.0), _rated(9, 6.5), _rated(1, 2.0), _rated(3, 4.0, user_id="bob"), {"at": 99}
    )
    assert_rows(ratings.transform(events), "ratings", _row(9, 6.5), _row(3, 4.0, user_id="bob"))


def test_a_removal_is_honoured_until_the_user_rates_again(
    silver_events: Callable[..., DataFrame],
) -> None:
    removed = silver_events(_rated(1, 8.0), _rated(2, None))
    assert_rows(ratings.transform(removed), "ratings", _row(2, None))
    again = silver_events(_rated(1, 8.0), _rated(3, 9.0), _rated(2, None))
    assert_rows(ratings.transform(again), "ratings", _row(3, 9.0))
