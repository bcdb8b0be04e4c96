"""The demonstration: load a catalogue, send visitors' events over HTTP, refresh everything, build the site."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from cinelake.errors import BadInputError, GateFailedError
from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion import movielens
from ingestion.generated_catalog import generate_catalog
from ingestion.sender import local_sender
from ingestion.simulate import movie_from, send_simulation, simulate
from ingestion.tmdb.catalog import count_movies, load_catalog, read_movies
from ingestion.topics import ensure_topics
from lakehouse.recommend import als, ratings_model, registry, training
from pipeline import recommend as recommendations

USERS = 150
DAYS = 14
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday; a fixed one, so that the same run sends the same events."""
OF_RATINGS = ratings_model.Parameters(5.0, 4.0, als.Parameters(3, 0.2))
OF_GENERATED = tuple(
    training.Parameters(OF_RATINGS, als.Parameters(rank, 0.3, alpha))
    for rank, alpha in ((1, 1.0), (3, 0.5), (2, 1.0))
)
"""Of models for generated visitors, of whom the first that the gate takes is published.

They are few, and what is popular serves them nearly as well as what they like: more factors than these would be noise.
"""

log = get_logger("demo")

Bar = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Sent:
    """What the demonstration sent.

    Args:
        movies: Movies offered to the catalogue.
        offered: Events offered.
        accepted: Events the API accepted.
        refused: Events that were refused, by the API or before it.
    """

    movies: int
    offered: int
    accepted: int
    refused: int


def send(settings: Settings, data: Path | None, bar: Bar) -> Sent:
    """Send a catalogue and events.

    Args:
        settings: Tells where the API, Kafka and MongoDB are.
        data: A folder with `tmdb/tmdb_5000_movies.csv` and `ml-latest-small/`; None generates both.
        bar: Makes a progress bar from a label and a total.

    Raises:
        BadInputError: The folder lacks a file.
        ServiceError: A service is away.
    """
    ensure_topics(settings)
    return _send_real(settings, data, bar) if data else _send_generated(settings, bar)


def recommend(spark: SparkSession, settings: Settings, data: Path | None) -> None:
    """Train a small model where none is published, without tuning, and score everybody with it.

    Where the gate takes none, that is told of; there are no recommendations then, as after any training.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        data: As for `send`.
    """
    if registry.published(settings) is None:
        for parameters in (training.DEFAULTS,) if data else OF_GENERATED:
            try:
                recommendations.train(spark, settings, seconds=0, parameters=parameters)
                break
            except (GateFailedError, BadInputError) as error:
                log.warning("no model of recommendations", reason=error.message)
        else:
            return
    recommendations.score(spark, settings)


def _send_real(settings: Settings, data: Path, bar: Bar) -> Sent:
    catalog = data / "tmdb" / "tmdb_5000_movies.csv"
    ratings = data / "ml-latest-small"
    for path in (catalog, ratings / "ratings.csv", ratings / "links.csv"):
        if not path.is_file():
            raise BadInputError(
                f"{path} is not there.",
                "Give a folder with tmdb/tmdb_5000_movies.csv and ml-latest-small/, or leave DATA out.",
            )
    with bar("TMDB 5000 movies", count_movies(catalog)) as done:
        movies = load_catalog(settings, catalog, done)
    with bar("MovieLens ratings", movielens.count_ratings(ratings)) as done:
        replayed = movielens.replay(local_sender(settings), ratings, done)
    return Sent(movies.offered, replayed.offered, replayed.accepted, replayed.refused)


def _send_generated(settings: Settings, bar: Bar) -> Sent:
    catalog = settings.home / "demo" / "catalog.jsonl"
    catalog.parent.mkdir(parents=True, exist_ok=True)
    with bar("generated movies", generate_catalog(catalog)) as done:
        movies = load_catalog(settings, catalog, done)
    seed = _next_seed(catalog.with_name("runs.json"))
    events = simulate(
        USERS, DAYS, seed, FIRST_DAY, movies=[movie_from(m) for m in read_movies(catalog)]
    )
    with bar(f"events of simulated visitors (seed {seed})", None) as done:
        sent = send_simulation(local_sender(settings), events, done)
    return Sent(movies.offered, sent.sent, sent.accepted, sent.rejected)


def _next_seed(path: Path) -> int:
    """1, 2, 3 …: each demonstration brings other visitors, and the n-th always the same ones."""
    seed = 1 + (json.loads(path.read_text())["runs"] if path.is_file() else 0)
    path.write_text(json.dumps({"runs": seed}))
    return seed
