"""Records that Kafka will never take, as they are kept: movies in the raw store, and events in the raw backup."""

from datetime import datetime
from typing import Any

import orjson
from pymongo.collection import Collection

from cinelake.settings import Settings
from ingestion import backup, raw_store
from ingestion.raw_store import open_database
from ingestion.tmdb.movie_ids import movie_id_of
from ingestion.topics import MOVIE, USER_LOGS

RULE = "refused_by_kafka"
"""What stands in the place of a rule where quarantine is listed."""
COLLECTIONS = {raw_store.MOVIES: MOVIE, backup.COLLECTION: USER_LOGS}
"""Where such records are, and for which topic they were."""

Row = dict[str, Any]
_REFUSED = {"refused": {"$ne": None}}


def list_refused(
    settings: Settings, limit: int, topic: str | None = None, since: datetime | None = None
) -> list[Row]:
    """Refused records, the latest first.

    Args:
        settings: MongoDB.
        limit: The most to list.
        topic: Only of those for this topic.
        since: Only those refused then or later.

    Raises:
        ServiceError: MongoDB is away.
    """
    wanted = {**_REFUSED, **({"refused.at": {"$gte": since}} if since else {})}
    rows: list[Row] = []
    with open_database(settings) as database:
        for name, its_topic in COLLECTIONS.items():
            if topic in (None, its_topic):
                collection: Collection[Row] = database[name]
                found = collection.find(wanted, {"refused": 1}).sort("refused.at", -1).limit(limit)
                rows += [_row(name, its_topic, document) for document in found]
    return sorted(rows, key=lambda row: row["last_seen_at"], reverse=True)[:limit]


def count_refused(settings: Settings, since: datetime | None = None) -> list[Row]:
    """How many records were refused by topic, with the first and the last time of each; as `held.count_held`.

    Args:
        settings: MongoDB.
        since: Only those refused then or later.

    Raises:
        ServiceError: MongoDB is away.
    """
    wanted = {**_REFUSED, **({"refused.at": {"$gte": since}} if since else {})}
    counted = {
        "_id": None,
        "messages": {"$sum": 1},
        "first_seen_at": {"$min": "$refused.at"},
        "last_seen_at": {"$max": "$refused.at"},
    }
    with open_database(settings) as database:
        return [
            {"kafka_topic": topic, "rule": RULE, **{k: v for k, v in row.items() if k != "_id"}}
            for name, topic in COLLECTIONS.items()
            for row in database[name].aggregate([{"$match": wanted}, {"$group": counted}])
        ]


def read_refused(settings: Settings, place: str) -> Row | None:
    """One refused record with its bytes; None where the place names none.

    Args:
        settings: MongoDB.
        place: As `list_refused` gives it.

    Raises:
        ServiceError: MongoDB is away.
    """
    name, _, key = place.partition("/")
    topic = COLLECTIONS.get(name)
    if topic is None:
        return None
    is_movie = name == raw_store.MOVIES
    document_id = movie_id_of(key) if is_movie else key
    if document_id is None:
        return None
    with open_database(settings) as database:
        found = database[name].find_one({"_id": document_id, **_REFUSED})
    if found is None:
        return None
    payload = orjson.dumps(raw_store.payload_of(found)) if is_movie else found["value"]
    return {**_row(name, topic, found), "payload": payload}


def _row(name: str, topic: str, document: Row) -> Row:
    return {
        "place": f"{name}/{document['_id']}",
        "kafka_topic": topic,
        "rule": RULE,
        "reason": document["refused"]["reason"],
        "event_id": None,
        "last_seen_at": document["refused"]["at"],
        "attempts": 1,
    }
