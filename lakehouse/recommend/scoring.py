"""What is recommended to whom, and which movies are alike: the tables that people are answered from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.recommend.als import Factors
from lakehouse.recommend.content import Content
from lakehouse.recommend.interactions import Dataset, Flags, Floats, Interactions, Ints
from lakehouse.recommend.ranking_model import Ranker, RankingModel, best
from lakehouse.recommend.training import Models

RECOMMENDED = 20
"""Movies a user, and similar ones a movie."""
LEAST_LIKES = 3
"""With fewer, factors are guesses, and genres and keywords know more."""
TASTE, CONTENT = "taste", "content"
BLOCK = 512


@dataclass(frozen=True)
class Catalogue:
    """The movies that may be recommended.

    Args:
        movie_ids: Each of them, sorted.
        content: What they are about, in this order.
    """

    movie_ids: Sequence[int]
    content: Content


@dataclass(frozen=True)
class Recommendation:
    """A row of `silver.movie_recommendations`, without its model; the fields are its columns."""

    user_id: str
    movie_id: int
    rank: int
    score: float
    predicted_rating: float | None
    basis: str
    because_movie_id: int | None


@dataclass(frozen=True)
class Similar:
    """A row of `silver.similar_movies`, without its model; the fields are its columns."""

    movie_id: int
    similar_movie_id: int
    rank: int
    score: float
    basis: str


class _ByContent:
    """Ranks by how like a movie is to what a user liked; users who liked nothing get zeros."""

    def __init__(self, content: Content, entries: Interactions, movie_count: int) -> None:
        self._content = content
        self._liked = entries.liked
        self._movie_count = movie_count

    def scores(self, users: Ints) -> Floats:
        scores = np.zeros((len(users), self._movie_count))
        for row, user in enumerate(users):
            mine = self._liked.where(self._liked.users == user)
            if len(mine):
                scores[row] = self._content.scores(mine.movies, mine.likes)
        return scores


class Scorer:
    """Applies fitted models to a catalogue.

    Args:
        models: Fitted to `data`.
        data: What users did.
        catalogue: What may be recommended.
    """

    def __init__(self, models: Models, data: Dataset, catalogue: Catalogue) -> None:
        self._models = models
        self._data = data
        self._catalogue = catalogue
        self._ids = np.array(catalogue.movie_ids, np.int64)
        of_data = np.array(data.movie_ids, np.int64)
        place = np.searchsorted(self._ids, of_data)
        is_there = np.isin(of_data, self._ids)
        self._old_place = np.full(len(self._ids), -1)
        self._old_place[place[is_there]] = np.flatnonzero(is_there)
        self._entries = _moved(data.entries, place, is_there)
        liked = self._entries.liked
        self._likes_of_user = np.bincount(liked.users, minlength=len(data.user_ids))
        self._likes_of_movie = np.bincount(liked.movies, minlength=len(self._ids))
        self._vectors = self._at_place(models.ranking.factors.movies)

    def recommendations(self) -> Iterator[Recommendation]:
        """Up to 20 movies for each user who liked something, none that they had to do with; the best first.

        Users with fewer than 3 likes get movies like those, by genres and keywords; others by their taste.
        """
        is_known = self._likes_of_user >= LEAST_LIKES
        by_taste = np.flatnonzero(is_known)
        by_content = np.flatnonzero((self._likes_of_user > 0) & ~is_known)
        content = _ByContent(self._catalogue.content, self._entries, len(self._ids))
        yield from self._of(
            RankingModel(Factors(self._models.ranking.factors.users, self._vectors)),
            by_taste,
            TASTE,
        )
        yield from self._of(content, by_content, CONTENT)

    def similar(self) -> Iterator[Similar]:
        """Up to 20 movies that are like each movie; the most like it first.

        Movies that fewer than 3 users liked are compared by genres and keywords, others by who liked them.
        """
        is_known = self._likes_of_movie >= LEAST_LIKES
        directions = _unit(self._vectors) * is_known[:, None]
        for start in range(0, len(self._ids), BLOCK):
            block = np.arange(start, min(start + BLOCK, len(self._ids)))
            alike = self._catalogue.content.likeness(block)
            by_taste = is_known[block]
            alike[by_taste] = directions[block[by_taste]] @ directions.T
            alike[np.arange(len(block)), block] = 0
            best_first = np.argsort(-alike, axis=1, kind="stable")[:, :RECOMMENDED]
            for row, movie in enumerate(block):
                for rank, other in enumerate(best_first[row], 1):
                    if alike[row, other] <= 0:
                        break
                    yield Similar(
                        int(self._ids[movie]),
                        int(self._ids[other]),
                        rank,
                        float(alike[row, other]),
                        TASTE if is_known[movie] else CONTENT,
                    )

    def _of(self, ranker: Ranker, users: Ints, basis: str) -> Iterator[Recommendation]:
        if not len(users) or not len(self._ids):
            return
        for block, movies, scores in best(ranker, users, self._entries, RECOMMENDED):
            for user, row, values in zip(block, movies, scores, strict=True):
                kept = row[np.isfinite(values) & (values > 0)]
                reasons = self._reasons(int(user), kept, basis)
                predicted = self._predicted(int(user), kept)
                for rank, movie in enumerate(kept):
                    yield Recommendation(
                        self._data.user_ids[user],
                        int(self._ids[movie]),
                        rank + 1,
                        float(values[rank]),
                        predicted[rank],
                        basis,
                        reasons[rank],
                    )

    def _reasons(self, user: int, movies: Ints, basis: str) -> list[int | None]:
        """Of what the user liked the movie that is most like each recommended one, by how sure that is."""
        mine = self._entries.liked
        mine = mine.where(mine.users == user)
        if basis == TASTE:
            alike = _unit(self._vectors[movies]) @ _unit(self._vectors[mine.movies]).T
        else:
            alike = self._catalogue.content.likeness(movies)[:, mine.movies]
        weighed = alike * mine.likes
        most = weighed.argmax(axis=1)
        return [
            int(self._ids[mine.movies[place]]) if weighed[row, place] > 0 else None
            for row, place in enumerate(most)
        ]

    def _predicted(self, user: int, movies: Ints) -> list[float | None]:
        """The rating the user would give, 1 to 10; None for a movie that nobody has had to do with."""
        old = self._old_place[movies]
        stars = self._models.ratings.predict(np.full(len(old), user), np.maximum(old, 0))
        return [
            float(2 * each) if place >= 0 else None for each, place in zip(stars, old, strict=True)
        ]

    def _at_place(self, factors: Floats) -> Floats:
        moved = np.zeros((len(self._ids), factors.shape[1]))
        is_there = self._old_place >= 0
        moved[is_there] = factors[self._old_place[is_there]]
        return moved


def _moved(entries: Interactions, place: Ints, is_there: Flags) -> Interactions:
    """The entries about movies of the catalogue, with their places there."""
    kept = entries.where(is_there[entries.movies])
    return Interactions(kept.users, place[kept.movies], kept.stars, kept.likes, kept.times)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = vectors / np.where(lengths > 0, lengths, 1)
    return scaled
