"""`cinelake recommend train` says how a model did, also where there was nothing to measure it on."""

import json
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

import pipeline.recommend
import pipeline.steps
from cinelake import cli
from cinelake.commands import recommend
from lakehouse.recommend.metrics import RankingMetrics
from lakehouse.recommend.training import DEFAULTS, Figures
from pipeline.recommend import Trained


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The RMSE of the model that is trained, and that of its baseline."""
    errors = {"rmse": float("nan"), "item_mean_rmse": float("nan")}

    def train(*_: object) -> Trained:
        ranking = RankingMetrics(0.1, 0.2, 0.3, 0.4)
        return Trained(
            "f" * 64, DEFAULTS, Figures(**errors, ranking=ranking, popularity=ranking), 1, 2
        )

    monkeypatch.setattr(recommend, "spark_session", lambda _: None)
    monkeypatch.setattr(pipeline.recommend, "train", train)
    monkeypatch.setattr(pipeline.steps, "step", lambda *_: nullcontext())
    return errors


def output(*options: str) -> str:
    result = CliRunner().invoke(cli.app, ["recommend", "train", *options], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_without_ratings_that_were_held_out_there_is_no_figure(trained: dict[str, float]) -> None:
    said = output()
    assert "no ratings to measure on" in said and "nan" not in said.lower()
    assert "0.300 beside 0.300" in said
    written = output("--json")
    assert "NaN" not in written
    figures = json.loads(written)["figures"]
    assert (figures["rmse"], figures["item_mean_rmse"]) == (None, None)
    assert figures["ranking"]["ndcg"] == 0.3


def test_a_figure_stands_beside_that_of_its_baseline(trained: dict[str, float]) -> None:
    trained |= {"rmse": 0.88, "item_mean_rmse": 1.02}
    assert "0.880 beside 1.020" in output()
    assert json.loads(output("--json"))["figures"]["rmse"] == 0.88
