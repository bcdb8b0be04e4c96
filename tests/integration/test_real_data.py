"""TMDB 5000 and MovieLens from files to gold, through every real component; figures computed apart with pandas."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import CommandLine, command_line

MOVIES = 4_803
OFFERED = 100_836
ACCEPTED = 100_823
REFUSED = 13


@pytest.fixture(scope="module")
def lakehouse(reachable_folder: Path, real_data: Path | None) -> Iterator[CommandLine]:
    """A home of its own in which `cinelake demo --data` ran once."""
    if real_data is None:
        pytest.skip("CINELAKE_DATA names no folder with the real data sets")
    cinelake = command_line(reachable_folder / "real")
    try:
        cinelake.run("demo", "--data", str(real_data))
        yield cinelake
    finally:
        cinelake.run("down")


@pytest.fixture(scope="module")
def ratings(real_data: Path) -> pd.DataFrame:
    """MovieLens ratings that can be events, straight from the files."""
    folder = real_data / "ml-latest-small"
    links = pd.read_csv(folder / "links.csv").dropna(subset=["tmdbId"])
    return pd.read_csv(folder / "ratings.csv").merge(links, on="movieId")


def test_every_hop_holds_every_accepted_rating(lakehouse: CommandLine) -> None:
    ledger = lakehouse.status()["ledger"]
    hops = {name: ledger[name] for name in ("accepted", "bronze", "silver", "published", "facts")}
    assert hops == dict.fromkeys(hops, ACCEPTED)
    assert (ledger["duplicates"], ledger["quarantined"]) == (0, 0)
    assert ledger["balanced"] is True


def test_the_later_of_two_ratings_of_one_movie_counts(lakehouse: CommandLine) -> None:
    assert lakehouse.sql("select count(*) from ratings") == [[str(ACCEPTED - 1)]]
    twice = "select count(*) from fact_user_event where movie_id = 4912 group by user_id having count(*) = 2"
    assert lakehouse.sql(twice) == [["2"]]


def test_the_catalogue_is_whole_and_has_an_unknown_member(lakehouse: CommandLine) -> None:
    known = "select count(*) filter (where movie_key <> -1), count(*) filter (where movie_key = -1)"
    assert lakehouse.sql(f"{known} from dim_movie") == [[str(MOVIES), "1"]]
    assert lakehouse.sql("select count(*) from bridge_movie_genre") == [["12160"]]
    assert lakehouse.sql("select count(*) from dim_genre where genre_key <> -1") == [["20"]]


def test_no_rating_of_an_unknown_movie_is_lost(lakehouse: CommandLine) -> None:
    split = (
        "select count(*) filter (where movie_key <> -1), count(*) filter (where movie_key = -1)"
        " from fact_user_event"
    )
    assert lakehouse.sql(split) == [["70194", "30629"]]


@pytest.mark.parametrize(
    ("title", "count", "mean"), [("Forrest Gump", "329", "8.328"), ("The Matrix", "278", "8.385")]
)
def test_well_known_movies_have_their_ratings(
    lakehouse: CommandLine, title: str, count: str, mean: str
) -> None:
    query = (
        "select count(*), round(avg(rating)::numeric, 3) from ratings join dim_movie using (movie_key)"
        f" where title = '{title}'"
    )
    assert lakehouse.sql(query) == [[count, mean]]


def test_sessions_are_cut_by_thirty_minutes_of_inactivity(
    lakehouse: CommandLine, ratings: pd.DataFrame
) -> None:
    in_order = ratings.sort_values(["userId", "timestamp"])
    pause = in_order.groupby("userId")["timestamp"].diff()
    expected = int((pause.isna() | (pause > 30 * 60)).sum())
    counted = "select count(*) from dim_session where session_key <> -1"
    assert lakehouse.sql(counted) == [[str(expected)]]
    per_session = (
        "select count(*) from (select session_key from fact_user_event group by session_key) s"
    )
    assert lakehouse.sql(per_session) == [[str(expected)]]


def test_each_movie_has_the_mean_that_pandas_computes(
    lakehouse: CommandLine, ratings: pd.DataFrame
) -> None:
    latest = ratings.sort_values("timestamp").drop_duplicates(["userId", "tmdbId"], keep="last")
    expected = (latest.groupby("tmdbId")["rating"].sum() * 2).round(6).to_dict()
    rows = lakehouse.sql("select movie_id, sum(rating) from ratings group by movie_id")
    assert {int(movie): round(float(total), 6) for movie, total in rows} == {
        int(movie): total for movie, total in expected.items()
    }


def test_a_second_replay_adds_nothing_but_evidence(lakehouse: CommandLine, real_data: Path) -> None:
    """Runs last in this file: bronze grows, and every repeated message stands in the ledger."""
    state = (
        "select (select count(*) from ratings), (select count(*) from dim_session),"
        " (select md5(string_agg(f::text, '' order by event_id)) from fact_user_event f)"
    )
    before = lakehouse.sql(state)
    replayed = lakehouse.run("replay", "movielens", str(real_data / "ml-latest-small"))
    assert f"{OFFERED:,} offered = {ACCEPTED:,} accepted + {REFUSED} refused" in replayed.stdout
    loaded = lakehouse.run("catalog", "load", str(real_data / "tmdb" / "tmdb_5000_movies.csv"))
    assert f"{MOVIES:,} unchanged; 0 published" in loaded.stdout
    lakehouse.run("refresh")
    assert lakehouse.sql(state) == before
    ledger = lakehouse.status()["ledger"]
    assert ledger["bronze"] == 2 * ACCEPTED
    assert ledger["duplicates"] == ACCEPTED
    assert (ledger["silver"], ledger["published"], ledger["facts"]) == (ACCEPTED,) * 3
    assert ledger["balanced"] is True
