"""`silver.movie_versions`: a version for each state, whatever the order of arrival."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lakehouse.frames import frame_of
from lakehouse.silver import movie_versions, movies
from tests.unit.silver.conftest import answer

START = datetime(2026, 1, 1)
SCHEMA = """movie_id bigint, observed_at timestamp, title string, status string, popularity_bucket string,
    genre_ids string, content_hash string"""

Seen = tuple[int, str]
"""Hours after the start, and the title that was seen then."""


def _observed(spark: SparkSession, seen: Sequence[Seen], movie_id: int = 13) -> DataFrame:
    rows = [
        (movie_id, START + timedelta(hours=at), title, "Released", "0-1", None, "a")
        for at, title in seen
    ]
    return frame_of(spark, rows, SCHEMA)


def _spans(versions: DataFrame) -> list[tuple[str, int, int | None]]:
    def hours(moment: datetime | None) -> int | None:
        return None if moment is None else int((moment - START).total_seconds() // 3600)

    rows = versions.orderBy("movie_id", "valid_from").collect()
    assert [row.is_current for row in rows] == [row.valid_to is None for row in rows]
    return [(row.title, hours(row.valid_from) or 0, hours(row.valid_to)) for row in rows]


def _expected(seen: Sequence[Seen]) -> list[tuple[str, int, int | None]]:
    """The same by hand: one pass over the states in order of time."""
    begun: list[Seen] = []
    for at, title in sorted(set(seen)):
        if not begun or begun[-1][1] != title:
            begun.append((at, title))
    ends = [at for at, _ in begun[1:]] + [None]
    return [(title, at, end) for (at, title), end in zip(begun, ends, strict=True)]


def test_an_equal_state_goes_on_and_another_one_begins(spark: SparkSession) -> None:
    seen = [(0, "a"), (1, "a"), (2, "b"), (3, "a")]
    versions = movie_versions.transform(_observed(spark, seen))
    assert _spans(versions) == [("a", 0, 2), ("b", 2, 3), ("a", 3, None)]


HISTORIES = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from("ab")),
    min_size=1,
    max_size=10,
    unique_by=lambda s: s[0],
)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(HISTORIES, st.randoms(), st.integers(0, 10))
def test_order_and_repetition_do_not_matter(
    spark: SparkSession, history: list[Seen], chance: Any, cut: int
) -> None:
    shuffled = [*history, *history[:cut]]
    chance.shuffle(shuffled)
    assert _spans(movie_versions.transform(_observed(spark, shuffled))) == _expected(history)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(HISTORIES, st.integers(0, 10))
def test_versions_stand_for_the_whole_past_when_answers_come_in_order(
    spark: SparkSession, history: list[Seen], cut: int
) -> None:
    in_order = sorted(history)
    past = movie_versions.transform(_observed(spark, in_order[:cut]))
    held = frame_of(spark, movie_versions.held_observations(past).collect(), SCHEMA)
    news = _observed(spark, in_order[cut:])
    versions = movie_versions.transform(held.unionByName(news))
    assert _spans(versions) == _expected(history)


CHANGES: list[tuple[dict[str, Any], bool]] = [
    ({"title": "Forrest Gump 2"}, True),
    ({"status": "Rumored"}, True),
    ({"popularity": 9.99}, False),
    ({"popularity": 10.0}, True),
    ({"popularity": None}, True),
    ({"genres": [{"id": 18, "name": "Drame"}, {"id": 35, "name": "Comedy"}]}, False),
    ({"genres": [{"id": 18, "name": "Drama"}]}, True),
    ({"overview": "Another summary", "vote_count": 5}, False),
    ({"deleted_at": "2026-01-03T00:00:00Z"}, False),
]
"""What another answer says otherwise, and whether that makes another version."""


def test_only_what_is_tracked_makes_a_version(bronze_rows: Callable[..., DataFrame]) -> None:
    answers = []
    for movie_id, (change, _) in enumerate(CHANGES, 1):
        second = {"fetched_at": "2026-01-02T00:00:00Z", "popularity": 1.0} | change
        answers += [answer(id=movie_id, **second), answer(id=movie_id, popularity=1.0)]
    seen = movie_versions.observe(movies.transform(bronze_rows(*answers)))
    counted = movie_versions.transform(seen).groupBy("movie_id").count().collect()
    assert {row.movie_id: row["count"] for row in counted} == {
        movie_id: 1 + is_another for movie_id, (_, is_another) in enumerate(CHANGES, 1)
    }


def test_popularity_falls_into_powers_of_ten(bronze_rows: Callable[..., DataFrame]) -> None:
    scores = [None, 0.0, 0.99, 1.0, 9.99, 10, 99.9, 100, 5000.0]
    answers = [answer(id=place + 1, popularity=score) for place, score in enumerate(scores)]
    rows = movie_versions.observe(movies.transform(bronze_rows(*answers))).orderBy("movie_id")
    assert [row.popularity_bucket for row in rows.collect()] == [
        *("unknown", "0-1", "0-1", "1-10", "1-10", "10-100", "10-100", "100+", "100+"),
    ]
