"""The Kafka message of an event that was accepted."""

from ingestion.events import Envelope, Observed, envelope_bytes, partition_key
from ingestion.producer import Record
from ingestion.topics import USER_LOGS


def event_record(event: Envelope, observed: Observed) -> Record:
    """The message of an event, to `user_logs`.

    Args:
        event: A validated event, or what has its fields.
        observed: What the server adds.
    """
    return Record(USER_LOGS, partition_key(event), envelope_bytes(event, observed))
