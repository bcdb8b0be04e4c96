"""What genres, companies, countries, languages, keywords and people have in common: answers name them.

Each answer about any movie names them anew. The name of the latest answer counts, whichever batch it came in, and one
that gives a name always counts more than one that gives none.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def latest(named: DataFrame, key: str) -> DataFrame:
    """One row a key.

    Args:
        named: The key, `name`, `named_at` and any other columns; any number of rows a key. Rows without a key
            are passed over.
        key: The column that tells them apart.

    Returns:
        The same columns, one row a key. It depends on which rows there are, and not on their order or number, so
        that it may be applied to its own result together with new rows.
    """
    return (
        named.where(F.col(key).isNotNull())
        .groupBy(key)
        .agg(F.max_by(F.struct(*named.columns), _rank(named.columns)).alias("row"))
        .select("row.*")
    )


def supersedes(columns: Sequence[str]) -> Column:
    """Condition for `tables.upsert`: the new row is the one that `latest` would choose of both."""
    return _rank(columns, "new.") > _rank(columns, "old.")


def _rank(columns: Sequence[str], of: str = "") -> Column:
    others = [name for name in columns if name not in ("name", "named_at")]
    return F.struct(
        F.col(f"{of}name").isNotNull(),
        f"{of}named_at",
        f"{of}name",
        *(f"{of}{name}" for name in others),
    )
