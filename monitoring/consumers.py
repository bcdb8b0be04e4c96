"""Metrics of Kafka's topics, of who consumes them, and of the streaming queries and daemons."""

import time
from collections.abc import Iterator

from cinelake.settings import Settings
from cinelake.stack.state import load_state
from cinelake.stack.streams import STREAMS
from ingestion.topics import connected_consumer, end_offsets
from monitoring.families import Family, counter, gauge
from pipeline import lag, stream_progress
from spark_streaming.bronze import TOPIC_OF_TABLE

PLACE = ("consumer", "topic", "partition")


def topics(settings: Settings) -> Iterator[Family]:
    """How many messages each partition has ever taken."""
    with connected_consumer(settings) as consumer:
        ends = {topic: end_offsets(consumer, topic) for topic in TOPIC_OF_TABLE.values()}
    yield counter(
        "cinelake_topic_messages",
        "Messages that a partition has taken, by its end offset.",
        ("topic", "partition"),
        (
            ((topic, str(partition)), end)
            for topic, of_topic in ends.items()
            for partition, end in of_topic.items()
        ),
    )


def consumers(settings: Settings) -> Iterator[Family]:
    """How far bronze, silver and the raw backup have come, and how much and how long they are behind."""
    rows = [(name, each) for name, of in lag.CONSUMERS.items() for each in of(settings)]
    yield counter(
        "cinelake_consumer_messages",
        "Messages of a partition that a consumer has dealt with, by their offset.",
        PLACE,
        (((name, each.topic, str(each.partition)), each.taken) for name, each in rows),
    )
    yield gauge(
        "cinelake_consumer_lag_messages",
        "Messages of a partition that a consumer has still to take.",
        PLACE,
        (((name, each.topic, str(each.partition)), each.waiting) for name, each in rows),
    )
    waiting = lag.waiting_since(settings, [each for _, each in rows])
    now = time.time()
    yield gauge(
        "cinelake_consumer_lag_seconds",
        "Age of the oldest message of a partition that a consumer has still to take; 0 where it has all.",
        PLACE,
        (
            ((name, each.topic, str(each.partition)), max(now - waiting.get(each, now), 0))
            for name, each in rows
        ),
    )


def streams(settings: Settings) -> Iterator[Family]:
    """What the streaming queries have done, and whether the daemons run that were started."""
    done = stream_progress.read(settings)
    for name, says, value in (
        ("batches", "Micro-batches with rows that a query has written.", "batches"),
        ("rows", "Rows that a query has read.", "rows"),
        ("batch_seconds", "Seconds that a query's micro-batches took.", "seconds"),
    ):
        samples = [((each.query,), getattr(each, value)) for each in done]
        yield counter(f"cinelake_stream_{name}", says, ("query",), samples)
    yield counter(
        "cinelake_stream_phase_seconds",
        "What the seconds of a query's micro-batches went into, in Spark's words.",
        ("query", "phase"),
        (((each.query, name), took) for each in done for name, took in each.phases.items()),
    )
    for name, says, value in (
        ("last_batch_rows", "Rows of a query's last micro-batch.", "last_rows"),
        ("last_batch_seconds", "Seconds of a query's last micro-batch.", "last_seconds"),
        ("state_rows", "Rows that a query's stateful operators hold.", "state_rows"),
    ):
        samples = [((each.query,), getattr(each, value)) for each in done]
        yield gauge(f"cinelake_stream_{name}", says, ("query",), samples)
    yield gauge(
        "cinelake_stream_last_batch_timestamp_seconds",
        "When a query's last micro-batch was noted.",
        ("query",),
        (((each.query,), each.updated_at.timestamp()) for each in done),
    )
    state = load_state(settings.home)
    daemons = {
        stage: state.running(service.name)
        for stage, service in STREAMS.items()
        if service.name in state.processes
    }
    yield gauge(
        "cinelake_stream_running",
        "Whether the daemon of a stage runs, if it was started and not stopped.",
        ("consumer",),
        (((stage,), ref is not None) for stage, ref in daemons.items()),
    )
    yield gauge(
        "cinelake_stream_memory_bytes",
        "Memory of the processes of a daemon that runs.",
        ("consumer",),
        (((stage,), ref.rss_bytes()) for stage, ref in daemons.items() if ref),
    )
