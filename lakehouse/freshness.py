"""How old a table's newest row is, as its contract counts freshness."""

from datetime import datetime

from cinelake.settings import Settings
from lakehouse import changes
from lakehouse.contract import table


def newest_row(settings: Settings, full_name: str) -> datetime | None:
    """The time of a table's newest row, as its contract counts freshness; None without rows or promise.

    Args:
        settings: Tells where the lake is.
        full_name: For example `silver.events`.
    """
    column = table(full_name).freshness_column
    if column is None:
        return None
    found = changes.query(settings, full_name, f'select max("{column}") as newest from t')
    newest: datetime | None = found["newest"][0].as_py() if found.num_rows else None
    return newest
