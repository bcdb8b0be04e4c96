"""A public table without a gold gate does not pass `make check`."""

import json
from pathlib import Path
from typing import Any

import pytest

from cinelake.settings import PROJECT_ROOT
from expectations.coverage import main, ungated
from expectations.gold import GOLD_TABLES


def model(name: str, access: str = "public", materialized: str = "table") -> dict[str, Any]:
    config = {"access": access, "materialized": materialized}
    return {"resource_type": "model", "name": name, "config": config}


def manifest(*more: dict[str, Any]) -> dict[str, Any]:
    models = [*(model(table.name) for table in GOLD_TABLES), *more]
    return {"nodes": {f"model.cinelake.{one['name']}": one for one in models}}


@pytest.mark.parametrize("materialized", ["table", "incremental", "materialized_view"])
def test_a_public_table_that_no_gate_knows_is_found(materialized: str) -> None:
    assert ungated(manifest()) == []
    assert ungated(manifest(model("new_mart", materialized=materialized))) == ["new_mart"]


def test_what_no_analyst_reads_and_what_is_no_table_needs_no_gate() -> None:
    private = model("int_new", access="private")
    view = model("ledger", materialized="view")
    test = {"resource_type": "test", "name": "unique_new"}
    assert ungated(manifest(private, view, test)) == []


def test_the_table_and_the_next_step_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest(model("b_mart"), model("a_mart"))))
    assert main(str(path)) == 1
    first, second, step = capsys.readouterr().err.splitlines()
    assert (first, second) == (
        "gold.a_mart is public, and no gate looks at it.",
        "gold.b_mart is public, and no gate looks at it.",
    )
    assert "GOLD_TABLES in expectations/gold.py" in step
    path.write_text(json.dumps(manifest()))
    assert main(str(path)) == 0
    assert capsys.readouterr().err == ""


def test_make_check_asks() -> None:
    recipe = (PROJECT_ROOT / "Makefile").read_text()
    assert "python -m expectations.coverage .cinelake/parse/manifest.json" in recipe
