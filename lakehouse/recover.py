"""Messages in quarantine, judged anew after a fix: those that pass go where they would have gone at first.

They keep their Kafka coordinates, so that the ledger stays balanced. Silver is written first, then the note in
`silver.recoveries`, and only then do they leave quarantine: killed at any point, a second run finds them all and ends
the work, as each of the writes goes by key.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cinelake.settings import Settings
from ingestion.topics import MOVIE, USER_LOGS
from lakehouse import recoveries, tables
from lakehouse.contract import table
from lakehouse.mapping import Mapping
from lakehouse.quarantine import COORDINATES, readable_id
from lakehouse.silver import events, movies
from lakehouse.silver.refresh import REFRESH_OF_SOURCE

OnStage = Callable[[str], None]


@dataclass(frozen=True)
class _Feed:
    """What becomes of the messages of one topic.

    Args:
        source: The bronze table they come from.
        target: The silver table whose contract they are held against.
        judge: Gives each message its `broken`.
    """

    source: str
    target: str
    judge: Callable[[Settings, DataFrame], DataFrame]


def _judge_events(settings: Settings, messages: DataFrame) -> DataFrame:
    return events.transform(messages, events.Policy.of(settings))


def _judge_movies(settings: Settings, messages: DataFrame) -> DataFrame:
    return movies.transform(messages, settings.future_tolerance_minutes)


FEEDS = {
    USER_LOGS: _Feed("bronze.user_logs", "silver.events", _judge_events),
    MOVIE: _Feed("bronze.movie", "silver.movies", _judge_movies),
}


@dataclass(frozen=True)
class Selection:
    """Which messages to judge anew, and how to mend them before.

    Args:
        rule: The rule they are held for.
        topic: A key of `FEEDS`; None for every topic.
        mapping: None to judge them as they were sent.
    """

    rule: str
    topic: str | None = None
    mapping: Mapping | None = None

    @property
    def topics(self) -> list[str]:
        """The topics that are meant, movies first, so that events find their movie."""
        return [self.topic] if self.topic else [MOVIE, USER_LOGS]


@dataclass(frozen=True)
class Example:
    """One message before and after the mapping, and what it still breaks (empty when it passes)."""

    place: str
    before: bytes | None
    after: bytes | None
    reason: str


@dataclass
class Outcome:
    """What a new judgement of one topic's messages gives.

    Args:
        topic: The Kafka topic.
        held: Messages that were in quarantine for the rule.
        passing: Those of them that break no rule now.
        broken: How many still break which rule, with the reason.
        example: One message; None when none was held.
        recovered: Messages that were moved; 0 in a dry run.
    """

    topic: str
    held: int = 0
    passing: int = 0
    broken: dict[tuple[str, str], int] = field(default_factory=dict)
    example: Example | None = None
    recovered: int = 0


def recover(
    spark: SparkSession,
    settings: Settings,
    selection: Selection,
    run_id: str | None,
    on_stage: OnStage = lambda stage: None,
) -> list[Outcome]:
    """Judge messages in quarantine anew, and move those that pass.

    Args:
        spark: The session.
        settings: Tells where the lake is, and the limits and keys of the rules.
        selection: Which messages, and how they are mended.
        run_id: Noted with each message that is moved; None for a dry run, which writes nothing.
        on_stage: Called with the name of each step when it starts.

    Returns:
        What was found, one a topic.
    """
    return [
        _recover_topic(spark, settings, selection, topic, run_id, on_stage)
        for topic in selection.topics
    ]


def _recover_topic(
    spark: SparkSession,
    settings: Settings,
    selection: Selection,
    topic: str,
    run_id: str | None,
    on_stage: OnStage,
) -> Outcome:
    feed = FEEDS[topic]
    held = _held(spark, settings, selection, topic).persist()
    judged = feed.judge(settings, _as_bronze(held)).select(
        *COORDINATES, F.col("event_id").alias("judged_event_id"), "broken"
    )
    verdicts = held.join(judged, COORDINATES).persist()
    try:
        on_stage(f"judge {topic}")
        outcome = _outcome(topic, verdicts)
        if run_id and outcome.held:
            if outcome.passing:
                on_stage(f"move to {feed.target}")
                passing = _as_bronze(verdicts.where("broken is null"))
                REFRESH_OF_SOURCE[feed.source](spark, settings, passing)
            arrived = _arrived(spark, settings, topic, verdicts).persist()
            on_stage("note it in silver.recoveries")
            outcome.recovered = arrived.count()
            if outcome.recovered:
                recoveries.record(spark, settings, arrived, run_id)
            on_stage("clear it from silver.quarantine")
            _settle(spark, settings, verdicts, arrived, table(feed.target).version)
            arrived.unpersist()
        return outcome
    finally:
        verdicts.unpersist()
        held.unpersist()


def _held(spark: SparkSession, settings: Settings, selection: Selection, topic: str) -> DataFrame:
    """The chosen rows of quarantine, with the mapping as text and the bytes it leaves as `mended`."""
    steps = selection.mapping.canonical if selection.mapping else None
    rows = (
        tables.read(spark, settings, "silver.quarantine")
        .where((F.col("rule") == selection.rule) & (F.col("kafka_topic") == topic))
        .withColumn("mapping", F.lit(steps).cast("string"))
    )
    mended = recoveries.mended_value("payload", "mapping") if steps else F.col("payload")
    return rows.withColumn("mended", mended)


def _as_bronze(held: DataFrame) -> DataFrame:
    """Rows shaped as the bronze tables; when Kafka took them and under which key plays no part in silver."""
    return held.select(
        F.col("kafka_topic").alias("topic"),
        F.col("kafka_partition").alias("partition"),
        F.col("kafka_offset").alias("offset"),
        F.col("first_seen_at").alias("timestamp"),
        F.lit(None).cast("binary").alias("key"),
        F.col("mended").alias("value"),
        F.to_date("first_seen_at").alias("ingest_date"),
    )


def _outcome(topic: str, verdicts: DataFrame) -> Outcome:
    counted = verdicts.groupBy("broken.rule", "broken.reason").count().collect()
    by_rule = {(row["rule"], row["reason"]): row["count"] for row in counted}
    outcome = Outcome(topic, held=sum(by_rule.values()))
    outcome.passing = by_rule.pop((None, None), 0)
    outcome.broken = dict(sorted(by_rule.items()))
    passes_first = F.col("broken").isNotNull()
    for row in verdicts.orderBy(passes_first, *COORDINATES).limit(1).collect():
        outcome.example = Example(
            "/".join(str(row[name]) for name in COORDINATES),
            _bytes(row["payload"]),
            _bytes(row["mended"]),
            row["broken"]["reason"] if row["broken"] else "",
        )
    return outcome


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _arrived(spark: SparkSession, settings: Settings, topic: str, verdicts: DataFrame) -> DataFrame:
    """The rows whose message silver has now, as `recoveries.record` wants them."""
    rows = verdicts.where("broken is null")
    if topic == USER_LOGS:
        seen = [
            tables.read(spark, settings, name).select(*COORDINATES)
            for name in ("silver.events", "silver.duplicates")
        ]
        # Also what an earlier run had moved before it was killed, should it have been mended otherwise then.
        rows = verdicts.join(seen[0].unionByName(seen[1]), COORDINATES, "left_semi")
    event_id = readable_id(F.coalesce("judged_event_id", "event_id")).alias("event_id")
    return rows.select(*COORDINATES, event_id, "rule", "mapping")


def _settle(
    spark: SparkSession,
    settings: Settings,
    verdicts: DataFrame,
    arrived: DataFrame,
    contract_version: str,
) -> None:
    """In one commit: take out of quarantine what has arrived, and note the new verdict on what has not."""
    is_gone = arrived.select(*COORDINATES, F.lit(True).alias("is_gone"))
    rows = verdicts.select(*COORDINATES, "broken").join(is_gone, COORDINATES, "left")
    (
        DeltaTable.forPath(spark, tables.table_path(settings, "silver.quarantine"))
        .alias("old")
        .merge(rows.alias("new"), tables.same_key(table("silver.quarantine")))
        .whenMatchedDelete(condition="new.is_gone")
        .whenMatchedUpdate(
            condition="new.broken is not null",
            set={
                "rule": F.col("new.broken.rule"),
                "reason": F.col("new.broken.reason"),
                "contract_version": F.lit(contract_version),
                "last_seen_at": F.current_timestamp(),
                "attempts": F.col("old.attempts") + F.lit(1),
            },
        )
        .execute()
    )
