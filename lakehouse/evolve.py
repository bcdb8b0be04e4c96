"""Bringing an existing table to its contract: new optional columns appear, and every row that is there stays.

Anything else a contract may change (a column gone, another type, a value that is required from now on) would have to
judge or rewrite the rows that are there. It is refused, with what to do instead.
"""

from collections.abc import Callable, Collection, Sequence

import psycopg
from pyspark.sql import SparkSession

from cinelake.errors import ContractRefusedError
from cinelake.log import get_logger
from lakehouse import shape
from lakehouse.contract import LIMITS, SPARK_TYPES, Table
from lakehouse.shape import Difference, PostgresShape, Shape

log = get_logger("evolve")

_LIMITS_HELD = f"""
    select relation.relname, array_agg(rule.conname::text)
    from pg_constraint as rule
    inner join pg_class as relation on rule.conrelid = relation.oid
    where relation.relnamespace = to_regnamespace('silver')
    and rule.contype = 'c' and starts_with(rule.conname, '{LIMITS}')
    group by relation.relname
"""


def evolve_delta(
    spark_session: Callable[[], SparkSession], path: str, table: Table, found: Shape
) -> None:
    """Add the columns that a Delta table lacks; without a difference nothing is written and Spark is not asked.

    Args:
        spark_session: Makes the session.
        path: The table's folder or URI.
        table: Its contract.
        found: Its shape now.

    Raises:
        ContractRefusedError: The contract differs in more than optional columns; the table stays as it was.
    """
    differences = shape.compare_delta(table, found)
    _require_additive(table, "the lake", differences, _lake_hint(table))
    for difference in differences:
        clause = _delta_clause(table, difference)
        spark_session().sql(f"alter table delta.`{path.replace('`', '``')}` {clause}")
        log.info("evolved", place="lake", table=table.full_name, clause=clause)


def evolve_postgres(connection: psycopg.Connection, table: Table, found: PostgresShape) -> None:
    """Add the columns that a table of PostgreSQL's schema `silver` lacks, as part of the connection's transaction.

    Args:
        connection: Acts as the owner of the table.
        table: Its contract.
        found: Its shape now.

    Raises:
        ContractRefusedError: The contract differs in more than optional columns; the table stays as it was.
    """
    differences = shape.compare_postgres(table, found)
    _require_additive(table, "PostgreSQL", differences, _postgres_hint(table))
    for difference in differences:
        clause = _postgres_clause(table, difference)
        connection.execute(f"alter table {table.full_name} {clause}".encode())
        log.info("evolved", place="PostgreSQL", table=table.full_name, clause=clause)


def limits_held(connection: psycopg.Connection) -> dict[str, list[str]]:
    """The names of the constraints that hold limits in PostgreSQL's schema `silver`, by table."""
    return dict(connection.execute(_LIMITS_HELD.encode()).fetchall())


def evolve_limits(connection: psycopg.Connection, table: Table, held: Collection[str]) -> None:
    """Make the constraints of a table of PostgreSQL those of its contract, as part of the connection's transaction.

    Rows that are there are not asked: one that breaks a new limit stays until silver changes it.

    Args:
        connection: Acts as the owner of the table.
        table: Its contract.
        held: The names of its constraints now, as `limits_held` gives them.
    """
    wanted = table.postgres_limits
    clauses = [f"drop constraint {name}" for name in held if name not in wanted]
    clauses += [
        f"add constraint {name} {rule} not valid"
        for name, rule in wanted.items()
        if name not in held
    ]
    if clauses:
        connection.execute(f"alter table {table.full_name} {', '.join(clauses)}".encode())
        log.info("evolved", place="PostgreSQL", table=table.full_name, limits=len(clauses))


def _require_additive(
    table: Table, place: str, differences: Sequence[Difference], hint: str
) -> None:
    refused = [difference for difference in differences if not difference.is_additive]
    if refused:
        named = "; ".join(f"{table.full_name}.{each.column} {each.problem}" for each in refused)
        raise ContractRefusedError(
            f"The contract of {table.full_name} {table.version} does not fit its table in {place}: {named}.",
            hint,
        )


def _delta_clause(table: Table, difference: Difference) -> str:
    if difference.kind == "stricter":
        return f"alter column `{difference.column}` drop not null"
    column = next(each for each in table.columns if each.name == difference.column)
    comment = column.description.replace("\\", "\\\\").replace("'", "\\'")
    kind = SPARK_TYPES[column.type].simpleString()
    return f"add columns (`{column.name}` {kind} comment '{comment}')"


def _postgres_clause(table: Table, difference: Difference) -> str:
    if difference.kind == "stricter":
        return f"alter column {difference.column} drop not null"
    kind = shape.of_postgres(table)[difference.column].type
    return f"add column if not exists {difference.column} {kind}"


def _lake_hint(table: Table) -> str:
    undo = "Undo that change in the contract, and add an optional column instead"
    if table.layer == "bronze":
        return f"{undo}: bronze keeps what came as it came."
    return f"{undo}, or build silver anew from bronze; docs/contracts.md says how."


def _postgres_hint(table: Table) -> str:
    return (
        "Undo that change in the contract, and add an optional column instead. If silver was built anew by this"
        f" contract, run `drop table {table.full_name} cascade` and `cinelake publish --full`;"
        " docs/contracts.md says what follows."
    )
