"""What must be true of a home after a refresh: each promise is a function that says in sentences where it is broken."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row

from cinelake.errors import CinelakeError
from ingestion.raw_store import content_hash
from ingestion.topics import MOVIE, USER_LOGS
from lakehouse import changes
from lakehouse.contract import table
from pipeline.refresh import RefreshReport
from tests.integration.whole_way import meaning
from tests.integration.whole_way.drawn import CSV_LISTS
from tests.integration.whole_way.meaning import INVALID, OPEN
from tests.integration.whole_way.records import Sent
from tests.integration.whole_way.way import Way

Row = dict[str, Any]
WATCHED = ("play", "play_progress", "play_complete")
COUNTED = ("page_view", "movie_view", "search", "play", "play_complete", "rating", "comment")
AHEAD = "occurred_in_the_future"
"""The only rule that the API leaves to silver: a client's clock may be ahead of ours, or beyond all times of silver."""


def broken_promises(way: Way) -> list[str]:
    """Refresh, and say what is not as it must be; empty where all is."""
    try:
        report = way.refresh()
    except CinelakeError as error:
        return [
            f"the refresh ended with {type(error).__name__}: {error.message}\n{error.details or ''}"
        ]
    except Exception as error:
        return [f"the refresh ended with {type(error).__name__}: {str(error)[:2000]}"]
    with psycopg.connect(way.settings.postgres, row_factory=dict_row) as connection:
        found = _Found(way, connection)
        return [
            *_ledger(found, report),
            *_messages(found),
            *_events(found),
            *_movies(found),
            *_details(found),
            *_sums(found),
        ]


class _Found:
    """What lake and PostgreSQL hold."""

    def __init__(self, way: Way, connection: psycopg.Connection[Row]) -> None:
        self.way = way
        self._connection = connection
        self.events = self.rows("select * from silver.events where not _deleted")
        self.facts = {
            str(row["event_id"]): row for row in self.rows("select * from gold.fact_user_event")
        }
        self.quarantine = self.lake("silver.quarantine")
        self.messages = self.lake("bronze.user_logs")

    def rows(self, query: str) -> list[Row]:
        return self._connection.execute(query.encode()).fetchall()

    def one(self, query: str) -> Row:
        return self.rows(query)[0]

    def lake(self, name: str) -> list[Row]:
        rows: list[Row] = changes.query(self.way.settings, name, "select * from t").to_pylist()
        return rows


def _place(row: Row) -> tuple[Any, ...]:
    if "offset" in row:
        return row["topic"], row["partition"], row["offset"]
    return row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]


def _ledger(found: _Found, report: RefreshReport) -> Iterator[str]:
    """Accepted are facts, duplicates and quarantine, each message once."""
    taken = found.way.taken
    accepted = len(taken.events) + len(taken.messages[USER_LOGS])
    assert report.ledger is not None
    yield from report.ledger.differences()
    if report.ledger.accepted != accepted:
        yield f"{accepted} events were accepted, and Kafka has {report.ledger.accepted}"
    judged = Counter(
        _place(row)
        for row in [*found.events, *found.lake("silver.duplicates"), *found.quarantine]
        if _place(row)[0] == USER_LOGS
    )
    landed = Counter(_place(row) for row in found.messages)
    if judged != landed:
        yield f"messages and what became of them differ: {landed - judged} {judged - landed}"


def _messages(found: _Found) -> Iterator[str]:
    """What the API took, silver takes, but for a clock that is ahead."""
    by_api = {_id(sent.value) for sent in found.way.taken.events}
    by_others = {sent.text.encode() for sent in found.way.taken.messages[USER_LOGS]}
    for row in found.quarantine:
        is_ahead = row["rule"] == AHEAD or row["reason"].startswith("occurred_at is above")
        if row["event_id"] in by_api and row["payload"] not in by_others and not is_ahead:
            yield f"the API took what silver refused as {row['rule']} ({row['reason']}): {row['payload']!r}"


def _id(sent: Row) -> str:
    return str(sent.get("event_id")).lower()


def _events(found: _Found) -> Iterator[str]:
    """Each value of an event is what was sent, but for addresses, which have a pseudonym."""
    sent: dict[str, list[tuple[Row, bool]]] = defaultdict(list)
    for record in found.way.taken.events:
        sent[_id(record.value)].append((record.value, True))
    for record in found.way.taken.messages[USER_LOGS]:
        if isinstance(record.value, dict):
            sent[_id(record.value)].append((record.value, False))
    for row in found.events:
        event_id = str(row["event_id"])
        key = found.way.settings.pseudonym_secret
        differing = [_differences(row, *each, key) for each in sent[event_id]]
        if not any(not each for each in differing):
            yield f"event {event_id} is not what was sent: {differing}"
        fact = found.facts.get(event_id)
        if fact is None:
            yield f"event {event_id} has no fact"
            continue
        for name in set(fact) & set(row) - {"lake_version", "_lake_version"}:
            if str(fact[name]) != str(row[name]):
                yield f"event {event_id}: {name} is {row[name]!r} in silver, {fact[name]!r} in gold"


def _differences(row: Row, sent: Row, is_client: bool, key: str) -> list[str]:
    expected = meaning.event(sent, is_client, key)
    differing = [
        f"{name}: {row[name]!r} instead of {value!r}"
        for name, value in expected.items()
        if row[name] != value
    ]
    if meaning.stored_properties(row["properties"]) != meaning.properties(sent, key):
        differing.append(f"properties: {row['properties']!r} instead of {sent.get('properties')!r}")
    return differing


# --- Movies -------------------------------------------------------------------------------------------------


def _movies(found: _Found) -> Iterator[str]:
    """Each answer that was loaded is the current one, an earlier one, equal to one, or in quarantine for a reason."""
    refused = {}
    for row in found.quarantine:
        if _place(row)[0] == MOVIE:
            refused[_hash(row["payload"])] = row
    current = {
        row["movie_id"]: row for row in found.rows("select * from silver.movies where not _deleted")
    }
    members = defaultdict(list)
    for row in found.rows(
        "select * from gold.dim_movie where movie_id is not null order by valid_from"
    ):
        members[row["movie_id"]].append(row)
    others = _answers_of_others(found)
    latest: dict[int, tuple[str, Row]] = {}
    for record, stored in found.way.taken.answers:
        digest = content_hash(stored)
        answer = _answer(record)
        expected = meaning.movie(answer)
        name = f"movie {record.text[:1500]}"
        if digest in refused:
            why = refused[digest]
            if not {INVALID, OPEN} & set(expected.values()) and not _has_odd_lists(answer):
                yield f"{name} is in quarantine as {why['rule']} ({why['reason']}), and nothing is wrong with it"
            continue
        if wrong := [column for column, value in expected.items() if value is INVALID]:
            yield f"{name} is not in quarantine, although {', '.join(wrong)} is not allowed"
        latest[stored["id"]] = (digest, expected)
        if not any(_shows(row, expected) for row in members[stored["id"]]):
            yield f"{name} is no version of its movie"
    for movie_id, (digest, expected) in latest.items():
        row = current.get(movie_id)
        if row is None or not members[movie_id]:
            yield f"movie {movie_id} is not in gold"
        elif movie_id not in others and row["content_hash"] != digest:
            yield f"movie {movie_id} has not its latest answer"
        elif movie_id not in others:
            yield from _unlike(f"movie {movie_id} in silver", row, expected)
            yield from _unlike(f"movie {movie_id} in gold", members[movie_id][-1], expected)
    now = datetime.now(UTC)
    for movie_id, row in current.items():
        if max(row["fetched_at"], row["deleted_at"] or row["fetched_at"]) > now:
            yield f"movie {movie_id} shows an answer of {row['fetched_at']}, which hides all others until then"
    landed = Counter(_place(row) for row in found.lake("bronze.movie"))
    sent = found.way.taken.published + len(found.way.taken.messages[MOVIE])
    if landed.total() != sent:
        yield f"{sent} answers were published, and bronze has {landed.total()}"


def _hash(payload: bytes | None) -> str | None:
    try:
        return str(orjson.loads(payload or b"")["content_hash"])
    except (ValueError, TypeError, KeyError):
        return None


def _answers_of_others(found: _Found) -> set[Any]:
    """Movies that a producer of somebody else's told of as well: whose answer is the latest, its times say."""
    told = [record.value for record in found.way.taken.messages[MOVIE]]
    return {
        each["movie"].get("id")
        for each in told
        if isinstance(each, dict) and isinstance(each.get("movie"), dict)
        if not isinstance(each["movie"].get("id"), list | dict)
    }


def _answer(record: Sent) -> Row:
    """What a record says of a movie; the lists of a row are JSON in a text."""
    said: Row = dict(record.value)
    if record.door == "csv":
        said |= {name: json.loads(said.get(name) or "null") for name in CSV_LISTS}
        said["keywords"] = {"keywords": said["keywords"]}
    return said


def _has_odd_lists(answer: Row) -> bool:
    """Whether a list holds what is no element of it, or at an edge: what becomes of those, tables of their own say."""
    lists = [answer.get(name) for name in CSV_LISTS if name != "keywords"]
    lists += [
        each for name in ("keywords", "credits") for each in (answer.get(name) or {}).values()
    ]
    elements = [
        each for listed in lists for each in (listed if isinstance(listed, list) else [listed])
    ]
    return not all(each is None or _is_plain(each) for each in elements)


CODES = ("iso_3166_1", "iso_639_1", "origin_country")
"""Texts of elements that are stored in one case, in which some letters are two."""
SHORTEST_LIMIT = min(
    table(f"silver.{name}").column(f"{column}_code").max_length or 0
    for name, column in (("countries", "country"), ("languages", "language"))
)


def _is_plain(element: Any) -> bool:
    if not isinstance(element, dict):
        return False
    whole = [value for name, value in element.items() if name in ("id", "order")]
    texts = [value for name, value in element.items() if name not in ("id", "order")]
    codes = [value for name, value in element.items() if name in CODES and isinstance(value, str)]
    if any(
        len(each.upper()) > SHORTEST_LIMIT or len(each.lower()) > SHORTEST_LIMIT for each in codes
    ):
        return False
    return all(type(each) is int and 0 < each < 2**31 for each in whole) and all(
        isinstance(each, str) and len(each) < 100 and meaning.text(each) is not INVALID
        for each in texts
    )


def _shows(member: Row, expected: Row) -> bool:
    """Whether a version has what is tracked as an answer had it."""
    same = [expected[name] in (OPEN, member[name]) for name in ("title", "status")]
    return all(same)


def _unlike(name: str, row: Row, expected: Row) -> Iterator[str]:
    for column, value in expected.items():
        there = row["is_adult"] if column == "adult" and "is_adult" in row else row[column]
        if value not in (OPEN, INVALID) and there != value:
            yield f"{name}: {column} is {there!r} instead of {value!r}"


# --- What is derived ----------------------------------------------------------------------------------------


def _details(found: _Found) -> Iterator[str]:
    """Ratings, comments and positions in gold are those of the events that decide them."""
    when = {
        str(row["event_id"]): (row["occurred_at"], row["received_at"], str(row["event_id"]))
        for row in found.events
    }
    last: dict[tuple[str, int], Row] = {}
    for row in found.events:
        if row["event_type"] in ("rating", "rating_removed"):
            key = row["user_id"], row["movie_id"]
            if key not in last or when[str(row["event_id"])] > when[str(last[key]["event_id"])]:
                last[key] = row
    expected = {key: row["rating"] for key, row in last.items() if row["event_type"] == "rating"}
    kept = {
        (row["user_id"], row["movie_id"]): row["rating"]
        for row in found.rows("select * from gold.ratings")
    }
    if kept != expected:
        yield f"ratings in gold differ from the events': {_apart(kept, expected)}"
    texts: dict[str, set[str]] = defaultdict(set)
    for row in found.events:
        if row["event_type"] in ("comment", "comment_edit"):
            said = json.loads(row["properties"])
            texts[said["comment_id"]].add(said["text"])
    for row in found.rows("select * from gold.comments"):
        if row["text"] is not None and row["text"] not in texts[row["comment_id"]]:
            yield f"comment {row['comment_id']!r} says {row['text']!r}, which nobody wrote"
    reached = {
        meaning.position({"properties": json.loads(row["properties"])})
        for row in found.events
        if row["event_type"] in WATCHED and row["properties"]
    }
    for row in found.rows("select * from gold.watch_history"):
        if row["last_position_seconds"] is not None and row["last_position_seconds"] not in reached:
            yield f"play {row['watch_id']} ended at {row['last_position_seconds']}, which no event reports"


def _apart(one: Row, other: Row) -> str:
    return f"{sorted(one.items() - other.items(), key=repr)} {sorted(other.items() - one.items(), key=repr)}"


def _sums(found: _Found) -> Iterator[str]:
    """Sessions, plays, days and facts count the same."""
    types = Counter(row["event_type"] for row in found.facts.values())
    counts = ", ".join(f"sum({name}_count) as {name}" for name in COUNTED)
    sessions = found.one(
        f"select count(*) as n, sum(event_count) as events, sum(seconds_watched) as seconds, {counts}"
        " from gold.dim_session where session_id is not null"
    )
    facts = found.one(
        "select count(*) as n, count(distinct session_id) as sessions,"
        " count(*) filter (where session_key = -1) as lost from gold.fact_user_event"
    )
    plays = found.one(
        "select sum(event_count) as events, sum(seconds_watched) as seconds from gold.watch_history"
    )
    days = found.one(
        "select sum(seconds_watched) as seconds, sum(event_count) as events from gold.movie_daily"
    )
    of_movies = found.one(
        "select count(*) as n from gold.fact_user_event where movie_id is not null and is_bot is not true"
    )
    pairs = [
        ("events of sessions", sessions["events"], facts["n"]),
        ("sessions", sessions["n"], facts["sessions"]),
        ("facts without a session", facts["lost"], 0),
        ("events of plays", plays["events"], sum(types[name] for name in WATCHED)),
        ("seconds of sessions and plays", sessions["seconds"], plays["seconds"]),
        ("seconds of days and plays", days["seconds"], plays["seconds"]),
        ("events of movies' days", days["events"], of_movies["n"]),
        *((f"{name} of sessions", sessions[name], types[name]) for name in COUNTED),
    ]
    for name, one, other in pairs:
        if not _same(one or 0, other or 0):
            yield f"{name}: {one} against {other}"


def _same(one: float, other: float) -> bool:
    return abs(float(one) - float(other)) <= 1e-9 * max(1.0, abs(float(one)))


def listed(problems: Iterable[str], most: int = 20) -> str:
    """The first problems, a line each."""
    lines = [problem[:2000] for problem in problems]
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more])
