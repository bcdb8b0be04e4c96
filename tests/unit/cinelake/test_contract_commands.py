"""`cinelake contracts`: what a person sees, what a script reads, and the exit code."""

import json
from collections.abc import Mapping

import pytest
from typer.testing import CliRunner, Result

from cinelake import cli
from lakehouse import contract_check, contract_revision
from lakehouse.contract import Table
from lakehouse.contract_check import Checked, Finding
from lakehouse.contract_revision import NothingToCompareError, working_tree


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["contracts", *arguments], env={"COLUMNS": "80"})


def compare_with(monkeypatch: pytest.MonkeyPatch, tables: Mapping[str, Table]) -> None:
    monkeypatch.setattr(contract_revision, "at_revision", lambda revision: tables)


def with_a_column_more() -> dict[str, Table]:
    """The contracts as if `silver.ratings` had had a column that it lacks now."""
    ratings = working_tree()["silver.ratings"]
    gone = ratings.columns[2].model_copy(update={"name": "colour"})
    wider = ratings.model_copy(update={"columns": (*ratings.columns, gone)})
    return {**working_tree(), "silver.ratings": wider}


def test_no_change_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_with(monkeypatch, working_tree())
    result = run("diff", "v1.0.0")
    assert (result.exit_code, result.output) == (0, "The contracts are those of v1.0.0.\n")


def test_a_breaking_change_is_refused_with_table_column_change_and_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compare_with(monkeypatch, with_a_column_more())
    needed = f"{int(working_tree()['silver.ratings'].version.partition('.')[0]) + 1}.0.0"
    result = run("diff", "v1.0.0")
    assert result.exit_code == 1
    refusal = (
        f"refused: silver.ratings.colour: the column is gone; its contract needs version {needed}"
    )
    assert refusal in result.output.replace("\n", " ").replace("  ", " ")
    result = run("diff", "v1.0.0", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "base": "v1.0.0",
        "changes": [
            {
                "table": "silver.ratings",
                "column": "colour",
                "kind": "breaking",
                "change": "the column is gone",
                "needs": needed,
                "is_announced": False,
                "is_refused": True,
            }
        ],
    }


def test_a_table_that_goes_unannounced_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    removed = working_tree()["silver.ratings"].model_copy(update={"name": "scores"})
    compare_with(monkeypatch, {**working_tree(), "silver.scores": removed})
    result = run("diff", "v1.0.0")
    assert result.exit_code == 1
    assert "status: deprecated" in result.output


def test_a_change_of_a_text_passes_and_says_which_version_would_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ratings = working_tree()["silver.ratings"].model_copy(update={"grain": "Other [red]."})
    compare_with(monkeypatch, {**working_tree(), "silver.ratings": ratings})
    result = run("diff", "v1.0.0")
    assert result.exit_code == 0
    patch = working_tree()["silver.ratings"].version[:-1] + "1"
    assert f"needs {patch}" in result.output
    assert "refused" not in result.output


def test_without_a_base_it_says_so_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise NothingToCompareError("git is not installed.")

    monkeypatch.setattr(contract_revision, "default_revision", fail)
    result = run("diff")
    assert result.exit_code == 0
    assert "nothing to compare with. git is not installed." in result.output
    assert json.loads(run("diff", "--json").stdout) == {"base": None, "changes": []}


def test_a_check_without_findings_passes_and_names_what_it_did_not_look_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = Checked(not_checked={"PostgreSQL": "it is down"}, tables={"lake": 24})
    monkeypatch.setattr(contract_check, "check", lambda settings: checked)
    result = run("check")
    assert result.exit_code == 0
    assert "not checked: PostgreSQL: it is down" in result.output
    assert "24 lake" in result.output


def test_a_check_with_findings_names_them_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = Checked([Finding("lake", "silver.ratings", "rating", "is long")])
    monkeypatch.setattr(contract_check, "check", lambda settings: checked)
    result = run("check")
    assert result.exit_code == 1
    assert "silver.ratings.rating" in result.output
    assert "is long" in result.output
    result = run("check", "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["findings"]
    assert found == {
        "place": "lake",
        "name": "silver.ratings",
        "column": "rating",
        "problem": "is long",
    }
