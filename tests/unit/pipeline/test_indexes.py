"""No index can meet a value that it has no room for: PostgreSQL's take 2,704 bytes a row, and no more."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cinelake.settings import PROJECT_ROOT
from lakehouse.contract import tables

MODELS = PROJECT_ROOT / "dbt_project/models"
ROOM = 2704 - 100
"""Bytes of a row of an index, less its header and the lengths of its texts."""
BYTES_OF_A_CHARACTER = 4
OTHER_NAMES = {"active_user_id": "user_id"}
"""Columns of gold that hold what silver calls otherwise."""


def _longest(name: str) -> int:
    """The most characters of a text of this name in any table of silver."""
    known = [
        column.longest
        for contract in tables("silver")
        for column in contract.columns
        if column.name == OTHER_NAMES.get(name, name) and column.type == "string"
    ]
    assert known, f"no contract says how long {name} is"
    return max(length or 10**9 for length in known)


def _width(name: str, kind: str) -> int:
    return _longest(name) * BYTES_OF_A_CHARACTER if kind == "text" else 16


def _indexes(model: Path) -> list[list[str]]:
    """The columns of each index of a model: those it names, and those that PostgreSQL makes for its constraints."""
    listed = re.search(r"indexes=(\[.*?\])\s*\n\)", model.read_text("utf-8"), re.DOTALL)
    named = ast.literal_eval(listed[1].replace("true", "True")) if listed else []
    described = _described(model)
    return [
        *(index["columns"] for index in named),
        *(rule["columns"] for rule in described.get("constraints", ()) if _is_unique(rule)),
        *(
            [column["name"]]
            for column in described["columns"]
            if any(map(_is_unique, column.get("constraints", ())))
        ),
    ]


def _is_unique(constraint: dict[str, Any]) -> bool:
    return constraint["type"] in ("primary_key", "unique")


def _described(model: Path) -> dict[str, Any]:
    (found,) = yaml.safe_load(model.with_suffix(".yml").read_text("utf-8"))["models"]
    assert isinstance(found, dict)
    return found


def _types(model: Path) -> dict[str, str]:
    return {column["name"]: column["data_type"] for column in _described(model)["columns"]}


INDEXED = [model for model in sorted(MODELS.glob("**/*.sql")) if _indexes(model)]


@pytest.mark.parametrize("model", INDEXED, ids=lambda model: str(model.stem))
def test_no_index_of_gold_carries_a_text_without_a_bound(model: Path) -> None:
    types = _types(model)
    for columns in _indexes(model):
        assert sum(_width(name, types[name]) for name in columns) <= ROOM, columns


def test_every_model_that_names_indexes_is_looked_at() -> None:
    naming = {model for model in MODELS.glob("**/*.sql") if "indexes" in model.read_text("utf-8")}
    assert naming < set(INDEXED)


@pytest.mark.parametrize("name", [contract.full_name for contract in tables("silver")])
def test_no_key_of_silver_carries_a_text_without_a_bound(name: str) -> None:
    (contract,) = (each for each in tables("silver") if each.full_name == name)
    columns = [column for column in contract.columns if column.key_position]
    widths = [
        (column.longest or 10**9) * BYTES_OF_A_CHARACTER if column.type == "string" else 16
        for column in columns
    ]
    assert sum(widths) <= ROOM
