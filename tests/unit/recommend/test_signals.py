"""What ratings, plays and watchlists say of a user and a movie."""

from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.recommend import signals

MORNING, NOON, NIGHT = (datetime(2026, 1, 1, hour) for hour in (8, 12, 22))


def _frame(spark: SparkSession, name: str, *rows: dict[str, Any]) -> DataFrame:
    contract = table(f"silver.{name}")
    values = [tuple(row.get(column) for column in contract.column_names) for row in rows]
    ddl = ", ".join(f"{column.name} {column.type}" for column in contract.columns)
    return frame_of(spark, values, ddl)


def _signals(spark: SparkSession, **rows: list[dict[str, Any]]) -> dict[tuple[str, int], Any]:
    frames = [_frame(spark, n, *rows.get(n, [])) for n in ("ratings", "watch_history", "watchlist")]
    found = signals.transform(*frames).collect()
    return {(row.user_id, row.movie_id): (row.stars, row.likes, row["at"]) for row in found}


def _rating(user_id: str, rating: float | None) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "movie_id": 13,
        "rating": rating,
        "rated_at": NOON,
        "is_removed": rating is None,
    }


def _play(user_id: str | None, is_completed: bool) -> dict[str, Any]:
    return {
        "resolved_user_id": user_id,
        "movie_id": 13,
        "ended_at": NIGHT,
        "is_completed": is_completed,
    }


def test_a_rating_of_eight_is_four_stars_and_a_like(spark: SparkSession) -> None:
    found = _signals(spark, ratings=[_rating("ada", 8.0), _rating("bob", 7.5)])
    assert found == {("ada", 13): (4.0, 1.0, NOON), ("bob", 13): (3.75, 0.0, NOON)}


def test_of_several_signals_the_surest_and_latest_count(spark: SparkSession) -> None:
    listed = {"user_id": "ada", "movie_id": 13, "is_listed": True, "changed_at": MORNING}
    off = listed | {"user_id": "bob", "is_listed": False}
    found = _signals(
        spark,
        watch_history=[_play("ada", False), _play("cyd", True), _play(None, True)],
        watchlist=[listed, off],
    )
    assert found == {
        ("ada", 13): (None, signals.LISTED, NIGHT),
        ("cyd", 13): (None, signals.COMPLETED, NIGHT),
    }


def test_a_rating_outweighs_what_was_watched_until_it_is_taken_back(spark: SparkSession) -> None:
    watched = [_play("ada", True), _play("bob", True)]
    found = _signals(
        spark, ratings=[_rating("ada", 2.0), _rating("bob", None)], watch_history=watched
    )
    assert found == {("ada", 13): (1.0, 0.0, NOON), ("bob", 13): (None, signals.COMPLETED, NIGHT)}
