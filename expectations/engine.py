"""Great Expectations' engine for pandas, without the copies of the whole table that it makes for each rule."""

from typing import Any

import pandas as pd
from great_expectations.core.batch import BatchMarkers
from great_expectations.core.batch_spec import RuntimeDataBatchSpec
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.execution_engine.pandas_batch_data import PandasBatchData

COLUMN = "only_column"
"""In a domain, the one column that a rule looks at; it goes with the domain to the metrics derived from the rule's."""


class ColumnEngine(PandasExecutionEngine):  # type: ignore[misc]
    """The engine, which hands a rule about a column a frame of that column alone.

    A rule leaves out the rows in which its column is null, and the engine would have it do so with every column of the
    table, two or three times a rule. What is computed is the same, by the same code.
    """

    def get_batch_data_and_markers(
        self, batch_spec: RuntimeDataBatchSpec
    ) -> tuple[PandasBatchData, BatchMarkers]:
        """The rows of a frame, and when they were taken.

        Left out is the fingerprint, a hash of every value that takes as long as all rules together. It is for people to
        look at, and a frame of Spark, or one above a gigabyte, has none either.
        """
        rows: pd.DataFrame = batch_spec.batch_data
        batch_spec.batch_data = rows.head(0)
        _, markers = super().get_batch_data_and_markers(batch_spec)
        del markers["pandas_data_fingerprint"]
        return PandasBatchData(self, rows), markers

    def get_compute_domain(
        self, domain_kwargs: dict[str, Any], *others: Any, **options: Any
    ) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
        """The rows that a rule looks at, and what describes them."""
        rows, compute, accessor = super().get_compute_domain(domain_kwargs, *others, **options)
        if "column" not in accessor:
            return rows, compute, accessor
        column = accessor["column"]
        return rows[[column]], {**compute, COLUMN: column}, accessor

    def get_domain_records(self, domain_kwargs: dict[str, Any]) -> pd.DataFrame:
        """The rows of a domain: with all columns where it names its column itself, as for the keys of broken rows."""
        rows: pd.DataFrame = super().get_domain_records(domain_kwargs)
        if COLUMN in domain_kwargs and "column" not in domain_kwargs:
            return rows[[domain_kwargs[COLUMN]]]
        return rows
