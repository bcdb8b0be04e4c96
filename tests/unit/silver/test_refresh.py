"""Bronze to silver: the same tables come out however messages are cut into batches, repeated or ordered."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings
from lakehouse import changes
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.silver import refresh_events as events_batch
from lakehouse.silver.refresh import refresh_events, refresh_movies
from tests.unit.silver.conftest import TAKEN, message, uuid_of

CLOCKS = {"detected_at", "first_seen_at", "last_seen_at"}
"""Columns that say when a refresh ran."""
OF_EVENTS = ("events", "sessions", "users", "identities", "ratings", "comments", "comment_votes")
OF_EVENTS += ("movie_reactions", "watchlist", "watch_history", "duplicates", "quarantine")
OF_MOVIES = ("movies", "genres", "movie_genres", "quarantine")

Message = tuple[int, int, dict[str, Any]]
"""Partition, offset and value."""
Batches = Sequence[Sequence[int]]
"""Which of `MESSAGES` come together, by their place in it."""
Contents = dict[str, list[dict[str, Any]]]
"""The rows of tables, by name."""


def sent(name: str, minute: int, **fields: Any) -> dict[str, Any]:
    """An event that happened some minutes after midnight and was received a second later."""
    at = f"2026-01-01T{minute // 60:02}:{minute % 60:02}"
    times = {"occurred_at": f"{at}:00.000000Z", "received_at": f"{at}:01.000000Z"}
    return message(event_id=uuid_of(name)) | times | fields


def rated(name: str, minute: int, rating: float, **fields: Any) -> dict[str, Any]:
    properties = {"rating": rating}
    return sent(name, minute, event_type="rating", movie_id=13, properties=properties, **fields)


def told(name: str, minute: int, event_type: str, **properties: Any) -> dict[str, Any]:
    """An event whose properties matter; about a movie, where its type needs one."""
    fields = {
        name: properties.pop(name) for name in ("user_id", "anonymous_id") if name in properties
    }
    movie = None if event_type.startswith("comment_") else 13
    return sent(
        name, minute, event_type=event_type, movie_id=movie, properties=properties, **fields
    )


MESSAGES: list[Message] = [
    (0, 0, sent("first", 0)),
    (0, 1, sent("bridge", 25)),
    (0, 2, sent("second", 50)),
    (0, 3, rated("rating", 51, 8.5)),
    (0, 4, rated("changed", 52, 6.0)),
    (0, 5, sent("first", 0)),
    (0, 6, sent("broken", 53, event_type="sneeze")),
    (1, 0, rated("of bob", 10, 2.0, user_id="bob")),
    (1, 1, rated("of bob", 10, 2.0, user_id="bob") | {"received_at": "2026-01-01T00:09:00Z"}),
    (2, 0, sent("anonymous", 5, user_id=None, anonymous_id="device")),
    # Sent anew after signing in, and received later than under the anonymous id.
    (3, 0, sent("anonymous", 6, user_id="eve", anonymous_id="device")),
    # Watched, then signed in on the same device.
    (4, 0, told("play", 60, "play", play_id="p", user_id=None, anonymous_id="tv")),
    (
        4,
        1,
        told(
            "watching",
            70,
            "play_progress",
            play_id="p",
            position_seconds=600,
            user_id=None,
            anonymous_id="tv",
        ),
    ),
    (
        4,
        2,
        told("sign in", 80, "user_upsert", timezone="Asia/Tokyo", user_id="fay", anonymous_id="tv"),
    ),
    (4, 3, told("watched", 79, "play_complete", play_id="p", user_id=None, anonymous_id="tv")),
    # A thread whose beginning, in another's hand, comes last.
    (
        5,
        0,
        told("reply to reply", 92, "comment", comment_id="c3", parent_comment_id="c2", text="3"),
    ),
    (
        5,
        1,
        told(
            "reply", 91, "comment", comment_id="c2", parent_comment_id="c1", text="2", user_id="bob"
        ),
    ),
    (5, 2, told("edit", 93, "comment_edit", comment_id="c1", text="one", user_id="fay")),
    (5, 3, told("opinion", 90, "comment", comment_id="c1", text="1", user_id="fay")),
    (5, 4, told("stolen id", 95, "comment", comment_id="c1", text="mine", user_id="bob")),
    (5, 5, told("deletion", 94, "comment_delete", comment_id="c3")),
    (6, 0, told("vote", 96, "comment_vote", comment_id="c1", vote="up")),
    (6, 1, told("vote taken back", 97, "comment_vote", comment_id="c1", vote="none")),
    (6, 2, told("like", 98, "movie_reaction", reaction="like", user_id="bob")),
    (6, 3, told("listed", 99, "watchlist_add", user_id="bob")),
    (6, 4, told("unlisted", 100, "watchlist_remove", user_id="bob")),
]


HARDEST: Batches = [(10, 7, 3, 5, 2, 13, 15, 17, 19, 22, 24), range(len(MESSAGES) - 1, -1, -1)]
"""Of two events the message received first comes second here, of one under another visitor; of the thread the last
reply comes first, and what was watched before signing in comes after it."""


def bronze(spark: SparkSession, topic: str, messages: Iterable[Message]) -> DataFrame:
    rows = [
        (topic, partition, offset, TAKEN, None, json.dumps(value).encode(), TAKEN.date())
        for partition, offset, value in messages
    ]
    return frame_of(spark, rows, table("bronze.user_logs").spark_schema())


def contents(lake: Settings, names: Iterable[str]) -> Contents:
    """The rows of silver tables, sorted, without the times at which a refresh ran."""
    found = {}
    for name in names:
        columns = ", ".join(
            column for column in table(f"silver.{name}").column_names if column not in CLOCKS
        )
        rows = changes.query(lake, f"silver.{name}", f"select {columns} from t").to_pylist()
        found[name] = sorted(rows, key=str)
    return found


@st.composite
def arrivals(draw: st.DrawFn) -> Batches:
    """The messages in any order, some of them delivered again, cut into three batches anywhere."""
    again = draw(st.lists(st.sampled_from(range(len(MESSAGES))), max_size=8))
    order = draw(st.permutations([*range(len(MESSAGES)), *again]))
    first, second = sorted(draw(st.tuples(*[st.integers(0, len(order))] * 2)))
    return [order[:first], order[first:second], order[second:]]


@pytest.fixture(scope="module")
def at_once(
    spark: SparkSession,
    spark_settings: Settings,
    with_tables: Callable[[Settings], Settings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Contents:
    """What the tables hold when every message came in one batch."""
    folder = tmp_path_factory.mktemp("at-once") / "lake"
    lake = with_tables(spark_settings.model_copy(update={"lake": str(folder)}))
    refresh_events(spark, lake, bronze(spark, "user_logs", MESSAGES))
    return contents(lake, OF_EVENTS)


def test_batches_their_order_delays_and_repetition_do_not_matter(
    pytestconfig: pytest.Config,
    spark: SparkSession,
    lake: Settings,
    with_tables: Callable[[Settings], Settings],
    at_once: Contents,
) -> None:
    # Each its own: Spark remembers what a path held.
    lakes = (lake.model_copy(update={"lake": f"{lake.lake}-{number}"}) for number in count())

    is_thorough = pytestconfig.getoption("full_scale")

    @settings(
        max_examples=50 if is_thorough else 2,
        # As few would rather find by chance, in another's change, what is looked for here.
        derandomize=not is_thorough,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Without making a failure smaller, as each attempt refreshes a lake.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    @given(arrivals())
    @example(HARDEST)
    def the_same_tables_come_out(batches: Batches) -> None:
        own = with_tables(next(lakes))
        for batch in filter(None, batches):
            messages = [MESSAGES[place] for place in batch]
            refresh_events(spark, own, bronze(spark, "user_logs", messages))
        assert contents(own, OF_EVENTS) == at_once
        shutil.rmtree(own.lake_uri)

    the_same_tables_come_out()


def test_a_play_follows_its_session_and_its_user_whatever_came_last_and_was_interrupted(
    spark: SparkSession,
    lake: Settings,
    with_tables: Callable[[Settings], Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = with_tables(lake)
    tablet = {"user_id": None, "anonymous_id": "tablet"}
    play = told("watched", 20, "play_progress", position_seconds=600, **tablet)
    batches = (
        [play],
        [
            sent("before", 10, session_id="a|b", **tablet),
            sent("after", 70, session_id="a|b", **tablet),
            sent("sign in", 80, event_type="user_upsert", user_id="gus", anonymous_id="tablet"),
        ],
    )
    first, second = (
        bronze(spark, "user_logs", [(number, *message) for message in enumerate(batch)])
        for number, batch in enumerate(batches)
    )
    refresh_events(spark, own, first)

    def interrupted(_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(events_batch._Batch, "_write_watch_history", interrupted)
        refresh_events(spark, own, second)
    refresh_events(spark, own, second)
    found = contents(own, ("events", "sessions", "watch_history"))
    (watched,) = found["watch_history"]
    (visit,) = [row for row in found["sessions"] if row["is_given"]]
    assert (visit["client_session_id"], visit["event_count"]) == ("a|b", 3)
    assert watched["session_id"] == visit["session_id"]
    assert watched["resolved_user_id"] == "gus"
    assert {row["session_id"] for row in found["events"]} == {
        row["session_id"] for row in found["sessions"]
    }


def test_each_table_holds_what_the_messages_say(at_once: Contents) -> None:
    sizes = {name: len(rows) for name, rows in at_once.items()}
    assert sizes["events"] + sizes["duplicates"] + sizes["quarantine"] == len(MESSAGES)
    assert (sizes["duplicates"], sizes["quarantine"]) == (3, 1)
    assert [row["user_id"] for row in at_once["users"]] == ["ada", "bob", "fay"]
    assert [(row["user_id"], row["rating"]) for row in at_once["ratings"]] == [
        ("ada", 6.0),
        ("bob", 2.0),
    ]
    _check_the_thread(at_once["comments"])
    _check_who_watched(at_once)
    assert [row["vote"] for row in at_once["comment_votes"]] == ["none"]
    assert [row["reaction"] for row in at_once["movie_reactions"]] == ["like"]
    assert [row["is_listed"] for row in at_once["watchlist"]] == [False]


def _check_the_thread(comments: list[dict[str, Any]]) -> None:
    assert [
        (c["comment_id"], c["user_id"], c["text"], c["depth"], c["path"]) for c in comments
    ] == [
        ("c1", "fay", "one", 0, "c1"),
        ("c2", "bob", "2", 1, "c1/c2"),
        ("c3", "ada", "3", 2, "c1/c2/c3"),
    ]
    assert {comment["thread_id"] for comment in comments} == {"c1"}
    assert [comment["is_deleted"] for comment in comments] == [False, False, True]


def _check_who_watched(expected: dict[str, list[dict[str, Any]]]) -> None:
    """The play was fay's, on the device she signed in on later; `device` was never seen with anybody."""
    (play,) = expected["watch_history"]
    assert (play["user_id"], play["resolved_user_id"], play["is_completed"]) == (None, "fay", True)
    of_tv = [row for row in expected["events"] if row["anonymous_id"] == "tv"]
    assert [row["resolved_user_id"] for row in of_tv] == ["fay"] * 4
    assert [row["anonymous_id"] for row in expected["identities"]] == ["tv"]
    signed_in = next(row for row in of_tv if row["user_id"])
    # 01:20 UTC in Tokyo.
    assert signed_in["local_hour"] == 10
    of_session = [row for row in expected["sessions"] if row["anonymous_id"] == "tv"]
    assert {row["resolved_user_id"] for row in of_session} == {"fay"}
    watching = next(row for row in of_session if row["visitor_id"] == "a:tv")
    assert (watching["play_count"], watching["duration_seconds"]) == (1, 19 * 60)


def answer(movie_id: int, fetched: int, *genres: tuple[int, str], **fields: Any) -> dict[str, Any]:
    return {
        "fetched_at": f"2026-01-{fetched:02}T00:00:00.000000Z",
        "content_hash": f"{movie_id}{fetched}".rjust(64, "0"),
        "movie": {
            "id": movie_id,
            "title": f"Movie {movie_id} of day {fetched}",
            "genres": [{"id": key, "name": name} for key, name in genres],
            **fields,
        },
    }


DRAMA, COMEDY = (18, "Drama"), (35, "Comedy")
ANSWERS: list[Message] = [
    (0, 0, answer(13, 1, DRAMA, COMEDY)),
    (0, 1, answer(13, 3, DRAMA)),
    (0, 2, answer(13, 2, COMEDY)),
    (1, 0, answer(14, 1, COMEDY)),
    (1, 1, answer(15, 1, status="Lost")),
]


@pytest.mark.parametrize("order", [(0, 2, 1, 3, 4), (4, 1, 0, 2, 3)])
def test_the_newest_answer_stands_whatever_the_order(
    spark: SparkSession, empty_lake: Settings, order: tuple[int, ...]
) -> None:
    answers = [ANSWERS[number] for number in order]
    for batch in (answers[:2], answers[2:]):
        refresh_movies(spark, empty_lake, bronze(spark, "movie", batch))
    found = contents(empty_lake, OF_MOVIES)
    assert [row["title"] for row in found["movies"]] == [
        "Movie 13 of day 3",
        "Movie 14 of day 1",
    ]
    pairs = sorted((row["movie_id"], row["genre_id"]) for row in found["movie_genres"])
    assert pairs == [(13, 18), (14, 35)]
    assert {row["genre_id"] for row in found["genres"]} >= {18, 35}
    assert [row["kafka_partition"] for row in found["quarantine"]] == [1]
