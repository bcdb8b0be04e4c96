"""Whether a model may be published: not when it is worse than the one that is, or than no model at all."""

from lakehouse.recommend.training import Figures

RMSE_TOLERANCE, NDCG_TOLERANCE = 1.01, 0.98
"""Less than this is noise: a few users more, another seed."""


def objections(candidate: Figures, published: Figures | None) -> list[str]:
    """Why a model must not be published.

    Args:
        candidate: What was measured of it.
        published: What was measured, on the same data, of a model with the parameters of the published one; None when
            none is published.

    Returns:
        A reason for each figure that is too bad; none when the model may be published. A figure that there is no data
        for (NaN) is none.
    """
    found = []
    lists, popular = candidate.ranking, candidate.popularity
    if candidate.rmse > candidate.item_mean_rmse:
        found.append(
            f"RMSE {candidate.rmse:.3f} is above that of each movie's mean, {candidate.item_mean_rmse:.3f}"
        )
    if lists.ndcg < popular.ndcg:
        found.append(
            f"NDCG@10 {lists.ndcg:.3f} is below that of the most liked movies, {popular.ndcg:.3f}"
        )
    if published is None:
        return found
    if candidate.rmse > published.rmse * RMSE_TOLERANCE:
        found.append(
            f"RMSE {candidate.rmse:.3f} is above that of the published model, {published.rmse:.3f}"
        )
    if lists.ndcg < published.ranking.ndcg * NDCG_TOLERANCE:
        found.append(
            f"NDCG@10 {lists.ndcg:.3f} is below that of the published model, {published.ranking.ndcg:.3f}"
        )
    return found
