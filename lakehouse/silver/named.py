"""What genres, companies, countries, languages, keywords and people have in common: answers name them.

Each answer about any movie names them anew. What the latest answer says counts, whichever batch it came in, and one
that gives a name always counts more than one that gives none. When a name was last given is not kept: nearly every
answer repeats names that are known, and would change rows in every table.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.tables import all_of


def latest(named: DataFrame, key: str) -> DataFrame:
    """One row a key.

    Args:
        named: The key, `name`, `named_at` and any other columns; any number of rows a key. Rows without a key
            are passed over.
        key: The column that tells them apart.

    Returns:
        The same columns, one row a key. It depends on which rows there are, and not on their order or number.
    """
    others = [name for name in named.columns if name not in (key, "name", "named_at")]
    rank = F.struct(F.col("name").isNotNull(), "named_at", "name", *others)
    return (
        named.where(F.col(key).isNotNull())
        .groupBy(key)
        .agg(F.max_by(F.struct(*named.columns), rank).alias("row"))
        .select("row.*")
    )


def superseding(found: DataFrame, held: DataFrame, key: str) -> DataFrame:
    """The rows that count more than what is held, if they are later.

    Args:
        found: Rows of `latest`.
        held: Rows without `named_at`, one a key.
        key: The column that tells them apart.

    Returns:
        Rows of `found`: those with a new key, and those that say something else without leaving out the name.
    """
    return _compared(found, held, key).where(_is_new() | _says_more(found, held)).select("new.*")


def late(found: DataFrame, held: DataFrame, key: str, newest: int) -> DataFrame:
    """The keys of which it is open whether what is found or what is held was said later.

    Args:
        found: Rows of `latest`.
        held: Rows without `named_at`, one a key.
        key: The column that tells them apart.
        newest: When the newest of all answers that made up `held` was fetched, in microseconds since 1970.
    """
    is_open = _says_more(found, held) & (F.unix_micros("new.named_at") <= newest)
    return _compared(found, held, key).where(~_is_new() & is_open).select(f"new.{key}")


def _compared(found: DataFrame, held: DataFrame, key: str) -> DataFrame:
    new, old = (
        frame.select(F.struct("*").alias(n)) for frame, n in ((found, "new"), (held, "old"))
    )
    return new.join(old, F.col(f"new.{key}") == F.col(f"old.{key}"), "left")


def _is_new() -> Column:
    return F.col("old").isNull()


def _says_more(found: DataFrame, held: DataFrame) -> Column:
    shared = [name for name in found.columns if name in held.columns]
    is_same = all_of([F.col(f"new.{name}").eqNullSafe(F.col(f"old.{name}")) for name in shared])
    return ~is_same & (F.col("new.name").isNotNull() | F.col("old.name").isNull())
