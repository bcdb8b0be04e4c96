"""One event, one movie or one user at every hop: where it stands, since when, and in which file and version.

Everything is read where it is, without Spark. What a hop does not have is left out, so that the last hop that is
shown is as far as it has come.
"""

import re
from collections.abc import Callable

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import QueryBuilder

from cinelake.errors import CinelakeError
from cinelake.pseudonyms import Pseudonyms
from cinelake.settings import Settings
from ingestion.raw_store import open_raw_store
from lakehouse import changes, damage, delta_log
from lakehouse.contract import UUID_PATTERN, quote_literal, table
from lakehouse.hops import Facts, Hop, gold, last_changed, pick, published, rows_of, version_of
from lakehouse.tables import table_path

Place = tuple[str, int, int]
"""Kafka topic, partition and offset."""

BRIDGES = ("genre", "company", "country", "language", "keyword", "cast", "crew")


class NotFoundError(CinelakeError):
    """What was to be traced is nowhere."""


# --- An event -----------------------------------------------------------------------------------------------


def trace_event(settings: Settings, event_id: str) -> list[Hop]:
    """Follow an event from the API to gold.

    Args:
        settings: All of them.
        event_id: As the client sent it; upper and lower case are one.

    Returns:
        The hops in the order of the flow; those up to silver once for each message that carried the event.

    Raises:
        NotFoundError: No table of the lake knows it.
        ServiceError: PostgreSQL cannot be reached.
    """
    wanted = event_id.strip().lower()
    standing = _standing_of_event(settings, wanted)
    places = list(standing) or _search_bronze(settings, wanted)
    if not places:
        raise NotFoundError(
            f"The event {event_id} is nowhere: not in silver.events, silver.duplicates or silver.quarantine,"
            " and no message in bronze.user_logs carries it.",
            "If it was accepted a moment ago, run `cinelake bronze` first; what the API refused is in"
            " bronze.rejected.",
        )
    hops = []
    landed = _landed(settings, "bronze.user_logs", places)
    for place in places:
        message = _message(settings, "bronze.user_logs", place)
        hops += [Hop("api", _sent(message)), _kafka(place, message), landed[place]]
        hops += standing.get(place) or _standing_at(settings, place) or [_WAITING]
    if re.fullmatch(UUID_PATTERN, wanted):
        hops += published(settings, "silver.events", {"event_id": wanted})
        hops += gold(
            settings,
            "gold.fact_user_event",
            "select date_key, user_key, movie_key, session_key, event_type, rating, occurred_at, is_late,"
            " lake_version from gold.fact_user_event where event_id = %s::uuid",
            wanted,
        )
    return hops


_WAITING = Hop("silver", {"state": "not taken in yet"})


def _standing_of_event(settings: Settings, event_id: str) -> dict[Place, list[Hop]]:
    """What silver says of each message that carried the event: the one that counts first."""
    # In quarantine the id may be any text, and no address stands in silver.
    event_id = Pseudonyms(settings.pseudonym_secret).in_text(event_id)
    condition = f"event_id = {quote_literal(event_id)}"
    found: dict[Place, list[Hop]] = {}
    for name, state, columns in (
        ("silver.events", "counted", ["event_type", "visitor_id", "session_id", "occurred_at"]),
        ("silver.duplicates", "a repetition, noted and not counted", ["detected_at"]),
        ("silver.quarantine", "in quarantine", _OF_QUARANTINE),
    ):
        for row in rows_of(settings, name, [*_COORDINATES, *columns], condition):
            key = pick(row | {"event_id": event_id}, table(name).key)
            version = last_changed(settings, name, key)
            facts = {"state": state, "table": name, **version, **pick(row, columns)}
            found.setdefault(_place(row), []).append(Hop("silver", facts))
    for row in rows_of(settings, "silver.recoveries", _OF_RECOVERIES, condition):
        found.setdefault(_place(row), []).append(Hop("recovered", pick(row, _OF_RECOVERIES[3:])))
    return found


_COORDINATES = ["kafka_topic", "kafka_partition", "kafka_offset"]
_OF_QUARANTINE = [
    *("rule", "reason", "contract_version", "first_seen_at", "last_seen_at", "attempts")
]
_OF_RECOVERIES = [*_COORDINATES, "rule", "mapping", "recovered_at", "run_id"]


def _search_bronze(settings: Settings, event_id: str) -> list[Place]:
    """The messages that silver does not know by this id: it has not come to them, or could not read the id."""

    def carries(value: bytes) -> bool:
        try:
            message = orjson.loads(value)
        except orjson.JSONDecodeError:
            return False
        return isinstance(message, dict) and str(message.get("event_id")).lower() == event_id

    return _search(settings, "bronze.user_logs", event_id.encode(), carries)


def _sent(message: Facts) -> Facts:
    """What the API added to an event."""
    event = _json(message.get("value"))
    names = ("received_at", "key_id", "event_type", "occurred_at")
    return {name: event.get(name) for name in names}


# --- A movie ------------------------------------------------------------------------------------------------


def trace_movie(settings: Settings, movie_id: int) -> list[Hop]:
    """Follow a movie from the raw store to gold.

    Args:
        settings: All of them.
        movie_id: TMDB's id.

    Returns:
        The hops in the order of the flow; those up to silver once for each answer that Kafka carried.

    Raises:
        NotFoundError: Neither the raw store nor any table of the lake knows it.
        ServiceError: MongoDB or PostgreSQL cannot be reached.
    """
    hops = _raw(settings, movie_id)

    def is_about_it(value: bytes) -> bool:
        movie = _json(value).get("movie")
        return isinstance(movie, dict) and movie.get("id") == movie_id

    places = _search(settings, "bronze.movie", str(movie_id).encode(), is_about_it)
    landed = _landed(settings, "bronze.movie", places)
    for place in places:
        message = _message(settings, "bronze.movie", place)
        answer = _json(message.get("value"))
        names = ("fetched_at", "content_hash", "deleted_at")
        hops += [_kafka(place, message, {name: answer.get(name) for name in names}), landed[place]]
        hops += _standing_at(settings, place)
    key = {"movie_id": movie_id}
    condition = f"movie_id = {movie_id}"
    for row in rows_of(settings, "silver.movies", _OF_MOVIES, condition):
        version = last_changed(settings, "silver.movies", key)
        hops.append(Hop("silver", {"state": "latest answer", **version, **row}))
    for row in rows_of(settings, "silver.movie_versions", _OF_VERSIONS, condition, "valid_from"):
        hops.append(Hop("silver.movie_versions", row))
    if not hops:
        raise NotFoundError(
            f"The movie {movie_id} is nowhere: not in the raw store, not in bronze.movie and not in silver.movies.",
            "`cinelake tmdb sync` or `cinelake catalog load` brings movies in.",
        )
    hops += published(settings, "silver.movies", key)
    hops += gold(
        settings,
        "gold.dim_movie",
        "select movie_key, version_number, valid_from, valid_to, is_current, title, status"
        " from gold.dim_movie where movie_id = %s order by version_number",
        movie_id,
    )
    for bridge in (f"gold.bridge_movie_{name}" for name in BRIDGES):
        query = f"select count(*) as rows from {bridge} where movie_id = %s"
        hops += gold(settings, bridge, query, movie_id)
    return hops


_OF_MOVIES = ["title", "fetched_at", "content_hash", "is_deleted", "keywords_at", "credits_at"]
_OF_VERSIONS = ["valid_from", "valid_to", "is_current", "title", "status"]


def _raw(settings: Settings, movie_id: int) -> list[Hop]:
    with open_raw_store(settings) as store:
        document = store.describe(movie_id)
    return [Hop("mongodb", document)] if document else []


def _standing_at(settings: Settings, place: Place) -> list[Hop]:
    condition = _at(place, "kafka_")
    hops = []
    for row in rows_of(settings, "silver.quarantine", _OF_QUARANTINE, condition):
        hops.append(Hop("silver", {"state": "in quarantine", **row}))
    for row in rows_of(settings, "silver.recoveries", _OF_RECOVERIES[3:], condition):
        hops.append(Hop("recovered", row))
    return hops


# --- A user -------------------------------------------------------------------------------------------------


def trace_user(settings: Settings, user_id: str) -> list[Hop]:
    """Follow a signed-in user from silver to gold.

    Args:
        settings: All of them.
        user_id: As events carry it; for one that holds an e-mail or IP address its pseudonym is looked for.

    Returns:
        The hops in the order of the flow; the first says by which id the user is known.

    Raises:
        NotFoundError: Silver does not know the user.
        ServiceError: PostgreSQL cannot be reached.
    """
    known = Pseudonyms(settings.pseudonym_secret).in_id(user_id)
    key = {"user_id": known}
    condition = f"user_id = {quote_literal(known)}"
    hops = [Hop("user", key)]
    for row in rows_of(settings, "silver.users", _OF_USERS, condition):
        version = last_changed(settings, "silver.users", key)
        hops.append(Hop("silver", {"table": "silver.users", **version, **row}))
    if len(hops) == 1:
        raise NotFoundError(
            f"The user {known} is nowhere: not in silver.users.",
            "Silver has users that have signed in. If it was a moment ago, run `cinelake refresh` first.",
        )
    for row in rows_of(settings, "silver.identities", ["anonymous_id", "linked_at"], condition):
        hops.append(Hop("silver.identities", row))
    hops += published(settings, "silver.users", key)
    hops += gold(
        settings,
        "gold.dim_user",
        "select user_key, version_number, valid_from, valid_to, is_current"
        " from gold.dim_user where user_id = %s order by version_number",
        known,
    )
    for name in ("fact_user_event", "movie_recommendations"):
        query = f"select count(*) as rows from gold.{name} where user_id = %s"
        hops += gold(settings, f"gold.{name}", query, known)
    return hops


_OF_USERS = ["first_seen_at", "last_seen_at", "event_count"]


# --- What all share ----------------------------------------------------------------------------------------


def _place(row: Facts) -> Place:
    return row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]


def _at(place: Place, prefix: str = "") -> str:
    topic, partition, offset = place
    names = [f'"{prefix}{name}"' for name in ("topic", "partition", "offset")]
    values = (quote_literal(topic), partition, offset)
    return " and ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))


def _search(
    settings: Settings, full_name: str, part: bytes, is_meant: Callable[[bytes], bool]
) -> list[Place]:
    """Messages of a bronze table whose bytes hold `part` and are what is meant, as they were sent.

    It reads the table; no other place knows which message carried an id that silver has not.
    """
    delta = changes.open_table(settings, full_name)
    if delta is None:
        return []
    found = []
    path = table_path(settings, full_name)
    with damage.reading(path):
        messages = QueryBuilder().register("t", delta).execute(_MESSAGES)
        reader = changes.without_views(pa.RecordBatchReader.from_stream(messages))
    for batch in changes.batches(reader, path):
        likely = batch.filter(pc.match_substring(batch["value"], part, ignore_case=True))
        found += [
            (row["topic"], row["partition"], row["offset"])
            for row in likely.to_pylist()
            if is_meant(row["value"])
        ]
    return sorted(found)


_MESSAGES = 'select "topic", "partition", "offset", "value" from t'


def _message(settings: Settings, full_name: str, place: Place) -> Facts:
    rows = changes.query(
        settings, full_name, f'select "timestamp", "value" from t where {_at(place)}'
    )
    return dict(rows.to_pylist()[0]) if rows.num_rows else {}


def _json(value: bytes | None) -> Facts:
    """The object that a message holds; nothing where it holds none."""
    try:
        found = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _kafka(place: Place, message: Facts, also: Facts | None = None) -> Hop:
    topic, partition, offset = place
    facts = {"topic": topic, "partition": partition, "offset": offset}
    return Hop("kafka", {**facts, "timestamp": message.get("timestamp"), **(also or {})})


def _landed(settings: Settings, full_name: str, places: list[Place]) -> dict[Place, Hop]:
    """In which version each message came to bronze, and in which file it is now."""
    files = {place: _current_file(settings, full_name, place) for place in places}
    landed: dict[Place, Facts] = {}
    version = changes.current_version(settings, full_name)
    # Backwards, as what is looked for is mostly new.
    while version >= 0 and len(landed) < len(places):
        commit = delta_log.read_commit(settings, full_name, version)
        if commit is None:
            break
        for place in places:
            if place not in landed and any(_may_hold(each, place) for each in commit.added):
                landed[place] = version_of(commit)
        version -= 1
    unknown = {"delta_version": None, "committed_at": None}
    return {
        place: Hop(
            "bronze",
            {"table": full_name, **landed.get(place, unknown), "file": files[place]},
        )
        for place in places
    }


def _may_hold(added: delta_log.Added, place: Place) -> bool:
    topic, partition, offset = place
    return added.may_hold(topic=topic, partition=partition, offset=offset)


def _current_file(settings: Settings, full_name: str, place: Place) -> str | None:
    delta = changes.open_table(settings, full_name)
    if delta is None:
        return None
    _, partition, offset = place
    files = pa.table(delta.get_add_actions(flatten=True))
    wanted = [("partition", "==", partition), ("offset", "==", offset)]
    for file in files.to_pylist():
        added = delta_log.Added(file["path"], _bounds(file, "min"), _bounds(file, "max"))
        if _may_hold(added, place) and delta_log.count_in_file(
            settings, full_name, added.path, wanted
        ):
            return added.path
    return None


def _bounds(file: Facts, which: str) -> Facts:
    names = ("topic", "partition", "offset")
    found = {name: file.get(f"{which}.{name}") for name in names}
    return {name: value for name, value in found.items() if value is not None}
