"""What constraints of PostgreSQL hold of a table, so that its rows need not be asked: they cannot break it."""

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql

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
        rows: How many rows there are.
        not_null: Columns without a null.
        unique: Sets of columns that no two rows agree in.
    """

    rows: int
    not_null: frozenset[str]
    unique: frozenset[frozenset[str]]


NOTHING_HELD = Held(0, frozenset(), frozenset())


def held_in(settings: Settings, schema: str, tables: Collection[str]) -> dict[str, Held]:
    """What constraints hold in a schema.

    Args:
        settings: Tells where PostgreSQL is.
        schema: Where the tables are.
        tables: Which of them; one that is not there is left out.

    Raises:
        ServiceError: PostgreSQL is down.
    """
    found: dict[str, Held] = {}
    with connect(settings, "transformer") as connection:
        rows = connection.execute(_HELD, {"schema": schema}).fetchall()
        for name in sorted({name for name, *_ in rows} & set(tables)):
            count = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
            counted = connection.execute(count).fetchone()
            assert counted is not None, "an aggregate has one row"
            of_table = [each for each in rows if each[0] == name]
            found[name] = Held(
                counted[0],
                frozenset(columns[0] for _, columns, is_not_null in of_table if is_not_null),
                frozenset(
                    frozenset(columns) for _, columns, is_not_null in of_table if not is_not_null
                ),
            )
    return found
