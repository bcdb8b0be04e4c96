"""The class of a column of gold: that of the column of silver whose text describes it, so that nobody writes it twice."""

from collections.abc import Mapping
from typing import Any

from lakehouse.classification import PSEUDONYMOUS, classified
from lakehouse.contract import tables

STAND_FOR_SOMEBODY = ("user_key", "session_key", "active_user_id")
"""The texts of `models/_shared.md` that describe pseudonyms."""


def class_of(column: Mapping[str, Any]) -> str:
    """The class of a column of a model; empty for one that needs a class and has none.

    Args:
        column: As dbt's manifest has it: the names of the texts that describe it (`doc_blocks`), `data_type`, and `config`,
            whose `meta` gives the class of what no text of silver describes.
    """
    texts = [str(block).rpartition(".")[2] for block in column["doc_blocks"]]
    follows = _of_texts()
    found = next((follows[text] for text in texts if text in follows), None)
    return classified(
        found or column["config"]["meta"].get("classification"), column["data_type"] or ""
    )


def _of_texts() -> dict[str, str]:
    """Classes by the name of the text."""
    of_silver = {
        f"{table.name}__{column.name}": column.classification
        for table in tables("silver")
        for column in table.columns
    }
    return of_silver | dict.fromkeys(STAND_FOR_SOMEBODY, PSEUDONYMOUS)
