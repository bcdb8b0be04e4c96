"""Rules that route a row to `silver.quarantine`, most of them read off the contract.

The same rule is proved again by Great Expectations on what was written: here a broken row is set aside,
there it must not be found.
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import UUID_PATTERN, Table, table
from lakehouse.contract import Column as ContractColumn

# A NUL, raw or escaped in JSON; a backslash that is itself escaped does not count. PostgreSQL cannot store it.
NUL_PATTERN = r"\x00|(?<!\\)(\\\\)*\\u0000"
COORDINATES = ["kafka_topic", "kafka_partition", "kafka_offset"]


@dataclass(frozen=True)
class Rule:
    """One way for a row to be wrong.

    Args:
        name: A value of `rule` in the contract of `silver.quarantine`.
        reason: What a person reads, naming the field.
        broken: True on a row that breaks it; null counts as not broken.
    """

    name: str
    reason: str
    broken: Column


def contract_rules(contract: Table, skip: frozenset[str] = frozenset()) -> list[Rule]:
    """The row-level rules of a contract, in the order of its columns.

    Args:
        contract: The table's contract.
        skip: Columns that are filled later, for example the session of an event.
    """
    return [
        rule
        for column in contract.columns
        if column.name not in skip
        for rule in _column_rules(column)
    ]


def _column_rules(column: ContractColumn) -> list[Rule]:
    value = F.col(column.name)
    rules = []
    if column.required:
        rules.append(Rule("missing_field", f"{column.name} is missing", value.isNull()))
    if column.is_uuid:
        broken = ~value.rlike(UUID_PATTERN)
        rules.append(Rule("not_a_uuid", f"{column.name} is not a UUID", broken))
    if column.valid_values:
        allowed = ", ".join(column.valid_values)
        broken = ~value.isin(*column.valid_values)
        rules.append(Rule("value_not_allowed", f"{column.name} is none of {allowed}", broken))
    if column.minimum is not None:
        reason = f"{column.name} is below {column.minimum:g}"
        rules.append(Rule("out_of_range", reason, value < column.minimum))
    if column.maximum is not None:
        reason = f"{column.name} is above {column.maximum:g}"
        rules.append(Rule("out_of_range", reason, value > column.maximum))
    if column.pattern:
        reason = f"{column.name} does not match {column.pattern}"
        rules.append(Rule("bad_format", reason, ~value.rlike(column.pattern)))
    return rules


def first_broken(rules: list[Rule]) -> Column:
    """A struct of `rule` and `reason` of the first rule a row breaks; null where it breaks none."""
    verdicts = [
        F.when(
            F.coalesce(rule.broken, F.lit(False)),
            F.struct(F.lit(rule.name).alias("rule"), F.lit(rule.reason).alias("reason")),
        )
        for rule in rules
    ]
    return F.coalesce(*verdicts)


def quarantine(spark: SparkSession, settings: Settings, bad: DataFrame, contract: Table) -> None:
    """Keep messages that broke a rule; doing it again adds nothing.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        bad: Columns `kafka_topic`, `kafka_partition`, `kafka_offset`, `event_id`, `payload` and the struct `broken`.
        contract: The contract that was applied; its version is kept.
    """
    rows = bad.select(
        *COORDINATES,
        "broken.rule",
        "broken.reason",
        "event_id",
        "payload",
        F.lit(contract.version).alias("contract_version"),
        F.current_timestamp().alias("first_seen_at"),
        F.current_timestamp().alias("last_seen_at"),
        F.lit(1).alias("attempts"),
    )
    tables.insert_new(spark, settings, table("silver.quarantine"), rows)
