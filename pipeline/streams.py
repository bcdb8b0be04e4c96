"""The two streaming stages: Kafka to bronze and bronze to silver, once or as daemons."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Literal, get_args

from pyspark.sql import SparkSession
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from cinelake.errors import BadInputError, ServiceError
from cinelake.settings import Settings
from cinelake.stack import local
from ingestion.topics import connected_consumer, ensure_topics, kept_offsets
from lakehouse import changes, checkpoints, tables
from lakehouse.silver import rebuild, turns
from lakehouse.silver import refresh as silver_refresh
from lakehouse.tables import SparkSource
from pipeline import lag, stream_progress
from pipeline.locks import only_one
from spark_streaming import bronze
from spark_streaming.bronze import Trigger

ONCE = Trigger()
Layer = Literal["bronze", "silver"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
BY_DAEMON = {layer: f"{layer}, by its daemon" for layer in LAYERS}
"""Under what name a command counts the messages that it left to a daemon."""
DAEMON_SECONDS = 600
"""How long to wait for a daemon: some of its intervals, and a large batch."""
WAIT_SECONDS = 1
"""Between two looks at it."""


def run_bronze(
    spark_session: SparkSource, settings: Settings, trigger: Trigger = ONCE
) -> dict[str, int]:
    """Kafka to bronze; returns the rows each query read. With a daemon's trigger it ends only when it is stopped.

    Where a daemon of this home streams already, one run is to wait until that has taken what there was at its start.
    One run that finds nothing to take makes no session.

    Raises:
        CheckpointMismatchError: A table or its checkpoint was lost; nothing was read.
        DamagedDataError: A table or its checkpoint is damaged; nothing was read.
        ServiceError: A query failed, Kafka lacks what comes next, or another process holds bronze.
    """
    ensure_topics(settings)
    if not trigger.every and local.is_streaming(settings, "bronze"):
        return _by_daemon(settings, "bronze")
    with only_one(settings, "bronze"):
        with connected_consumer(settings) as consumer:
            kept = {
                name: kept_offsets(consumer, topic) for name, topic in bronze.TOPIC_OF_TABLE.items()
            }
        for name, topic in bronze.TOPIC_OF_TABLE.items():
            checkpoints.require_fits(settings, name)
            checkpoints.require_kept(settings, name, topic, kept[name])
        for name, topic in bronze.TOPIC_OF_TABLE.items():
            checkpoints.drop_void_plan(settings, name, topic, kept[name])
            checkpoints.require_whole(settings, name)
        tables.ensure_layer(spark_session, settings, "bronze")
        if not trigger.every and all(
            checkpoints.has_taken_all(settings, name, topic, kept[name])
            for name, topic in bronze.TOPIC_OF_TABLE.items()
        ):
            return {bronze.query_name(topic): 0 for topic in bronze.TOPIC_OF_TABLE.values()}
        spark = spark_session()
        queries = [
            bronze.start(
                spark,
                settings,
                topic,
                path=tables.table_path(settings, name),
                checkpoint=tables.checkpoint_path(settings, name),
                trigger=trigger,
            )
            for name, topic in bronze.TOPIC_OF_TABLE.items()
        ]
        return bronze.await_all(queries, partial(stream_progress.note, settings))


def run_silver(
    spark_session: SparkSource,
    settings: Settings,
    trigger: Trigger = ONCE,
    sources: Collection[str] = (),
) -> dict[str, int]:
    """Bronze to silver; returns the rows each query read. Where a daemon streams already: as for `run_bronze`.

    What other rules than the present made is rebuilt first. One run that finds nothing to take makes no session.

    Args:
        spark_session: Makes the session, unless a daemon does the work.
        settings: All of them.
        trigger: When to run.
        sources: Only what these tables of bronze feed; empty for all of silver.

    Raises:
        BadInputError: Silver reads no such table.
        CheckpointMismatchError: Silver was lost and its checkpoints were not; nothing was read.
        ServiceError: A query failed, or another process holds silver.
    """
    wanted = chosen(sources)
    if not trigger.every and local.is_streaming(settings, "silver"):
        return _by_daemon(settings, "silver")
    with _silver(spark_session, settings):
        outdated = [each for each in rebuild.outdated(settings) if each in wanted]
        if not (
            trigger.every
            or outdated
            or any(lag.silver_differs(settings, source) for source in wanted)
        ):
            return {silver_refresh.query_name(source): 0 for source in wanted}
        spark = spark_session()
        _rebuild(spark, settings, outdated)
        # Once: one after the other, as two cores gain nothing from two queries at once. Daemons: side by side.
        groups = [wanted] if trigger.every else [[source] for source in wanted]
        read: dict[str, int] = {}
        for group in groups:
            read |= bronze.await_all(
                [silver_refresh.start(spark, settings, source, trigger) for source in group],
                partial(stream_progress.note, settings),
            )
        return read


def rebuild_silver(
    spark_session: SparkSource, settings: Settings, sources: Collection[str] = ()
) -> None:
    """Make silver hold what bronze says by the present rules and nothing else, in place.

    Args:
        spark_session: Makes the session.
        settings: All of them.
        sources: Only what these tables of bronze feed; empty for all of silver.

    Raises:
        BadInputError: Silver reads no such table.
        CheckpointMismatchError: Silver was lost and its checkpoints were not; nothing was read.
        ServiceError: Another process, perhaps a daemon, holds silver.
    """
    wanted = chosen(sources)
    with _silver(spark_session, settings):
        _rebuild(spark_session(), settings, wanted)


def to_rebuild(settings: Settings) -> list[str]:
    """The tables of bronze that the next run of silver reads anew because its rules have changed; a daemon's does not count."""
    return [] if local.is_streaming(settings, "silver") else rebuild.outdated(settings)


def _rebuild(spark: SparkSession, settings: Settings, sources: Collection[str]) -> None:
    # One turn: nobody shall look at movies of the one rules beside events of the other.
    with turns.batch(settings) if sources else nullcontext():
        for source in sources:
            rebuild.rebuild(spark, settings, source)


@contextmanager
def _silver(spark_session: SparkSource, settings: Settings) -> Iterator[None]:
    """Alone in silver, whose tables are there and are those of its checkpoints."""
    with only_one(settings, "silver"):
        checkpoints.require_silver(settings)
        tables.ensure_layer(spark_session, settings, "bronze")
        tables.ensure_layer(spark_session, settings, "silver")
        yield


def chosen(sources: Collection[str]) -> list[str]:
    """The tables of bronze that are meant, movies first.

    Args:
        sources: Their names; empty for all that silver reads.

    Raises:
        BadInputError: Silver reads no such table.
    """
    known = silver_refresh.REFRESH_OF_SOURCE
    if unknown := sorted(set(sources) - set(known)):
        raise BadInputError(
            f"Silver does not read {', '.join(unknown)}.", f"It reads {', '.join(known)}."
        )
    return [source for source in known if not sources or source in sources]


def pending(settings: Settings, stage: Layer) -> int:
    """Messages that a stage has still to take: bronze from Kafka, silver from bronze.

    Raises:
        ServiceError: Kafka is away.
    """
    return _still_to_take(settings, stage)()


def _still_to_take(settings: Settings, stage: Layer) -> Callable[[], int]:
    """Counts, whenever it is called, what a stage has still to take of the messages that there are now."""
    if stage == "bronze":
        ends = lag.ends_of_topics(settings)
        return lambda: sum(each.waiting for each in lag.of_bronze(settings, ends))
    versions = lag.versions_of_bronze(settings)
    return lambda: (
        sum(each.waiting for each in lag.of_silver(settings, versions)) + _to_read_anew(settings)
    )


def _to_read_anew(settings: Settings) -> int:
    """Messages that silver has read by other rules than the present ones."""
    return sum(changes.count_rows(settings, source) for source in rebuild.outdated(settings))


def await_daemon(settings: Settings, stage: Layer, patience: float = DAEMON_SECONDS) -> int:
    """Wait until the daemon of a stage has taken what there is to take now; what comes meanwhile is not waited for.

    Args:
        settings: All of them.
        stage: Which.
        patience: Seconds to wait.

    Returns:
        Messages that there were to take.

    Raises:
        ServiceError: It did not come to an end in time, or Kafka is away.
    """
    still_to_take = _still_to_take(settings, stage)
    first = still_to_take()
    retrying = Retrying(
        stop=stop_after_delay(patience), wait=wait_fixed(WAIT_SECONDS), retry=retry_if_result(bool)
    )
    try:
        retrying(still_to_take)
    except RetryError as error:
        left = error.last_attempt.result()
        raise ServiceError(
            f"The daemon of {stage} has {left:,} messages still to take after {patience:.0f} seconds.",
            "See its log with `cinelake status`, which names its process; `cinelake streams down` lets this command do it.",
        ) from None
    return first


def require_little(settings: Settings, most: int) -> dict[str, int]:
    """Make sure that no stage lags.

    Args:
        settings: All of them.
        most: Messages that a stage may have still to take.

    Returns:
        How many each has.

    Raises:
        ServiceError: A stage has more, or Kafka is away.
    """
    found: dict[str, int] = {stage: pending(settings, stage) for stage in LAYERS}
    lagging = [f"{stage} has {count:,}" for stage, count in found.items() if count > most]
    if lagging:
        raise ServiceError(
            f"More than {most:,} messages are still to be taken: {', '.join(lagging)}.",
            "Look at the daemons' logs in .cinelake/stack/logs; `cinelake streams down` and a `cinelake refresh` catch up as well.",
        )
    return found


def _by_daemon(settings: Settings, stage: Layer) -> dict[str, int]:
    return {BY_DAEMON[stage]: await_daemon(settings, stage)}
