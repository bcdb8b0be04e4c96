"""From Arrow to the pandas frame that a gate checks fastest."""

from typing import Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds


class ArrowStream(Protocol):
    """Anything that hands over its rows by the Arrow C stream interface, as delta-rs readers do."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def frame_from_arrow(rows: pa.Table | pa.RecordBatchReader | ArrowStream) -> pd.DataFrame:
    """Rows as pandas, in the types that Great Expectations works on without a Python loop.

    Its range check is vectorised for int64 and float64 alone, so integers become int64, or float64 where some are
    null (exact up to 2**53). Texts stay Python strings: its regular expressions turn any other kind into those.
    A nullable boolean becomes pandas' own, timestamps keep their time zone, dates are `datetime.date`.

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
        types_mapper={pa.bool_(): pd.BooleanDtype()}.get, ignore_metadata=True
    )
    return frame


def _widened(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not kinds.is_integer(column.type):
        return column
    return column.cast(pa.float64() if column.null_count else pa.int64(), safe=False)
