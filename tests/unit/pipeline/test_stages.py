"""The table of stages, and how it is walked."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cinelake.cli import app
from cinelake.errors import BadInputError
from cinelake.settings import Settings, load_settings
from pipeline.refresh import RefreshReport, _walk
from pipeline.stages import STAGES, Stage, Work, as_facts, silver_of
from pipeline.steps import GATES, gate_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(CINELAKE_HOME=str(tmp_path))


def test_a_stage_needs_stages_before_it_and_leads_to_the_last() -> None:
    names = [stage.name for stage in STAGES]
    assert len(set(names)) == len(names)
    for place, stage in enumerate(STAGES):
        assert set(stage.needs) <= set(names[:place]), stage.name
        assert stage.needs or place == 0
    assert [stage.name for stage in STAGES if stage.is_last] == names[-1:]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_the_command_of_a_stage_is_one_that_there_is(stage: Stage) -> None:
    if not stage.command:
        assert stage.name == "dbt build"
        return
    shown = CliRunner().invoke(app, [*stage.command.split(), "--json", "--help"])
    assert shown.exit_code == 0, shown.output


def test_each_layer_that_has_a_gate_has_it_after_what_it_looks_at() -> None:
    names = [stage.name for stage in STAGES]
    for layer in GATES:
        assert gate_of(layer) in names
    with pytest.raises(BadInputError, match="There is no gate of 'copper'"):
        gate_of("copper")


def test_silver_has_a_stage_for_each_table_of_bronze_that_it_reads() -> None:
    all_of_it = [stage.name for stage in STAGES if stage.command.startswith("silver ")]
    assert silver_of([]) == all_of_it
    for stage in STAGES:
        if stage.name in all_of_it:
            assert silver_of([stage.command.rpartition(" ")[2]]) == [stage.name]
    with pytest.raises(BadInputError, match="Silver does not read"):
        silver_of(["bronze.gone"])


def test_the_command_line_tells_the_table_to_people_and_to_machines() -> None:
    shown = CliRunner().invoke(app, ["stages"])
    assert shown.exit_code == 0
    for stage in STAGES:
        assert stage.name in shown.output
    facts = as_facts()
    assert [fact["name"] for fact in facts] == [stage.name for stage in STAGES]
    assert all(fact["does"].endswith(".") and fact["repeatable"] for fact in facts)


@pytest.mark.parametrize("decided", [True, False])
def test_where_a_stage_decides_that_there_is_nothing_what_follows_is_not_begun(
    settings: Settings, decided: bool
) -> None:
    begun: list[str] = []

    def stage(name: str, found: bool, **options: Any) -> Stage:
        def run(work: Work) -> bool:
            begun.append(name)
            return found

        return Stage(name, "", "", run, "", **options)

    stages = [
        stage("idle", found=False),
        stage("decides", found=decided, decides=True),
        stage("follows", found=True),
        stage("last", found=True, is_last=True),
    ]
    report, said = RefreshReport("a-run"), list[str]()
    _walk(report, Work(settings, lambda: pytest.fail("no Spark"), "a-run"), stages, said.append)
    assert begun == said == ["idle", "decides", *["follows"] * decided, "last"]
    assert [name for name, _ in report.stages] == begun
    assert report.idle == ["idle", *([] if decided else ["decides", "follows"])]
