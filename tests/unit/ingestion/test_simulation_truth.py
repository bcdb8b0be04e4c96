"""The truth of a simulation against a recount with pandas, made another way from nothing but the events sent."""

from itertools import islice
from typing import Any

import pandas as pd
import pytest

from ingestion.events import InvalidEventError, validate_event
from ingestion.simulate import SimulationTruth, simulate
from ingestion.simulate.session_truth import SessionTruth

NOW = "2030"


@pytest.fixture(scope="module", params=[None, 3_000], ids=["all", "stopped"])
def run(request: pytest.FixtureRequest) -> tuple[list[dict[str, Any]], SimulationTruth]:
    """All events of a simulation with every kind of trouble, and its truth."""
    truth = SimulationTruth()
    stream = simulate(40, 10, 5, bad_rate=0.1, late_rate=0.1, duplicate_rate=0.1, truth=truth)
    return [one.event for one in islice(stream, request.param)], truth


@pytest.fixture(scope="module")
def report(run: tuple[list[dict[str, Any]], SimulationTruth]) -> dict[str, Any]:
    return run[1].report()


@pytest.fixture(scope="module")
def accepted(run: tuple[list[dict[str, Any]], SimulationTruth]) -> pd.DataFrame:
    """What the API takes, a row an event sent, `number` being its place in the stream."""
    rows = []
    for number, event in enumerate(run[0]):
        try:
            validate_event(event)
        except InvalidEventError:
            continue
        rows.append(
            {"user_id": None, "anonymous_id": None, "session_id": None} | event | {"number": number}
        )
    frame = pd.DataFrame(rows)
    frame["visitor_id"] = ("u:" + frame["user_id"]).fillna("a:" + frame["anonymous_id"])
    return frame


@pytest.fixture(scope="module")
def events(accepted: pd.DataFrame) -> pd.DataFrame:
    """The good events, each once, by time."""
    past = accepted[accepted["occurred_at"] < NOW]
    return past.drop_duplicates("event_id").sort_values(["occurred_at", "event_id"])


def of_type(events: pd.DataFrame, *types: str) -> pd.DataFrame:
    chosen = events[events["event_type"].isin(types)].reset_index(drop=True)
    properties = pd.json_normalize(
        chosen["properties"].map(lambda p: p if isinstance(p, dict) else {})
    )
    return chosen.join(properties.drop(columns=[c for c in properties if c in chosen]))


def rows(frame: pd.DataFrame, *names: str) -> set[tuple[Any, ...]]:
    plain = frame[list(names)].astype(object)
    return set(plain.where(plain.notna(), None).itertuples(index=False, name=None))


def expected(report: list[dict[str, Any]], *names: str) -> set[tuple[Any, ...]]:
    found = [tuple(row[name] for name in names) for row in report]
    assert len(set(found)) == len(found) > 0
    return set(found)


def test_the_counts_add_up_and_are_those_of_the_events(
    run: tuple[list[dict[str, Any]], SimulationTruth],
    report: dict[str, Any],
    accepted: pd.DataFrame,
    events: pd.DataFrame,
) -> None:
    counts = report["counts"]
    sent = run[0]
    assert counts["sent"] == len(sent)
    assert counts["accepted"] == len(accepted)
    assert counts["refused"] == len(sent) - len(accepted)
    assert counts["quarantined"] == (accepted["occurred_at"] > NOW).sum()
    assert counts["distinct"] == len(events)
    assert counts["duplicates"] == (accepted["occurred_at"] < NOW).sum() - len(events)
    assert counts["bad"] == counts["refused"] + counts["quarantined"]
    assert counts["users"] == events["user_id"].nunique()
    assert counts["without_session"] == events["session_id"].isna().sum()
    assert report["by_type"] == events["event_type"].value_counts().to_dict()
    assert min(counts.values()) > 0


def test_events_overtaken_by_a_day_are_recounted(
    report: dict[str, Any], events: pd.DataFrame
) -> None:
    at = pd.to_datetime(events.sort_values("number")["occurred_at"])
    overtaken = at.cummax() - at > pd.Timedelta(hours=24)
    assert report["counts"]["overtaken"] == overtaken.sum()


def test_sessions_are_those_of_the_rule(report: dict[str, Any], events: pd.DataFrame) -> None:
    gap = pd.Timedelta(minutes=30)
    frame = events.assign(
        at=pd.to_datetime(events["occurred_at"]), given=events["session_id"].fillna("")
    ).reset_index(drop=True)
    named = frame[frame["given"] != ""]
    spans = named.groupby(["visitor_id", "given"], as_index=False)["at"].agg(["min", "max"])
    loose = frame.loc[frame["given"] == "", ["visitor_id", "event_id", "at"]]
    around = loose.merge(spans, on="visitor_id")
    around = around[around["at"].between(around["min"] - gap, around["max"] + gap)].merge(
        named[["visitor_id", "given", "at"]], on=["visitor_id", "given"], suffixes=("", "_of_named")
    )
    around["is_after"] = around["at_of_named"] > around["at"]
    around["distance"] = (around["at_of_named"] - around["at"]).abs()
    owners = (
        around.sort_values(["is_after", "distance", "given"])
        .drop_duplicates("event_id")
        .set_index("event_id")["given"]
    )
    assert len(owners) > 0
    frame["given"] = frame["given"].where(
        frame["given"] != "", frame["event_id"].map(owners).fillna("")
    )
    pause = frame.groupby(["visitor_id", "given"])["at"].diff()
    starts = pause.isna() | ((pause > gap) & (frame["given"] == ""))
    frame["part"] = starts.where(frame["given"] == "", False)
    frame["part"] = frame.groupby(["visitor_id", "given"])["part"].cumsum()
    grouped = frame.groupby(["visitor_id", "given", "part"], as_index=False).agg(
        started_at=("occurred_at", "first"),
        ended_at=("occurred_at", "last"),
        event_count=("event_id", "size"),
        user_id=("user_id", "first"),
        anonymous_id=("anonymous_id", "last"),
    )
    grouped["client_session_id"] = grouped["given"].replace("", None)
    names = (
        "visitor_id",
        "client_session_id",
        "started_at",
        "ended_at",
        "event_count",
        "user_id",
        "anonymous_id",
    )
    assert rows(grouped, *names) == expected(report["sessions"], *names)
    assert {row["is_given"] for row in report["sessions"]} == {True, False}
    assert len({row["session_id"] for row in report["sessions"]}) == len(report["sessions"])


def test_a_session_has_the_device_it_began_with() -> None:
    iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile/15E148 Safari/604.1"
    robot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    truth = SessionTruth()
    for minute, user_agent, session_id in ((3, robot, "s"), (2, iphone, "s"), (1, None, None)):
        event = {
            "event_id": str(minute),
            "occurred_at": f"2026-01-01T00:0{minute}:00.000000Z",
            "user_id": "ada",
            "session_id": session_id,
        }
        truth.add(event, user_agent)
    (row,) = truth.rows()
    told = {name: row[name] for name in ("event_count", "device", "browser", "os", "is_bot")}
    assert told == {
        "event_count": 3,
        "device": "iPhone",
        "browser": "Mobile Safari",
        "os": "iOS",
        "is_bot": False,
    }


def test_seconds_of_sessions_and_of_plays_add_up_to_the_same(report: dict[str, Any]) -> None:
    of_sessions = sum(row["seconds_watched"] for row in report["sessions"])
    of_plays = sum(row["seconds_watched"] for row in report["plays"])
    assert of_sessions == pytest.approx(of_plays, rel=1e-9)
    assert of_plays > 0


def test_session_ids_tell_their_parts_apart() -> None:
    truth = SessionTruth()
    for number, (user, session_id) in enumerate((("auth0|42", "s1"), ("auth0", "42|s1"))):
        at = "2026-01-01T00:00:00.000000Z"
        truth.add(
            {
                "event_id": str(number),
                "occurred_at": at,
                "user_id": user,
                "session_id": session_id,
            }
        )
    assert len({row["session_id"] for row in truth.rows()}) == 2


def test_the_last_rating_or_removal_counts(report: dict[str, Any], events: pd.DataFrame) -> None:
    last = of_type(events, "rating", "rating_removed").drop_duplicates(
        ["user_id", "movie_id"], keep="last"
    )
    last["is_removed"] = last["event_type"] == "rating_removed"
    last = last.rename(columns={"occurred_at": "rated_at"})
    names = ("user_id", "movie_id", "rating", "is_removed", "event_id", "rated_at")
    assert rows(last, *names) == expected(report["ratings"], *names)
    assert {row["is_removed"] for row in report["ratings"]} == {True, False}


def test_comments_have_their_last_text_their_deletion_and_their_depth(
    report: dict[str, Any], events: pd.DataFrame
) -> None:
    written = of_type(events, "comment").set_index("comment_id")
    texts = of_type(events, "comment", "comment_edit")
    texts = texts[texts["comment_id"].isin(written.index)]
    last = texts.drop_duplicates("comment_id", keep="last").set_index("comment_id")["text"]
    deleted = set(of_type(events, "comment_delete").get("comment_id", ()))

    def depth(comment: str) -> int | None:
        parent = written["parent_comment_id"].get(comment, default=...)
        if parent is ...:
            return None
        above = -1 if pd.isna(parent) else depth(parent)
        return None if above is None else above + 1

    found = {row["comment_id"]: row for row in report["comments"]}
    assert set(found) == set(written.index)
    for comment, row in found.items():
        assert row["text"] == last[comment]
        assert row["is_deleted"] == (comment in deleted)
        assert row["depth"] == depth(comment)
    depths = {row["depth"] for row in report["comments"]} - {None}
    assert depths >= {0, 1}
    assert any(row["is_edited"] for row in report["comments"])


@pytest.mark.parametrize(
    ("name", "types", "key", "value"),
    [
        ("comment_votes", ["comment_vote"], ["user_id", "comment_id"], "vote"),
        ("movie_reactions", ["movie_reaction"], ["user_id", "movie_id"], "reaction"),
        (
            "watchlist",
            ["watchlist_add", "watchlist_remove"],
            ["user_id", "movie_id"],
            "is_listed",
        ),
    ],
)
def test_the_last_word_counts(
    report: dict[str, Any],
    events: pd.DataFrame,
    name: str,
    types: list[str],
    key: list[str],
    value: str,
) -> None:
    last = of_type(events, *types).drop_duplicates(key, keep="last")
    last["is_listed"] = last["event_type"] == "watchlist_add"
    assert rows(last, *key, value) == expected(report[name], *key, value)


def test_plays_have_their_last_position_and_the_seconds_watched(
    report: dict[str, Any], events: pd.DataFrame
) -> None:
    played = of_type(events, "play", "play_progress", "play_complete")
    grouped = played.groupby("play_id").agg(
        movie_id=("movie_id", "first"),
        started_at=("occurred_at", "first"),
        first_position=("position_seconds", "first"),
        last_position_seconds=("position_seconds", "last"),
        is_completed=("event_type", lambda types: "play_complete" in set(types)),
    )
    grouped["seconds_watched"] = (
        grouped["last_position_seconds"] - grouped["first_position"]
    ).fillna(0)
    names = (
        "play_id",
        "movie_id",
        "started_at",
        "last_position_seconds",
        "is_completed",
        "seconds_watched",
    )
    assert rows(grouped.reset_index(), *names) == expected(report["plays"], *names)


def test_who_signed_in_is_known_by_both_ids(report: dict[str, Any], events: pd.DataFrame) -> None:
    both = events.dropna(subset=["user_id", "anonymous_id"])
    names = ("anonymous_id", "user_id")
    assert rows(both, *names) == expected(report["identities"], *names)
