"""From Arrow to the pandas frame that a gate checks fastest."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from lakehouse.changes import nameable

TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
"""Texts that stay in Arrow: a Python string for each value costs more than the rules about it."""
MEANS_OTHER_THINGS = ("\\", "(?", "[[", "{,")
"""What a pattern may hold that Python and Arrow's RE2 take differently, such as `\\d`, which to Python is any script's."""


class ArrowStream(Protocol):
    """Anything that hands over its rows by the Arrow C stream interface, as delta-rs readers do."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def frame_from_arrow(rows: pa.Table | pa.RecordBatchReader | ArrowStream) -> pd.DataFrame:
    """Rows as pandas, in the types that Great Expectations works on without a Python loop.

    Its range check is vectorised for int64 and float64 alone, so integers become int64, or float64 where some are
    null (exact up to 2**53). Texts stay where they are, in Arrow. A nullable boolean becomes pandas' own, dates and
    timestamps become times of UTC.

    What pandas cannot tell or Python cannot name is brought to where no contract allows it, so that the rule about the
    range finds its row: NaN, to pandas a null, becomes infinite, and a time beyond the years 1 to 9999 their edge.

    Args:
        rows: Any number of rows, also none.

    Returns:
        A frame whose index counts from 0.
    """
    # A reader's own error would be lost on the way through the C interface.
    table = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else pa.table(rows)
    columns = [_widened(column) for column in table.columns]
    widened = pa.Table.from_arrays(columns, names=table.column_names)
    frame: pd.DataFrame = widened.to_pandas(
        types_mapper={pa.bool_(): pd.BooleanDtype(), pa.string(): TEXT}.get, ignore_metadata=True
    )
    return frame


@contextmanager
def patterns_in_arrow(frame: pd.DataFrame, patterns: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Match patterns in Arrow for as long as the context lasts, where that finds what Python finds.

    Great Expectations turns a column into `str` before it matches a pattern. This setting of pandas, the default of
    its next version, says whether that is Arrow's text or a Python string for each value, which takes five times as
    long. Python's `$` also matches before a line break that ends the text; RE2's does not, as PostgreSQL's.

    Args:
        frame: As `frame_from_arrow` makes it.
        patterns: Columns and what each must match; one that the frame lacks does not matter.
    """
    same = all(_same_in_arrow(frame[name], pattern) for name, pattern in patterns if name in frame)
    with pd.option_context("future.infer_string", same), warnings.catch_warnings():
        # pandas takes the groups of a pattern for something that somebody wanted to have.
        warnings.filterwarnings("ignore", "This pattern is interpreted as a regular expression")
        yield


def _same_in_arrow(texts: pd.Series, pattern: str) -> bool:
    return texts.dtype == TEXT and not any(mark in pattern for mark in MEANS_OTHER_THINGS)


def _widened(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if kinds.is_integer(column.type):
        return column.cast(pa.float64() if column.null_count else pa.int64(), safe=False)
    if kinds.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(np.inf, column.type), column)
    if kinds.is_date(column.type):
        return nameable(column).cast(pa.timestamp("us", "UTC"))
    return nameable(column)
