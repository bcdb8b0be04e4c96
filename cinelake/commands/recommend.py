"""The commands of recommendations: train a model, score everybody with it, see how it does."""

from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinelake.commands.help import App
from cinelake.commands.shared import spark_session
from cinelake.commands.values import Json, show_rows, write_json
from cinelake.console import counts_table, out
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from lakehouse.recommend.registry import Entry

recommend_app = App(
    help="Recommendations: train a model, score everybody with it, see how it does.",
    no_args_is_help=True,
)


@recommend_app.command()
def train(
    seconds: Annotated[
        float,
        typer.Option(min=0, help="Begin no further candidate of the tuning after so long."),
    ] = 600,
    parameters: Annotated[
        str | None,
        typer.Option(help="Parameters to take instead of tuning, as JSON that `status` shows."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tune and measure a model, and publish it; exit code 3 when it is worse than the published one, which stays."""
    from dataclasses import asdict

    from lakehouse.recommend.registry import read_parameters
    from pipeline.recommend import train as run
    from pipeline.steps import step

    wanted = read_parameters(parameters) if parameters else None
    settings = get_settings()
    with step(settings, "recommend train"):
        trained = run(spark_session(settings), settings, seconds, wanted)
    if as_json:
        write_json(asdict(trained))
        return
    figures = trained.figures
    out.print(f"model {trained.model_id} is published", highlight=False)
    out.print(f"tuning tried {trained.tried} of {trained.offered} candidates", highlight=False)
    rows = [
        ("RMSE in stars", _beside(figures.rmse, figures.item_mean_rmse)),
        *(
            (f"{name}@10", _beside(value, asdict(figures.popularity)[name]))
            for name, value in asdict(figures.ranking).items()
        ),
    ]
    out.print(counts_table("Model beside its baseline", rows, ""))


def _beside(figure: float, baseline: float) -> str:
    """A figure of the model with that of its baseline; NaN is what has no rating to be measured on."""
    return "no ratings to measure on" if isnan(figure) else f"{figure:.3f} beside {baseline:.3f}"


@recommend_app.command()
def score(as_json: Json = False) -> None:
    """Write what the published model recommends to silver; `cinelake refresh` brings it to gold."""
    from pipeline.recommend import score as run
    from pipeline.steps import step

    settings = get_settings()
    with step(settings, "recommend score"):
        written = run(spark_session(settings), settings)
    if as_json:
        write_json(written)
        return
    for name, rows in written.items():
        out.print(f"{name:28} {rows:>10,} rows", highlight=False)


@recommend_app.command()
def status(as_json: Json = False) -> None:
    """Show every model that was trained, the latest first: how it did, and whether it was published."""
    from lakehouse.recommend.registry import entries

    found = entries(get_settings())
    if as_json:
        write_json([each.facts for each in found])
        return
    show_rows([_shown(each) for each in found], SHOWN)


SHOWN = ["model", "trained at", "verdict", "RMSE", "NDCG@10", "of popularity", "objections"]


def _shown(entry: "Entry") -> dict[str, Any]:
    facts = entry.facts
    return {
        "model": entry.model_id[:12],
        "trained at": facts["trained_at"],
        "verdict": entry.verdict,
        "RMSE": None if facts["rmse"] is None else f"{facts['rmse']:.3f}",
        "NDCG@10": f"{facts['ndcg_at_10']:.3f}",
        "of popularity": f"{facts['popularity_ndcg_at_10']:.3f}",
        "objections": facts["objections"],
    }
