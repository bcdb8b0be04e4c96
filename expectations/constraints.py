"""What constraints of PostgreSQL hold of a table, so that its rows need not be asked: they cannot break it."""

from collections import defaultdict
from dataclasses import dataclass

from cinelake.postgres import connect
from cinelake.settings import Settings

_HELD = """
    select relname::text, array[attname::text] as columns, true as is_not_null
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attnum > 0 and attnotnull
    where relnamespace = %(schema)s::regnamespace and relkind = 'r'
    and not exists (
        select from pg_constraint
        where conrelid = attrelid and contype = 'n' and conkey = array[attnum] and not convalidated
    )
    union all
    select
        relname::text,
        array(select attname::text from pg_attribute where attrelid = indrelid and attnum = any(indkey)),
        false
    from pg_class
    join pg_index on indrelid = pg_class.oid
    where relnamespace = %(schema)s::regnamespace and relkind = 'r'
    and indisunique and indisvalid and indpred is null and indexprs is null and indnkeyatts = indnatts
"""


@dataclass(frozen=True)
class Held:
    """What holds of a table whatever its rows are.

    Args:
        not_null: Columns without a null.
        unique: Sets of columns that no two rows agree in.
    """

    not_null: frozenset[str]
    unique: frozenset[frozenset[str]]


NOTHING_HELD = Held(frozenset(), frozenset())


def held_in(settings: Settings, schema: str) -> dict[str, Held]:
    """What constraints hold of the tables of a schema, by their names.

    Args:
        settings: Tells where PostgreSQL is.
        schema: Where the tables are.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    with connect(settings, "transformer") as connection:
        found = connection.execute(_HELD, {"schema": schema}).fetchall()
    not_null: defaultdict[str, set[str]] = defaultdict(set)
    unique: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for table, columns, is_not_null in found:
        if is_not_null:
            not_null[table] |= set(columns)
        else:
            unique[table].add(frozenset(columns))
    return {
        table: Held(frozenset(not_null[table]), frozenset(unique[table]))
        for table in {*not_null, *unique}
    }
