"""No text of gold, or of what runs leave behind, is without a class, and who a user is stands where analysts do not read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cinelake.settings import PROJECT_ROOT
from lakehouse.classification import CLASSES, PERSONAL
from pipeline.gold_classes import class_of

MODELS = PROJECT_ROOT / "dbt_project" / "models"


def as_in_the_manifest(column: dict[str, Any]) -> dict[str, Any]:
    """A column of a file as dbt's manifest has it."""
    texts = re.findall(r"doc\('(\w+)'\)", column["description"])
    return {
        "name": column["name"],
        "data_type": column["data_type"],
        "doc_blocks": [f"doc.cinelake.{text}" for text in texts],
        "config": {"meta": column.get("config", {}).get("meta", {})},
    }


def described() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """The file, the table and each of its columns; those of silver's sources have a contract."""
    for file in sorted(MODELS.glob("**/*.yml")):
        content = yaml.safe_load(file.read_text("utf-8"))
        sources = [] if file.parent.name == "staging" else content.get("sources", [])
        of_sources = [table for source in sources for table in source["tables"]]
        for table in (*content.get("models", []), *of_sources):
            for column in table["columns"]:
                yield file, table["name"], as_in_the_manifest(column)


COLUMNS = list(described())


def test_every_column_has_a_class() -> None:
    assert len(COLUMNS) > 400
    found = {(name, column["name"]): class_of(column) for _, name, column in COLUMNS}
    assert {place: each for place, each in found.items() if each not in CLASSES} == {}


@pytest.mark.parametrize(
    ("data_type", "text", "given", "expected"),
    [
        ("text", "users__name", None, "personal"),
        ("text", "comments__text", None, "user_content"),
        ("bigint", "user_key", None, "pseudonymous"),
        ("integer", "users__birth_year", None, "personal"),
        ("integer", "nothing", None, "public"),
        ("text", "nothing", "user_content", "user_content"),
        ("text", "nothing", None, ""),
        ("uuid", "nothing", None, ""),
        ("jsonb", "nothing", None, ""),
        # What a contract says of a column, no model takes back.
        ("text", "users__name", "public", "personal"),
    ],
)
def test_a_class_follows_from_the_contract_and_a_text_without_one_has_none(
    data_type: str, text: str, given: str | None, expected: str
) -> None:
    meta = {"classification": given} if given else {}
    blocks = [f"doc.cinelake.{text}"]
    column = {"data_type": data_type, "doc_blocks": blocks, "config": {"meta": meta}}
    assert class_of(column) == expected


def test_no_class_is_written_twice() -> None:
    written = [column for _, _, column in COLUMNS if column["config"]["meta"]]
    follows = [column["name"] for column in written if class_of(column | {"config": {"meta": {}}})]
    assert follows == []


def test_only_what_analysts_may_not_read_says_who_somebody_is() -> None:
    """`bootstrap.sql` knows those tables by their names, and dbt by a hook."""
    personal = {
        (file.parent.name, name)
        for file, name, column in COLUMNS
        if class_of(column) == PERSONAL and file.parent.name != "staging" and name != "gate_results"
    }
    assert personal == {
        ("intermediate", "int_user_upserts"),
        ("intermediate", "int_user_versions"),
        ("core", "dim_user_personal"),
    }
    hook = "readable_by('analyst_pii')"
    assert hook in (MODELS / "marts/core/dim_user_personal.sql").read_text("utf-8")
    assert [file.stem for file in MODELS.glob("marts/**/*_personal.sql")] == ["dim_user_personal"]
    assert all(file.name.startswith("int_") for file in MODELS.glob("intermediate/*.sql"))


def test_the_words_of_comments_are_in_one_table_of_gold() -> None:
    text = "doc.cinelake.comments__text"
    found = {name for _, name, column in COLUMNS if text in column["doc_blocks"]}
    assert found == {"stg_comments", "comments"}
