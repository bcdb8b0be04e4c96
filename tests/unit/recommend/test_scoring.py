"""Who gets what, and because of what; with factors that are set by hand."""

import numpy as np
import pytest

from lakehouse.recommend.als import Factors
from lakehouse.recommend.content import Content
from lakehouse.recommend.interactions import Dataset, Interactions
from lakehouse.recommend.ranking_model import RankingModel
from lakehouse.recommend.ratings_model import RatingsModel
from lakehouse.recommend.scoring import Catalogue, Recommendation, Scorer
from lakehouse.recommend.training import Models

# Movies 10 to 15 are of one taste, 20 of another, 30 is new and alike to 10 by its genre, 40 is new and without genres; 99 is
# rated, and not in the catalogue. Ada and three others liked some of one taste, Bob liked one movie, Cyd rated one low.
MOVIES = [10, 11, 12, 13, 14, 15, 20, 99]
CATALOGUE = [10, 11, 12, 13, 14, 15, 20, 30, 40]
USERS = ["ada", "bob", "cyd", "u1", "u2", "u3"]
LIKED = {
    "ada": [10, 11, 12],
    "bob": [10],
    "u1": [10, 11, 12, 13],
    "u2": [10, 11, 12, 13, 14],
    "u3": [11, 13, 14, 20, 99],
}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    pairs = [(user, movie, 4.5) for user, movies in LIKED.items() for movie in movies]
    pairs.append(("cyd", 20, 1.0))
    stars = np.array([each[2] for each in pairs])
    entries = Interactions(
        np.array([USERS.index(each[0]) for each in pairs]),
        np.array([MOVIES.index(each[1]) for each in pairs]),
        stars,
        (stars >= 4).astype(np.float64),
        np.arange(len(pairs)),
    )
    tastes = np.array([[1, 0.1 * n] for n in range(6)] + [[-1.0, 0.0], [5.0, 0.0]])
    people = np.array([[1.0, 0.2]] * len(USERS))
    none = Factors(np.zeros((len(USERS), 1)), np.zeros((len(MOVIES), 1)))
    ratings = RatingsModel(3.5, np.zeros(len(USERS)), np.linspace(0, 0.7, len(MOVIES)), none)
    genres = [(0, "genre 1"), (7, "genre 1"), (6, "genre 2"), (1, "genre 3")]
    content = Content(np.array([g[0] for g in genres]), [g[1] for g in genres], len(CATALOGUE))
    models = Models(ratings, RankingModel(Factors(people, tastes)))
    return Scorer(models, Dataset(USERS, MOVIES, entries), Catalogue(CATALOGUE, content))


def _of(scorer: Scorer, user: str) -> list[Recommendation]:
    return [each for each in scorer.recommendations() if each.user_id == user]


def test_a_user_gets_unknown_movies_of_their_taste_with_a_reason_they_liked(scorer: Scorer) -> None:
    found = _of(scorer, "ada")
    assert [each.movie_id for each in found] == [15, 14, 13]
    assert [each.rank for each in found] == [1, 2, 3]
    assert {each.basis for each in found} == {"taste"}
    assert {each.because_movie_id for each in found} == {12}
    assert [each.score for each in found] == pytest.approx([1.1, 1.08, 1.06])
    assert found[0].predicted_rating == pytest.approx(2 * (3.5 + 0.5))


def test_what_is_not_in_the_catalogue_is_not_recommended(scorer: Scorer) -> None:
    assert 99 not in {each.movie_id for each in scorer.recommendations()}
    assert 99 not in {each.similar_movie_id for each in scorer.similar()}


def test_a_user_of_whom_little_is_known_gets_movies_with_the_same_genres(scorer: Scorer) -> None:
    (found,) = _of(scorer, "bob")
    assert (found.movie_id, found.basis, found.because_movie_id) == (30, "content", 10)
    assert found.score == pytest.approx(1)
    assert found.predicted_rating is None


def test_a_user_who_liked_nothing_gets_nothing_made_up(scorer: Scorer) -> None:
    assert _of(scorer, "cyd") == []


def test_movies_are_alike_by_who_liked_them_or_by_genres_and_never_to_themselves(
    scorer: Scorer,
) -> None:
    found = list(scorer.similar())
    assert all(each.movie_id != each.similar_movie_id for each in found)
    assert [each.similar_movie_id for each in found if each.movie_id == 12] == [13, 11, 10]
    assert {each.basis for each in found if each.movie_id == 12} == {"taste"}
    cold = [(each.similar_movie_id, each.basis) for each in found if each.movie_id == 30]
    assert cold == [(10, "content")]


def test_a_new_movie_without_genres_is_like_none(scorer: Scorer) -> None:
    assert not [each for each in scorer.similar() if 40 in (each.movie_id, each.similar_movie_id)]


def test_a_rare_keyword_says_more_than_a_common_genre() -> None:
    pairs = [(0, "genre 1"), (0, "keyword 7"), (1, "genre 1"), (2, "keyword 7"), (3, "genre 1")]
    content = Content(np.array([each[0] for each in pairs]), [each[1] for each in pairs], 5)
    (alike,) = content.likeness(np.array([0]))
    assert alike[0] == pytest.approx(1)
    assert alike[2] > alike[1] == alike[3] > 0
    assert alike[4] == 0
    assert content.is_described.tolist() == [True, True, True, True, False]
