"""Rules that route a row to `silver.quarantine`, most of them read off the contract.

The same rule is proved again by Great Expectations on what was written: here a broken row is set aside,
there it must not be found.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.settings import Settings
from lakehouse import tables
from lakehouse.contract import NUMBERS, UUID_PATTERN, Table, limit_in_words, table
from lakehouse.contract import Column as ContractColumn
from lakehouse.frames import frame_of

# A NUL, raw or escaped in JSON; a backslash that is itself escaped does not count. PostgreSQL cannot store it.
NUL_PATTERN = r"\x00|(?<!\\)(\\\\)*\\u0000"
COORDINATES = ["kafka_topic", "kafka_partition", "kafka_offset"]
SHOWN = 40
"""The most characters of a value that a reason shows."""
CHARACTER_CLASSES = {r"\p{Lu}": "A", r"\p{L}": "a", r"\p{N}": "9", r"[\p{Z}\p{C}]": " "}
"""What a value is masked by: capitals, other letters, digits, and what is not seen; signs stay as they are."""


@dataclass(frozen=True)
class Rule:
    """One way for a row to be wrong.

    Args:
        name: A value of `rule` in the contract of `silver.quarantine`.
        reason: What a person reads, naming the field.
        broken: True on a row that breaks it; null counts as not broken.
        form: What the value looked like, added to the reason; null adds nothing.
    """

    name: str
    reason: str
    broken: Column
    form: Column | None = None

    @property
    def verdict(self) -> Column:
        """A struct of `rule` and `reason`."""
        reason = F.lit(self.reason)
        if self.form is not None:
            reason = F.concat(reason, F.coalesce(F.concat(F.lit("; it is "), self.form), F.lit("")))
        return F.struct(F.lit(self.name).alias("rule"), reason.alias("reason"))


Form = Callable[[Column, str], Column]
"""Shows a value of a kind, for example `text`, in a reason."""


def masked(value: Column, kind: str) -> Column:
    """What kind a value is of and its shape, `a text of 6 characters like "Aaa 99"`; says nothing of a person.

    Args:
        value: Of any simple type.
        kind: What it is, for example `text`.
    """
    shape = value.cast("string")
    for pattern, mark in CHARACTER_CLASSES.items():
        shape = F.regexp_replace(shape, pattern, mark)
    shape = F.substring(shape, 1, SHOWN)
    if kind == "text":
        return F.format_string('a text of %d characters like "%s"', F.char_length(value), shape)
    return F.concat(F.lit(f"a {kind} like "), shape)


def plain(value: Column, kind: str) -> Column:
    """What kind a value is of and its beginning, `the text "much"`; for what is about movies.

    Args:
        value: Of any simple type.
        kind: What it is, for example `text`.
    """
    text = F.regexp_replace(value.cast("string"), r"[\p{Z}\p{C}]", " ")
    length = F.char_length(text)
    rest = F.when(length > SHOWN, F.format_string("... (%d characters)", length))
    mark = '"' if kind == "text" else ""
    parts = (F.lit(f"the {kind} {mark}"), F.substring(text, 1, SHOWN), F.lit(mark))
    return F.concat(*parts, F.coalesce(rest, F.lit("")))


def contract_rules(
    contract: Table, skip: frozenset[str] = frozenset(), form: Form = masked
) -> list[Rule]:
    """The row-level rules of a contract, in the order of its columns.

    Args:
        contract: The table's contract.
        skip: Columns that are filled later, for example the session of an event.
        form: How a reason shows the value.
    """
    return [
        rule
        for column in contract.columns
        if column.name not in skip
        for rule in column_rules(column, F.col(column.name), form)
    ]


def column_rules(column: ContractColumn, value: Column, form: Form = masked) -> list[Rule]:
    """The rules of one column of a contract.

    Args:
        column: The column.
        value: Where its value is.
        form: How a reason shows the value.
    """
    kind = {"string": "text"}.get(column.type, "number" if column.type in NUMBERS else column.type)
    shown = form(value, kind)
    rules = []
    if column.required:
        rules.append(Rule("missing_field", f"{column.name} is missing", value.isNull()))
    if column.is_uuid:
        broken = ~value.rlike(_whole_text(UUID_PATTERN))
        rules.append(Rule("not_a_uuid", f"{column.name} is not a UUID", broken, shown))
    if column.valid_values:
        allowed = ", ".join(column.valid_values)
        broken = ~value.isin(*column.valid_values)
        reason = f"{column.name} is none of {allowed}"
        rules.append(Rule("value_not_allowed", reason, broken, shown))
    if column.minimum is not None:
        reason = f"{column.name} is below {limit_in_words(column.minimum)}"
        rules.append(Rule("out_of_range", reason, value < F.lit(column.minimum), shown))
    if column.maximum is not None:
        reason = f"{column.name} is above {limit_in_words(column.maximum)}"
        rules.append(Rule("out_of_range", reason, value > F.lit(column.maximum), shown))
    if column.max_length is not None:
        reason = f"{column.name} is longer than {column.max_length} characters"
        rules.append(Rule("out_of_range", reason, F.char_length(value) > column.max_length, shown))
    if column.pattern:
        reason = f"{column.name} does not match {column.pattern}"
        rules.append(Rule("bad_format", reason, ~value.rlike(_whole_text(column.pattern)), shown))
    return rules


def _whole_text(pattern: str) -> str:
    """A pattern of a contract for Java, whose `$` also matches before a line break at the end.

    PostgreSQL takes no UUID with one, and would refuse all rows that are published with it.
    """
    return rf"{pattern[:-1]}\z" if pattern.endswith("$") else pattern


def first_broken(rules: list[Rule]) -> Column:
    """A struct of `rule` and `reason` of the first rule a row breaks; null where it breaks none."""
    return F.coalesce(
        *(F.when(F.coalesce(rule.broken, F.lit(False)), rule.verdict) for rule in rules)
    )


def quarantine(spark: SparkSession, settings: Settings, bad: DataFrame, contract: Table) -> None:
    """Keep messages that broke a rule; doing it again adds nothing.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        bad: Columns `kafka_topic`, `kafka_partition`, `kafka_offset`, `event_id`, `payload` and the struct `broken`.
        contract: The contract that was applied; its version is kept.
    """
    tables.insert_new(spark, settings, table("silver.quarantine"), _as_rows(bad, contract))


def replace_quarantine(
    spark: SparkSession, settings: Settings, bad: DataFrame, contract: Table, topic: str
) -> None:
    """Make quarantine hold, of the messages of a topic, exactly those that break a rule now.

    One that was there keeps when it was first seen and how often it was judged; one with the same verdict by
    the same contract stays as it is.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        bad: As for `quarantine`: every message of the topic that breaks a rule.
        contract: The contract that was applied.
        topic: The Kafka topic.
    """
    quarantined = table("silver.quarantine")
    held = tables.read(spark, settings, quarantined.full_name)
    known = held.select(*COORDINATES, F.struct(*held.columns).alias("held"))
    judged_by = ("rule", "reason", "contract_version")
    is_same = tables.all_of([F.col(name) == F.col(f"held.{name}") for name in judged_by])
    rows = (
        _as_rows(bad, contract)
        .join(known, COORDINATES, "left")
        .withColumns(
            {
                "first_seen_at": F.coalesce("held.first_seen_at", "first_seen_at"),
                "attempts": F.coalesce("held.attempts", "attempts"),
                "last_seen_at": F.when(is_same, F.col("held.last_seen_at")).otherwise(
                    F.col("last_seen_at")
                ),
            }
        )
    )
    of_topic = frame_of(spark, [(topic,)], "kafka_topic string")
    tables.replace(spark, settings, quarantined, rows, of_topic)


def _as_rows(bad: DataFrame, contract: Table) -> DataFrame:
    """Messages that break a rule as rows of `silver.quarantine`, as if each were seen for the first time."""
    longest = table("silver.quarantine").column("event_id").max_length
    return bad.select(
        *COORDINATES,
        "broken.rule",
        "broken.reason",
        F.left("event_id", F.lit(longest)).alias("event_id"),
        "payload",
        F.lit(contract.version).alias("contract_version"),
        F.current_timestamp().alias("first_seen_at"),
        F.current_timestamp().alias("last_seen_at"),
        F.lit(1).alias("attempts"),
    )
