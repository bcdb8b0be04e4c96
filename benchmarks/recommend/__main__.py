"""How good the recommendations are, beside two baselines: `python -m benchmarks.recommend [DATA]`.

Holds the last fifth of each user's ratings out by time, on the MovieLens of a folder or on generated ratings, and prints
the error of predicted ratings on the scale to 5 beside that of each movie's mean, and how good lists of ten are beside those
of the most liked movies; a movie rated 4 or more counts as liked. It ends with 1 when a limit is missed. Parameters are
those that stand without tuning; with `--tune SECONDS` those that cross-validation on the other four fifths finds.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cinelake.settings import load_settings
from lakehouse.recommend import training
from lakehouse.recommend.interactions import Dataset, dataset_of
from lakehouse.recommend.signals import LIKED_STARS
from spark_streaming.session import build_session

RMSE_LIMIT = 0.90
NDCG_RATIO_LIMIT = 1.25
USERS, MOVIES, RATINGS, TASTES = 600, 800, 100_000, 4


def main() -> int:
    """Measure and print; 1 when a limit is missed."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    asked.add_argument("data", nargs="?", type=Path, help="folder with ml-latest-small/")
    asked.add_argument("--tune", type=float, default=0, metavar="SECONDS")
    wanted = asked.parse_args()
    data = movielens(wanted.data) if wanted.data else generated()
    with tempfile.TemporaryDirectory(prefix="cinelake-bench-") as folder:
        settings = load_settings(CINELAKE_HOME=folder, CINELAKE_SPARK_MEMORY="1g")
        spark = build_session(settings, "recommend")
        started = time.monotonic()
        tuned = training.tune(spark, data, wanted.tune)
        tuning = time.monotonic() - started
        started = time.monotonic()
        figures = training.measure(spark, data, tuned.parameters)
        measuring = time.monotonic() - started
        spark.stop()
    ratio = figures.ranking.ndcg / figures.popularity.ndcg
    told: dict[str, Any] = {
        "data": "movielens" if wanted.data else "generated",
        "users": len(data.user_ids),
        "movies": len(data.movie_ids),
        "ratings": len(data.entries),
        "rmse": {"model": figures.rmse, "item_mean": figures.item_mean_rmse, "limit": RMSE_LIMIT},
        "at_10": {"model": asdict(figures.ranking), "popularity": asdict(figures.popularity)},
        "ndcg_ratio": ratio,
        "ndcg_ratio_limit": NDCG_RATIO_LIMIT,
        "parameters": asdict(tuned.parameters),
        "candidates": f"{tuned.tried} of {tuned.offered}",
        "seconds": {"tuning": tuning, "fitting_and_measuring": measuring},
    }
    sys.stdout.write(json.dumps(_rounded(told), indent=2) + "\n")
    return int(figures.rmse > RMSE_LIMIT or ratio < NDCG_RATIO_LIMIT)


def movielens(folder: Path) -> Dataset:
    """The ratings of `ml-latest-small/ratings.csv`."""
    lines = pd.read_csv(folder / "ml-latest-small" / "ratings.csv")
    at = pd.to_datetime(lines["timestamp"], unit="s", utc=True)
    return _dataset(lines["userId"].to_numpy(), lines["movieId"].to_numpy(), lines["rating"], at)


def generated() -> Dataset:
    """Ratings of users who each love one of some tastes, and of movies some of which are better known than others."""
    chance = np.random.default_rng(1)
    taste_of_user = chance.integers(TASTES, size=USERS)
    taste_of_movie = chance.integers(TASTES, size=MOVIES)
    quality = chance.normal(0, 0.4, MOVIES)
    renown = 1 / np.arange(1, MOVIES + 1) ** 0.5
    users = chance.integers(USERS, size=RATINGS)
    movies = chance.choice(MOVIES, size=RATINGS, p=renown / renown.sum())
    is_loved = taste_of_user[users] == taste_of_movie[movies]
    kept = is_loved | (chance.random(RATINGS) < 0.1)
    noise = chance.normal(0, 0.6, RATINGS)
    stars = np.clip(np.round((2.8 + 1.5 * is_loved + quality[movies] + noise) * 2) / 2, 0.5, 5)
    at = pd.date_range("2026-01-01", periods=RATINGS, freq="min", tz="UTC")
    rows = pd.DataFrame({"user": users, "movie": movies, "stars": stars, "at": at})[kept]
    last = rows.drop_duplicates(["user", "movie"], keep="last")
    return _dataset(
        last["user"].to_numpy(), last["movie"].to_numpy() + 1, last["stars"], last["at"]
    )


def _dataset(
    users: "np.ndarray[Any, Any]", movies: "np.ndarray[Any, Any]", stars: pd.Series, at: pd.Series
) -> Dataset:
    columns = {
        "user_id": [str(user) for user in users],
        "movie_id": movies,
        "stars": stars.to_numpy(),
        "likes": (stars >= LIKED_STARS).to_numpy().astype(float),
        "at": pa.array(at),
    }
    return dataset_of(pa.table(columns))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    raise SystemExit(main())
