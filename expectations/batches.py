"""Rows to check: in memory, in Spark, or in pieces of which memory holds one at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import DataFrame

from lakehouse.contract import Table


@dataclass(frozen=True)
class Pieces:
    """Rows that are too large to be in memory together.

    Args:
        read: Gives all rows with the columns that it is asked for, anew at each call, a piece at a time, each as
            `frame_from_arrow` makes it. There is at least one piece.
    """

    read: Callable[[Sequence[str]], Iterator[pd.DataFrame]]

    def whole(self, columns: Sequence[str]) -> pd.DataFrame:
        """All rows together, of few and narrow columns."""
        return pd.concat(list(self.read(columns)), ignore_index=True)


@dataclass(frozen=True)
class Batch:
    """Rows to check.

    Args:
        table: The contract they must keep.
        frame: The rows with the contract's columns; a frame of Spark should be persisted, as each rule reads it.
    """

    table: Table
    frame: pd.DataFrame | DataFrame | Pieces
