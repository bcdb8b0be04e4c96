"""The product marts say what a plain computation in pandas says of the same behaviour."""

from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from pandas.testing import assert_frame_equal

from pipeline.dbt import run_dbt
from tests.integration.behaviour import GENRES_OF, MOVIES, Behaviour

MINIMUM_VOTES = 25
STEPS = ("movie_view", "play", "play_complete", "rating")


@pytest.fixture
def events(behaviour: Behaviour) -> pd.DataFrame:
    """What people did, without bots, with the day and who was active."""
    frame = pd.DataFrame(behaviour.events)
    frame = frame[frame["is_bot"] != True].copy()  # noqa: E712
    frame["day"] = frame["occurred_at"].dt.tz_convert("UTC").dt.date
    known = frame["resolved_user_id"].notna()
    frame["active"] = ("u:" + frame["resolved_user_id"].fillna("")).where(
        known, frame["visitor_id"]
    )
    return frame


@pytest.fixture
def ratings(behaviour: Behaviour) -> pd.DataFrame:
    return pd.DataFrame(behaviour.ratings)


def mart(behaviour: Behaviour, name: str, key: list[str], columns: list[str]) -> pd.DataFrame:
    query = f"select {', '.join([*key, *columns])} from gold.{name}"
    with psycopg.connect(behaviour.settings.postgres) as connection:
        rows = connection.execute(query.encode()).fetchall()
    return pd.DataFrame(rows, columns=[*key, *columns]).set_index(key).sort_index()


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert len(found) > 0
    expected = expected[list(found.columns)].sort_index()
    assert list(found.index) == list(expected.index)
    assert_frame_equal(
        found.astype(float).reset_index(drop=True),
        expected.astype(float).reset_index(drop=True),
        rtol=1e-12,
    )


def counts(frame: pd.DataFrame, key: list[str], types: dict[str, str]) -> pd.DataFrame:
    groups = frame.groupby(key)
    result = pd.DataFrame(
        {"event_count": groups.size(), "visitor_count": groups["visitor_id"].nunique()}
    )
    for column, event_type in types.items():
        found = frame[frame["event_type"] == event_type].groupby(key).size()
        result[column] = found.reindex(result.index).fillna(0)
    given = frame[frame["event_type"] == "rating"].groupby(key)["rating"].mean()
    result["mean_rating"] = given.reindex(result.index)
    return result


def test_movie_daily(behaviour: Behaviour, events: pd.DataFrame) -> None:
    types = {
        "view_count": "movie_view",
        "play_count": "play",
        "complete_count": "play_complete",
        "rating_count": "rating",
        "comment_count": "comment",
        "reaction_count": "movie_reaction",
        "watchlist_add_count": "watchlist_add",
    }
    about = events[events["movie_id"].notna()].astype({"movie_id": int})
    days = counts(about, ["movie_id", "day"], types)
    plays = pd.DataFrame(behaviour.plays)
    plays["day"] = plays["started_at"].dt.tz_convert("UTC").dt.date
    watched = plays.groupby(["movie_id", "day"])["seconds_watched"].agg(["size", "sum"])
    days = days.join(
        watched.rename(columns={"size": "watch_count", "sum": "seconds_watched"}), how="outer"
    )
    zero = [name for name in days.columns if name != "mean_rating"]
    days[zero] = days[zero].fillna(0)
    days.index.names = ["movie_id", "date_day"]
    assert_same(mart(behaviour, "movie_daily", ["movie_id", "date_day"], list(days.columns)), days)


def test_movie_popularity(
    behaviour: Behaviour, events: pd.DataFrame, ratings: pd.DataFrame
) -> None:
    movies = pd.DataFrame(index=pd.Index(MOVIES, name="movie_id"))
    of_movie = ratings.groupby("movie_id")["rating"]
    movies["rating_count"] = of_movie.size().reindex(movies.index).fillna(0)
    movies["mean_rating"] = of_movie.mean().reindex(movies.index)
    mean_of_all = ratings["rating"].mean()
    weight = movies["rating_count"] / (movies["rating_count"] + MINIMUM_VOTES)
    movies["weighted_rating"] = (
        weight * movies["mean_rating"].fillna(0) + (1 - weight) * mean_of_all
    )
    for column, event_type in (("play_count", "play"), ("complete_count", "play_complete")):
        found = events[events["event_type"] == event_type].groupby("movie_id").size()
        movies[column] = found.reindex(movies.index).fillna(0)
    ranked = movies.reset_index()
    ranked["rounded"] = ranked["weighted_rating"].round(9)
    order = ranked.sort_values(
        ["rounded", "rating_count", "movie_id"], ascending=[False, False, True]
    )
    movies["popularity_rank"] = pd.Series(
        range(1, len(order) + 1), index=pd.Index(order["movie_id"])
    )
    assert_same(mart(behaviour, "movie_popularity", ["movie_id"], list(movies.columns)), movies)


def test_user_activity(behaviour: Behaviour, events: pd.DataFrame) -> None:
    days = pd.date_range(events["day"].min(), events["day"].max()).date
    rows = []
    for day in days:
        row: dict[str, Any] = {"date_day": day}
        for name, length in (("dau", 1), ("wau", 7), ("mau", 30)):
            first = day - pd.Timedelta(days=length - 1)
            in_window = events[(events["day"] >= first) & (events["day"] <= day)]
            row[name] = in_window["active"].nunique()
        row["stickiness"] = row["dau"] / row["mau"] if row["mau"] else np.nan
        rows.append(row)
    expected = pd.DataFrame(rows).set_index("date_day")
    assert_same(
        mart(behaviour, "user_activity", ["date_day"], list(expected.columns)),
        expected,
    )


def test_user_retention(behaviour: Behaviour, events: pd.DataFrame) -> None:
    week = pd.to_datetime(events["day"]).map(lambda day: day - pd.Timedelta(days=day.weekday()))
    weeks_of = week.groupby(events["active"]).agg(set)
    rows = []
    for cohort in sorted({min(weeks) for weeks in weeks_of}):
        users = [weeks for weeks in weeks_of if min(weeks) == cohort]
        for number in range((week.max() - cohort).days // 7 + 1):
            active = sum(cohort + pd.Timedelta(weeks=number) in weeks for weeks in users)
            if active or number <= 12:
                rows.append((cohort.date(), number, len(users), active, active / len(users)))
    columns = ["cohort_size", "active_user_count", "retention_share"]
    expected = pd.DataFrame(rows, columns=["cohort_week", "week_number", *columns])
    key = ["cohort_week", "week_number"]
    assert_same(mart(behaviour, "user_retention", key, columns), expected.set_index(key))


def test_session_funnel(behaviour: Behaviour, events: pd.DataFrame) -> None:
    rows = []
    for _, session in events.sort_values("occurred_at").groupby("session_id"):
        reached = 0
        for _, movie in session.groupby("movie_id"):
            step = 0
            for event_type in movie["event_type"]:
                if step < len(STEPS) and event_type == STEPS[step]:
                    step += 1
            reached = max(reached, step)
        devices = session["device"].dropna()
        device = devices.iloc[0] if len(devices) else "Unknown"
        rows.append((session["day"].iloc[0], device, *(reached > step for step in range(4))))
    names = ["view", "play", "complete", "rating"]
    frame = pd.DataFrame(rows, columns=["date_day", "device", *names])
    groups = frame.groupby(["date_day", "device"])
    expected = groups[names].sum().add_suffix("_session_count")
    expected["session_count"] = groups.size()
    before = ["session_count", *(f"{name}_session_count" for name in names)]
    for name, whole in zip(names, before, strict=False):
        expected[f"{name}_share"] = expected[f"{name}_session_count"] / expected[whole].replace(
            0, np.nan
        )
    key = ["date_day", "device"]
    assert expected["rating_session_count"].sum() > 0
    assert_same(mart(behaviour, "session_funnel", key, list(expected.columns)), expected)


def test_genre_trends(behaviour: Behaviour, events: pd.DataFrame) -> None:
    genres = pd.DataFrame(
        [(movie, f"Genre {genre}") for movie, listed in GENRES_OF.items() for genre in listed],
        columns=["movie_id", "genre"],
    )
    about = events.merge(genres, on="movie_id")
    about["month_start"] = about["day"].map(lambda day: day.replace(day=1))
    months = counts(
        about, ["genre", "month_start"], {"play_count": "play", "rating_count": "rating"}
    )
    whole = months["play_count"].groupby("month_start").transform("sum")
    months["play_share"] = months["play_count"] / whole
    earlier = months["play_count"].rename("previous_play_count").reset_index()
    earlier["month_start"] = earlier["month_start"].map(
        lambda month: (pd.Timestamp(month) + pd.DateOffset(months=1)).date()
    )
    months = months.join(earlier.set_index(["genre", "month_start"]))
    months["play_change"] = (months["play_count"] - months["previous_play_count"]) / months[
        "previous_play_count"
    ].replace(0, np.nan)
    key = ["genre", "month_start"]
    assert_same(mart(behaviour, "genre_trends", key, list(months.columns)), months)


def test_a_sandbox_leaves_gold_and_the_views_that_it_reads_alone(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def relations(*schemas: str) -> dict[str, int]:
        return {
            f"{schema}.{name}": oid
            for schema, name, oid in connection.execute(
                "select relnamespace::regnamespace::text, relname, oid from pg_class"
                " where relkind = any('{r,v}') and relnamespace::regnamespace::text = any(%s)",
                [list(schemas)],
            )
        }

    monkeypatch.setenv("USER", "ada")
    with psycopg.connect(behaviour.settings.postgres, autocommit=True) as connection:
        before = relations("gold", "gold_next", "staging")
        for command in (
            ["run", "--select", "+dim_genre"],
            ["test", "--select", "dim_genre", "--indirect-selection", "cautious"],
        ):
            done = run_dbt(behaviour.settings, command, target="sandbox")
            assert done.success, done.failed
        assert relations("gold", "gold_next", "staging") == before
        assert set(relations("sandbox_ada")) == {"sandbox_ada.stg_genres", "sandbox_ada.dim_genre"}
        readable = connection.execute(
            "select has_schema_privilege('analyst', 'sandbox_ada', 'usage')"
        ).fetchone()
        assert readable == (False,)
