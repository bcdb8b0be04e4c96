"""How alike movies are by their genres and keywords: for movies and users of whom too little is known otherwise.

TF-IDF with the cosine (Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988): a keyword that
few movies have says more than a genre that a third of them have.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from lakehouse.recommend.interactions import Floats, Ints


class Content:
    """What movies are about.

    Args:
        movies: Place of the movie of each pair.
        terms: The genre or keyword of each pair, such as `genre 18`.
        movie_count: Number of movies; one without a pair is like no other.
    """

    def __init__(self, movies: Ints, terms: Sequence[str], movie_count: int) -> None:
        _, columns = np.unique(np.array(terms, str), return_inverse=True)
        width = int(columns.max(initial=-1)) + 1
        counts = np.bincount(columns, minlength=width)
        weights = np.log((1 + movie_count) / (1 + counts)) + 1
        lengths = np.sqrt(np.bincount(movies, weights=weights[columns] ** 2, minlength=movie_count))
        values = weights[columns] / lengths[movies]
        self._vectors = sparse.csr_matrix((values, (movies, columns)), (movie_count, width))

    @property
    def is_described(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Of each movie, whether it has a genre or a keyword."""
        described: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.diff(self._vectors.indptr) > 0
        return described

    def likeness(self, movies: Ints) -> Floats:
        """How like every movie is to some, 0 to 1: a row a given movie and a column a movie."""
        alike: Floats = (self._vectors[movies] @ self._vectors.T).toarray()
        return alike

    def scores(self, liked: Ints, likes: Floats) -> Floats:
        """How like every movie is to those that somebody liked, each by how sure that is; 0 to 1."""
        scores: Floats = likes @ self.likeness(liked) / likes.sum()
        return scores
