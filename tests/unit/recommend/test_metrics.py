"""The figures of a ranking, computed by hand."""

import math

import numpy as np
import pytest

from lakehouse.recommend.interactions import Floats, Interactions, Ints
from lakehouse.recommend.metrics import measure_ranking, rmse


class _Fixed:
    """Scores movie 0 highest, then 1, and so on, for everybody."""

    def __init__(self, movies: int) -> None:
        self.movies = movies

    def scores(self, users: Ints) -> Floats:
        return np.tile(-np.arange(self.movies, dtype=np.float64), (len(users), 1))


def _entries(*pairs: tuple[int, int], likes: float = 1.0) -> Interactions:
    array = np.array(pairs, np.int64).reshape(-1, 2)
    ones = np.ones(len(array))
    return Interactions(
        array[:, 0], array[:, 1], ones, ones * likes, np.zeros(len(array), np.int64)
    )


def test_rmse_is_the_root_of_the_mean_square() -> None:
    assert rmse(np.array([3.0, 5.0]), np.array([4.0, 3.0])) == pytest.approx(math.sqrt(2.5))
    assert math.isnan(rmse(np.array([]), np.array([])))


def test_a_known_movie_is_not_recommended_and_a_hit_counts_by_its_place() -> None:
    # Of 12 movies the user knows 0, so that 1 to 10 are recommended; they liked 2, in the second place, and 11.
    found = measure_ranking(_Fixed(12), _entries((0, 0)), _entries((0, 2), (0, 11)), 12)
    assert found.precision == pytest.approx(1 / 10)
    assert found.recall == pytest.approx(1 / 2)
    assert found.ndcg == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert found.coverage == pytest.approx(10 / 12)


def test_the_best_possible_list_has_a_gain_of_one() -> None:
    found = measure_ranking(_Fixed(3), _entries(), _entries((0, 0), (0, 1), (1, 0)), 3)
    assert found.ndcg == pytest.approx(1)
    assert found.recall == pytest.approx(1)
    assert found.precision == pytest.approx((2 + 1) / 20)


def test_movies_that_were_not_liked_are_no_hits() -> None:
    found = measure_ranking(_Fixed(3), _entries(), _entries((0, 0), likes=0.0), 3)
    assert (found.ndcg, found.precision, found.recall, found.coverage) == (0, 0, 0, 0)


def test_a_user_who_knows_every_movie_gets_none() -> None:
    known = _entries((0, 0), (0, 1))
    found = measure_ranking(_Fixed(2), known, _entries((0, 1)), 2)
    assert (found.ndcg, found.coverage) == (0, 0)
