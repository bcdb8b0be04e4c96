"""The samples of the docs site show nothing of a column that tells of people, whatever its table."""

from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from cinelake.settings import Settings
from lakehouse.classification import PUBLIC
from lakehouse.contract import Column, Table, tables
from lakehouse.tables import table_path
from pipeline.docs_catalogue import _lake_sample
from tests.unit.expectations.batches import ARROW_TYPES, SAMPLES

CONTRACTS = [*tables("bronze"), *tables("silver")]
WORDS = "Ada Plantagenet/7.1"
BIRTH_YEAR = 1915


def value_of(column: Column) -> Any:
    """What could be told of somebody in whatever is not public."""
    if column.classification == PUBLIC:
        return SAMPLES[column.type]
    return {"string": WORDS, "binary": WORDS.encode(), "int": BIRTH_YEAR}[column.type]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.full_name)
def test_a_sample_has_the_public_columns_alone(lake: Settings, contract: Table) -> None:
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in contract.columns])
    row = {column.name: value_of(column) for column in contract.columns}
    path = table_path(lake, contract.full_name)
    write_deltalake(path, pa.Table.from_pylist([row], schema), mode="overwrite")
    sample = _lake_sample(lake, contract)
    shown = [column.name for column in contract.columns if column.classification == PUBLIC]
    assert list(sample.columns) == shown
    assert len(sample.rows) == bool(shown)
    values = [str(value) for each in sample.rows for value in each]
    assert not [value for value in values if WORDS in value or str(BIRTH_YEAR) in value]
