"""Rules that route a row to `silver.quarantine`, most of them read off the contract.

The same rule is proved again by Great Expectations on what was written: here a broken row is set aside,
there it must not be found.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
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
CHARACTER_CLASSES = {
    r"\p{Lu}": "A",
    r"[\p{Ll}\p{Lt}\p{Lm}\p{Lo}]": "a",
    r"\p{N}": "9",
    r"[\p{Z}\p{C}]": " ",
}
"""What a value is masked by: capitals, other letters, digits, and what is not seen; signs stay as they are.

The patterns are those that Java and RE2 read alike.
"""


@dataclass(frozen=True)
class Rule:
    """One way for a row to be wrong.

    Args:
        name: A value of `rule` in the contract of `silver.quarantine`.
        reason: What a person reads, naming the field.
        broken: True on a row that breaks it; null counts as not broken.
        value: What the reason tells of, of any simple type; null adds nothing.
        kind: What kind of value it is, for a `Form`; of `IN_WORDS` the value is said as it is.
    """

    name: str
    reason: str
    broken: Column
    value: Column | None = None
    kind: str = ""


Form = Callable[[Column, Column], Column]
"""Shows a value, as a text, and its kind, for example `text`, in a reason."""
IN_WORDS = "words"


def masked(value: Column, kind: Column) -> Column:
    """What kind a value is of and its shape, `a text of 6 characters like "Aaa 99"`; says nothing of a person.

    Args:
        value: As a text.
        kind: What it is, for example `text`.
    """
    shape = value
    for pattern, mark in CHARACTER_CLASSES.items():
        shape = F.regexp_replace(shape, pattern, mark)
    shape = F.substring(shape, 1, SHOWN)
    of_text = F.format_string('a text of %d characters like "%s"', F.char_length(value), shape)
    return F.when(kind == "text", of_text).otherwise(
        F.concat(F.lit("a "), kind, F.lit(" like "), shape)
    )


def shape_of(text: str) -> str:
    """The shape that `masked` shows of a text, for one that is not in Spark."""
    shape = pa.scalar(text[:SHOWN])
    for pattern, mark in CHARACTER_CLASSES.items():
        shape = pc.replace_substring_regex(shape, pattern, mark)
    return str(shape)


def plain(value: Column, kind: Column) -> Column:
    """What kind a value is of and its beginning, `the text "much"`; for what is about movies.

    Args:
        value: As a text.
        kind: What it is, for example `text`.
    """
    text = F.regexp_replace(value, r"[\p{Z}\p{C}]", " ")
    length = F.char_length(text)
    rest = F.when(length > SHOWN, F.format_string("... (%d characters)", length))
    mark = F.when(kind == "text", '"').otherwise("")
    parts = (F.lit("the "), kind, F.lit(" "), mark, F.substring(text, 1, SHOWN), mark)
    return F.concat(*parts, F.coalesce(rest, F.lit("")))


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
        for rule in column_rules(column, F.col(column.name))
    ]


def column_rules(column: ContractColumn, value: Column) -> list[Rule]:
    """The rules of one column of a contract.

    Args:
        column: The column.
        value: Where its value is.
    """
    kind = {"string": "text"}.get(column.type, "number" if column.type in NUMBERS else column.type)
    rules = []
    if column.required:
        rules.append(Rule("missing_field", f"{column.name} is missing", value.isNull()))
    if column.is_uuid:
        broken = ~value.rlike(whole_text(UUID_PATTERN))
        rules.append(Rule("not_a_uuid", f"{column.name} is not a UUID", broken, value, kind))
    if column.valid_values:
        allowed = ", ".join(column.valid_values)
        broken = ~value.isin(*column.valid_values)
        reason = f"{column.name} is none of {allowed}"
        rules.append(Rule("value_not_allowed", reason, broken, value, kind))
    if column.minimum is not None:
        reason = f"{column.name} is below {limit_in_words(column.minimum)}"
        rules.append(Rule("out_of_range", reason, value < F.lit(column.minimum), value, kind))
    if column.maximum is not None:
        reason = f"{column.name} is above {limit_in_words(column.maximum)}"
        rules.append(Rule("out_of_range", reason, value > F.lit(column.maximum), value, kind))
    if column.max_length is not None:
        reason = f"{column.name} is longer than {column.max_length} characters"
        rules.append(
            Rule("out_of_range", reason, F.char_length(value) > column.max_length, value, kind)
        )
    if column.pattern:
        reason = f"{column.name} does not match {column.pattern}"
        rules.append(
            Rule("bad_format", reason, ~value.rlike(whole_text(column.pattern)), value, kind)
        )
    return rules


def ahead_of_message(name: str, minutes: int, sent: Column | None = None) -> Rule:
    """A time is later than the message that tells of it: a clock of a producer is wrong.

    Args:
        name: The column; that of Kafka's time is `timestamp`.
        minutes: How far it may be ahead.
        sent: The time as it was sent, to be shown in the reason.
    """
    reason = f"{name} is more than {minutes} minutes after Kafka's time of the message"
    broken = F.col(name) > F.col("timestamp") + F.expr(f"interval {minutes} minutes")
    return Rule("occurred_in_the_future", reason, broken, sent, "text")


def whole_text(pattern: str) -> str:
    """A pattern of a contract for Java, whose `$` also matches before a line break at the end.

    PostgreSQL takes no UUID with one, and would refuse all rows that are published with it.
    """
    return rf"{pattern[:-1]}\z" if pattern.endswith("$") else pattern


def first_broken(rules: Sequence[Rule], form: Form = masked) -> Column:
    """A struct of `rule` and `reason` of the first rule a row breaks; null where it breaks none.

    Args:
        rules: The most basic first; at least one.
        form: How a reason shows a value.
    """
    number = F.when(rules[0].broken, 0)
    for place, rule in enumerate(rules[1:], start=1):
        number = number.when(rule.broken, place)
    # What a lambda is given is computed once, and the words are found for what is broken alone.
    verdicts = F.transform(
        F.array(number), lambda broken: F.when(broken.isNotNull(), _verdict(rules, broken, form))
    )
    return verdicts[0]


def _verdict(rules: Sequence[Rule], number: Column, form: Form) -> Column:
    """What is said of a row that breaks the rule of a number."""
    words = [{"name": rule.name, "reason": rule.reason, "kind": rule.kind} for rule in rules]
    rule = F.from_json(F.lit(json.dumps(words)), _WORDS_DDL)[number]
    reason = rule["reason"]
    if any(rule.value is not None for rule in rules):
        value = _value(rules, number)
        shown = F.when(rule["kind"] == IN_WORDS, value).otherwise(form(value, rule["kind"]))
        told = F.coalesce(F.concat(F.lit("; it is "), shown), F.lit(""))
        reason = F.concat(reason, told)
    return F.struct(rule["name"].alias("rule"), reason.alias("reason"))


_WORDS_DDL = "array<struct<name string, reason string, kind string>>"


def _value(rules: Sequence[Rule], number: Column) -> Column:
    """What the reason of the rule of a number tells of, as a text."""
    value = F.when(F.lit(False), "")
    # Rules that follow each other mostly tell of the same.
    for _, same in groupby(enumerate(rules), lambda numbered: id(numbered[1].value)):
        (first, rule), *others = same
        if rule.value is not None:
            value = value.when(
                number.between(first, first + len(others)), rule.value.cast("string")
            )
    return value


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
    return bad.select(
        *COORDINATES,
        "broken.rule",
        "broken.reason",
        readable_id(F.col("event_id")).alias("event_id"),
        "payload",
        F.lit(contract.version).alias("contract_version"),
        F.current_timestamp().alias("first_seen_at"),
        F.current_timestamp().alias("last_seen_at"),
        F.lit(1).alias("attempts"),
    )


def readable_id(event_id: Column) -> Column:
    """The id of an event that may break any rule, as far as every store can hold it: cut, and U+FFFD in place of NUL."""
    longest = table("silver.quarantine").column("event_id").max_length
    return F.left(F.replace(event_id, F.lit("\0"), F.lit("\ufffd")), F.lit(longest))
