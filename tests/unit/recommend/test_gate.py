"""A worse model has objections to it, and each names its figures."""

from dataclasses import replace

import pytest

from lakehouse.recommend.gate import objections
from lakehouse.recommend.metrics import RankingMetrics
from lakehouse.recommend.training import Figures


def _lists(ndcg: float) -> RankingMetrics:
    return RankingMetrics(0.1, 0.1, ndcg, 0.1)


GOOD = Figures(0.88, 1.02, _lists(0.12), _lists(0.08))


@pytest.mark.parametrize("published", [None, GOOD, replace(GOOD, rmse=0.89)])
def test_a_model_that_is_as_good_may_be_published(published: Figures | None) -> None:
    assert objections(GOOD, published) == []


def test_what_is_within_noise_of_the_published_model_may_be_published() -> None:
    assert objections(replace(GOOD, rmse=0.885, ranking=_lists(0.119)), GOOD) == []


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        (replace(GOOD, rmse=0.9), "RMSE 0.900 is above that of the published model, 0.880"),
        (replace(GOOD, ranking=_lists(0.1)), "NDCG@10 0.100 is below that of the published model, 0.120"),
    ],
)  # fmt: skip
def test_what_is_worse_than_the_published_model_is_refused(worse: Figures, reason: str) -> None:
    assert objections(worse, GOOD) == [reason]
    assert objections(worse, None) == []


def test_what_is_worse_than_no_model_is_refused_even_as_the_first() -> None:
    found = objections(replace(GOOD, rmse=1.1, ranking=_lists(0.07)), None)
    assert found == [
        "RMSE 1.100 is above that of each movie's mean, 1.020",
        "NDCG@10 0.070 is below that of the most liked movies, 0.080",
    ]


def test_where_nobody_rated_the_lists_alone_decide() -> None:
    unrated = replace(GOOD, rmse=float("nan"), item_mean_rmse=float("nan"))
    assert objections(unrated, unrated) == []
    assert len(objections(replace(unrated, ranking=_lists(0.1)), unrated)) == 1
