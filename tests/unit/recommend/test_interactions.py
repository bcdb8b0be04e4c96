"""Interactions as arrays, and their split by time."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.recommend.interactions import Interactions, by_time, dataset_of


def _rows(*rows: tuple[str, int, float | None, float, int]) -> pa.Table:
    names = ["user_id", "movie_id", "stars", "likes", "at"]
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    columns[4] = [datetime(2026, 1, day, tzinfo=UTC) for day in columns[4]]
    return pa.table(dict(zip(names, columns, strict=True)))


def test_a_dataset_does_not_depend_on_the_order_of_its_rows() -> None:
    rows = [("bob", 7, 4.0, 1.0, 2), ("ada", 13, None, 0.5, 1), ("ada", 7, 2.5, 0.0, 3)]
    one, other = dataset_of(_rows(*rows)), dataset_of(_rows(*reversed(rows)))
    assert one.user_ids == other.user_ids == ["ada", "bob"]
    assert one.movie_ids == other.movie_ids == [7, 13]
    for name in ("users", "movies", "stars", "likes", "times"):
        np.testing.assert_array_equal(getattr(one.entries, name), getattr(other.entries, name))
    assert one.entries.users.tolist() == [0, 0, 1]
    assert one.entries.movies.tolist() == [0, 1, 0]


def test_what_was_not_rated_is_no_rating_and_what_was_rated_low_is_no_like() -> None:
    entries = dataset_of(
        _rows(("ada", 1, None, 0.5, 1), ("ada", 2, 1.0, 0.0, 1), ("ada", 3, 5.0, 1.0, 1))
    ).entries
    assert entries.rated.movies.tolist() == [1, 2]
    assert entries.liked.movies.tolist() == [0, 2]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 3)),
        unique_by=lambda e: e[:2],
    ),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_no_entry_is_trained_on_that_comes_after_one_held_out_of_its_user(
    drawn: list[tuple[int, int, int]], first: float, last: float
) -> None:
    array = np.array(drawn, np.int64).reshape(-1, 3)
    ones = np.ones(len(array))
    entries = Interactions(array[:, 0], array[:, 1], ones, ones, array[:, 2])
    first, last = sorted((first, last))
    earlier, later = by_time(entries, first, last)
    for user in set(array[:, 0].tolist()):
        moments = [
            sorted(
                zip(part.times[part.users == user], part.movies[part.users == user], strict=True)
            )
            for part in (earlier, later)
        ]
        count = int((array[:, 0] == user).sum())
        assert len(moments[0]) == int(first * count + 1e-6)
        assert len(moments[0]) + len(moments[1]) == int(last * count + 1e-6)
        if all(moments):
            assert moments[0][-1] < moments[1][0]
