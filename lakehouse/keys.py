"""Keys of several columns: the natural key as one text, and its hash."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from cinelake.natural_keys import ESCAPE

SEPARATOR = "|"


def natural_key(*parts: Column | str) -> Column:
    """Join the parts of a key, as `cinelake.natural_keys.natural_key` does.

    Args:
        parts: Columns of any type that has a text; a literal is a column, too.

    Returns:
        The key; null where a part is null, as it would otherwise be that of fewer parts.
    """
    joined = [_escaped(F.col(part) if isinstance(part, str) else part) for part in parts]
    between = [one for part in joined for one in (F.lit(SEPARATOR), part)]
    return F.concat(*between[1:])


def hashed_key(*parts: Column | str) -> Column:
    """SHA-256 of the natural key, in hexadecimal."""
    return F.sha2(natural_key(*parts), 256)


def _escaped(part: Column) -> Column:
    text = part.cast("string")
    for sign in (ESCAPE, SEPARATOR):
        text = F.replace(text, F.lit(sign), F.lit(ESCAPE + sign))
    return text
