"""What users did with movies, as arrays: what every model here is trained and measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Interactions:
    """One entry a user and movie; arrays of one length.

    Args:
        users: Place of the user among `Dataset.user_ids`.
        movies: Place of the movie among `Dataset.movie_ids`.
        stars: The rating, 0.5 to 5; NaN where the user gave none.
        likes: How sure it is that the user liked the movie, 0 (nothing says so) to 1.
        times: When it was last so, in microseconds since 1970.
    """

    users: Ints
    movies: Ints
    stars: Floats
    likes: Floats
    times: Ints

    def __len__(self) -> int:
        return len(self.users)

    def where(self, flags: Flags) -> "Interactions":
        """The entries that are flagged."""
        return Interactions(
            self.users[flags],
            self.movies[flags],
            self.stars[flags],
            self.likes[flags],
            self.times[flags],
        )

    @property
    def rated(self) -> "Interactions":
        """Those with a rating."""
        return self.where(~np.isnan(self.stars))

    @property
    def liked(self) -> "Interactions":
        """Those that say the user liked the movie."""
        return self.where(self.likes > 0)


@dataclass(frozen=True)
class Dataset:
    """Interactions, and whose they are.

    Args:
        user_ids: Every user, sorted.
        movie_ids: Every movie, sorted.
        entries: What they did.
    """

    user_ids: Sequence[str]
    movie_ids: Sequence[int]
    entries: Interactions


def dataset_of(rows: pa.Table) -> Dataset:
    """A dataset of rows, the same whatever their order.

    Args:
        rows: Columns `user_id`, `movie_id`, `stars`, `likes` and `at` (a time); one row a user and movie.
    """
    ordered = rows.sort_by([("user_id", "ascending"), ("movie_id", "ascending")])
    user_ids, users = np.unique(ordered["user_id"].to_numpy(), return_inverse=True)
    movie_ids, movies = np.unique(ordered["movie_id"].to_numpy(), return_inverse=True)
    times = ordered["at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    entries = Interactions(
        users.astype(np.int64),
        movies.astype(np.int64),
        ordered["stars"].cast(pa.float64()).to_numpy(),
        ordered["likes"].cast(pa.float64()).to_numpy(),
        times,
    )
    return Dataset(user_ids.tolist(), movie_ids.tolist(), entries)


def by_time(entries: Interactions, first: float, last: float) -> tuple[Interactions, Interactions]:
    """Split every user's entries by time.

    Args:
        entries: All of them.
        first: The share of each user's entries, from the earliest on, to train on; 0 to 1.
        last: The share at which the held-out entries end.

    Returns:
        The entries to train on, and those between the two shares. Of entries of one moment the lower movie is the
        earlier one, so that a split does not depend on their order.
    """
    order = np.lexsort((entries.movies, entries.times, entries.users))
    users = entries.users[order]
    counts = np.bincount(users) if len(users) else np.zeros(0, np.int64)
    starts = np.cumsum(counts) - counts
    place = np.empty(len(users), np.float64)
    place[order] = np.arange(len(users)) - starts[users] + 1
    share = place / counts[entries.users]
    # Shares such as 4/5 are not exact in binary.
    is_first = share <= first + 1e-9
    return entries.where(is_first), entries.where(~is_first & (share <= last + 1e-9))
