"""A small world in which half of the users love one half of the movies."""

import numpy as np
import pytest

from lakehouse.recommend.interactions import Dataset, Interactions

USERS, MOVIES = 40, 30


@pytest.fixture(scope="session")
def two_tastes() -> Dataset:
    """40 users and 30 movies: who shares a movie's parity rates it 4.5, others 1.5; each rates half of the movies."""
    chance = np.random.default_rng(7)
    users, movies = (grid.ravel() for grid in np.mgrid[0:USERS, 0:MOVIES])
    kept = chance.random(len(users)) < 0.5
    users, movies = users[kept], movies[kept]
    is_loved = users % 2 == movies % 2
    entries = Interactions(
        users.astype(np.int64),
        movies.astype(np.int64),
        np.where(is_loved, 4.5, 1.5),
        is_loved.astype(np.float64),
        chance.permutation(len(users)).astype(np.int64),
    )
    return Dataset([f"user-{n:02}" for n in range(USERS)], list(range(101, 101 + MOVIES)), entries)
