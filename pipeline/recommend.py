"""Recommendations as stages: train a model and let its gate look at it; score everybody with the one that is published."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError, GateFailedError, ServiceError
from cinelake.log import get_logger
from cinelake.settings import Settings
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.recommend import registry, signals, training
from lakehouse.recommend.content import Content
from lakehouse.recommend.gate import objections
from lakehouse.recommend.interactions import Dataset
from lakehouse.recommend.scoring import Catalogue, Scorer
from lakehouse.recommend.training import Figures, Parameters
from pipeline.locks import only_one

log = get_logger("recommend")

OWNER = {"silver.movie_recommendations": "user_id", "silver.similar_movies": "movie_id"}
"""Tables of scores, each with the column that says whose rows they are."""


@dataclass(frozen=True)
class Trained:
    """A model that was trained and may be published.

    Args:
        model_id: Its name.
        parameters: How it was fitted.
        figures: How it did.
        tried: Candidates that tuning tried.
        offered: Those there were.
    """

    model_id: str
    parameters: Parameters
    figures: Figures
    tried: int
    offered: int


def train(
    spark: SparkSession,
    settings: Settings,
    seconds: float,
    parameters: Parameters | None = None,
) -> Trained:
    """Tune a model, measure it, and publish it unless it is worse than the published one.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        seconds: How long to tune.
        parameters: Those to take instead of tuning.

    Raises:
        BadInputError: Nobody has liked a movie yet.
        GateFailedError: The model is worse; the published one stays, and what it recommends.
        ServiceError: Silver does not exist, or another process trains.
    """
    with only_one(settings, "recommend"):
        tables.ensure_table(lambda: spark, settings, table(registry.MODELS))
        version = _current_version(settings)
        data = signals.read(spark, settings, version)
        if not len(data.entries.liked):
            raise BadInputError(
                "Nobody has liked a movie yet.",
                "A model needs ratings of 8 or more, plays or watchlists in silver: `cinelake refresh` brings them there.",
            )
        tuned = (
            training.Tuned(parameters, 0, 0) if parameters else training.tune(spark, data, seconds)
        )
        figures = training.measure(spark, data, tuned.parameters)
        against = _published_figures(spark, settings, data, tuned.parameters, figures)
        reasons = objections(figures, against)
        name = registry.model_id(tuned.parameters, version)
        log.info("trained", model_id=name, objections=reasons, **asdict(figures))
        if not reasons:
            models = training.fit(spark, data.entries, training.shape_of(data), tuned.parameters)
            registry.save(settings, name, data, models)
        # Last, so that a model that is noted as published is there.
        registry.record(spark, settings, tuned.parameters, version, figures, reasons)
    if reasons:
        raise GateFailedError(
            f"The model was refused: {'; '.join(reasons)}.",
            "The published model and its recommendations stay. `cinelake recommend status` shows both; if silver has"
            " changed much, train for longer: `cinelake recommend train --seconds 1800`.",
        )
    return Trained(name, tuned.parameters, figures, tuned.tried, tuned.offered)


def score(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """Write what the published model recommends to silver; a second time changes nothing.

    Returns:
        Rows of each table.

    Raises:
        BadInputError: No model is published.
        ServiceError: Another process trains or scores.
    """
    with only_one(settings, "recommend"):
        model = registry.published(settings)
        if model is None:
            raise BadInputError(
                "No model of recommendations is published.", "Run `cinelake recommend train`."
            )
        data = signals.read(spark, settings, model.data)
        models = registry.load(settings, model.model_id)
        scorer = Scorer(models, data, read_catalogue(settings))
        rows: dict[str, Iterable[Any]] = {
            "silver.movie_recommendations": scorer.recommendations(),
            "silver.similar_movies": scorer.similar(),
        }
        return {
            name: _replace(spark, settings, name, model.model_id, each)
            for name, each in rows.items()
        }


def read_catalogue(settings: Settings) -> Catalogue:
    """The movies of silver with their genres and keywords."""
    ids = _column(
        settings, "silver.movies", "select movie_id from t where not is_deleted order by movie_id"
    )
    place = {movie: row for row, movie in enumerate(ids)}
    movies: list[int] = []
    terms: list[str] = []
    for member in ("genre", "keyword"):
        found = changes.query(
            settings, f"silver.movie_{member}s", f"select movie_id, {member}_id as term from t"
        )
        for row in found.to_pylist():
            if row["movie_id"] in place:
                movies.append(place[row["movie_id"]])
                terms.append(f"{member} {row['term']}")
    return Catalogue(ids, Content(np.array(movies, np.int64), terms, len(ids)))


def _column(settings: Settings, full_name: str, query: str) -> list[int]:
    found = changes.query(settings, full_name, query)
    return list(found.column(0).to_pylist()) if found.num_columns else []


def _current_version(settings: Settings) -> signals.DataVersion:
    version = signals.current_version(settings)
    for full_name, number in version.as_dict().items():
        if number < 0:
            raise ServiceError(f"{full_name} does not exist.", "Run `cinelake refresh`.")
    return version


def _published_figures(
    spark: SparkSession,
    settings: Settings,
    data: Dataset,
    candidate: Parameters,
    figures: Figures,
) -> Figures | None:
    """How the published model's parameters do on the data of the candidate: what was measured of it then was on other data."""
    known = registry.published(settings)
    if known is None:
        return None
    if known.parameters == candidate:
        return figures
    return training.measure(spark, data, known.parameters)


def _replace(
    spark: SparkSession, settings: Settings, name: str, model: str, rows: Iterable[Any]
) -> int:
    contract = table(name)
    tables.ensure_table(lambda: spark, settings, contract)
    values = (
        tuple((asdict(row) | {"model_id": model})[c] for c in contract.column_names) for row in rows
    )
    frame = frame_of(spark, values, contract.spark_schema())
    # Two users of an older version of silver may be one now.
    frame = frame.dropDuplicates(contract.key).persist()
    owner = OWNER[name]
    held = tables.read(spark, settings, name).select(owner)
    owners = held.union(frame.select(owner)).distinct().persist()
    try:
        tables.replace(spark, settings, contract, frame, owners)
        return frame.count()
    finally:
        frame.unpersist()
        owners.unpersist()
