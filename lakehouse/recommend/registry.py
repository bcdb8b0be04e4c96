"""`silver.recommendation_models`: every model that was trained, and beside the lake's tables the models themselves.

A model follows from its parameters and the data they were fitted to, and its id from both, so that training again what was
trained before adds nothing.
"""

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from pydantic import TypeAdapter, ValidationError
from pyspark.sql import SparkSession

from cinelake.errors import BadInputError, DamagedDataError
from cinelake.settings import Settings
from lakehouse import changes, damage, tables
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.recommend.als import Factors
from lakehouse.recommend.interactions import Dataset, Floats
from lakehouse.recommend.ranking_model import RankingModel
from lakehouse.recommend.ratings_model import RatingsModel
from lakehouse.recommend.signals import DataVersion
from lakehouse.recommend.training import Figures, Models, Parameters

MODELS = "silver.recommendation_models"
PUBLISHED, REFUSED = "published", "refused"

_PARAMETERS = TypeAdapter(Parameters)


@dataclass(frozen=True)
class Entry:
    """A model that was trained.

    Args:
        model_id: Its name.
        verdict: `published` or `refused`.
        parameters: How it was fitted.
        data: What it was fitted to.
        facts: The row of `silver.recommendation_models`.
    """

    model_id: str
    verdict: str
    parameters: Parameters
    data: DataVersion
    facts: dict[str, Any]


def model_id(parameters: Parameters, version: DataVersion) -> str:
    """The name of the model with these parameters on this data: a SHA-256 of both."""
    return sha256(f"{_as_json(parameters)}{_as_json(version)}".encode()).hexdigest()


def read_parameters(text: str) -> Parameters:
    """Parameters as JSON, as `silver.recommendation_models` holds them.

    Raises:
        BadInputError: They are malformed; the message names the field.
    """
    try:
        return _PARAMETERS.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the text"
        raise BadInputError(
            f"The parameters are not valid: {place}: {first['msg']}.",
            "Give them as `cinelake recommend status --json` shows those of a model.",
        ) from None


def entries(settings: Settings) -> list[Entry]:
    """Every model that was trained, the latest first."""
    rows = changes.query(settings, MODELS, "select * from t order by trained_at desc").to_pylist()
    return [
        Entry(
            row["model_id"],
            row["verdict"],
            read_parameters(row["parameters"]),
            DataVersion(**json.loads(row["data_versions"])),
            row,
        )
        for row in rows
    ]


def published(settings: Settings) -> Entry | None:
    """The model that recommendations are made with: the one published last; None before the first."""
    return next((each for each in entries(settings) if each.verdict == PUBLISHED), None)


def record(
    spark: SparkSession,
    settings: Settings,
    parameters: Parameters,
    version: DataVersion,
    figures: Figures,
    objections: list[str],
) -> None:
    """Note a model, and how it did; one that was noted before is noted anew."""
    facts = {
        "model_id": model_id(parameters, version),
        "trained_at": datetime.now(UTC).replace(tzinfo=None),
        "verdict": REFUSED if objections else PUBLISHED,
        "objections": "; ".join(objections) or None,
        "parameters": _as_json(parameters),
        "data_versions": _as_json(version),
        "rmse": _or_none(figures.rmse),
        "item_mean_rmse": _or_none(figures.item_mean_rmse),
        **{f"{name}_at_10": value for name, value in asdict(figures.ranking).items()},
        **{f"popularity_{name}_at_10": v for name, v in asdict(figures.popularity).items()},
    }
    contract = table(MODELS)
    row = tuple(facts[name] for name in contract.column_names)
    tables.upsert(spark, settings, contract, frame_of(spark, [row], contract.spark_schema()))


def save(settings: Settings, name: str, data: Dataset, models: Models) -> None:
    """Keep a fitted model: a Delta table of its users and one of its movies, a row each with biases and factors."""
    ratings, ranking = models.ratings, models.ranking
    for kind, ids, bias, residual, taste in (
        ("users", data.user_ids, ratings.user_bias, ratings.factors.users, ranking.factors.users),
        (
            "movies",
            data.movie_ids,
            ratings.movie_bias,
            ratings.factors.movies,
            ranking.factors.movies,
        ),
    ):
        columns = {
            "id": list(ids),
            "mean": np.full(len(ids), ratings.mean),
            "bias": bias,
            "residual": list(residual),
            "taste": list(taste),
        }
        write_deltalake(_path(settings, name, kind), pa.table(columns), mode="overwrite")


def load(settings: Settings, name: str) -> Models:
    """A model that was kept; users and movies stand as in its data.

    Raises:
        DamagedDataError: It is gone, or one of its files is missing or damaged.
    """
    users, movies = (_kept(_path(settings, name, kind)) for kind in ("users", "movies"))
    mean = movies["mean"][0].as_py() if movies.num_rows else 0.0
    return Models(
        RatingsModel(
            mean,
            users["bias"].to_numpy(),
            movies["bias"].to_numpy(),
            Factors(_matrix(users["residual"]), _matrix(movies["residual"])),
        ),
        RankingModel(Factors(_matrix(users["taste"]), _matrix(movies["taste"]))),
    )


def _kept(path: str) -> pa.Table:
    delta = damage.opened(path)
    if delta is None:
        raise DamagedDataError(
            f"{path} is gone.", "Bring it back, or run `cinelake recommend train`."
        )
    with damage.reading(path):
        return delta.to_pyarrow_table().sort_by("id")


def _path(settings: Settings, name: str, kind: str) -> str:
    return f"{settings.lake_uri}/_models/{name}/{kind}"


def _matrix(column: pa.ChunkedArray) -> Floats:
    whole = column.combine_chunks()
    matrix: Floats = whole.flatten().to_numpy().reshape(len(whole), -1)
    return matrix


def _as_json(value: Parameters | DataVersion) -> str:
    return json.dumps(asdict(value), sort_keys=True)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
