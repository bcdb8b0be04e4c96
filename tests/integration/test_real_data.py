"""TMDB 5000 and MovieLens from files to gold, through every real component; figures computed apart with pandas.

Then both again, beside fifty edited movies and two answers as TMDB gives them.

A pair of the catalogue is one of ids or codes, each counted once; the names play no part: the keyword whose name is a
no-break space, the 26 languages without a name, the keywords that are one once they are trimmed and the 29 company names
that stand for several ids are all kept, or the counts would be lower.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from cinelake.settings import load_settings
from lakehouse import changes
from tests.integration.conftest import CommandLine, own_home

CODEGEN = "spark.sql.codegen.factoryMode"
MOVIES = 4_803
OFFERED = 100_836
ACCEPTED = 100_823
REFUSED = 13
EDITED = 50
LISTS = {
    "company": ("production_companies", "id", 5_047, 13_677),
    "country": ("production_countries", "iso_3166_1", 88, 6_436),
    "language": ("spoken_languages", "iso_639_1", 87, 6_937),
    "keyword": ("keywords", "id", 9_813, 36_194),
    "genre": ("genres", "id", 20, 12_160),
}
RAW = ["movie-details-append-response", "movie-blank-homepage-release-date"]
VERSION = "movie_id, valid_from, valid_to, is_current, title, status, popularity_bucket, genre_ids"


@pytest.fixture(scope="module")
def home(reachable_folder: Path) -> Path:
    """The home of this file's stack."""
    return reachable_folder / "real"


@pytest.fixture(scope="module")
def lakehouse(home: Path, real_files: Path, spark: SparkSession) -> Iterator[CommandLine]:
    """A home of its own in which `cinelake demo --data` ran once."""
    # Code is written for so many rows, which pays: 188 s in place of 244.
    spark.conf.set(CODEGEN, "FALLBACK")
    with own_home(home) as cinelake:
        cinelake.here("demo", "--data", str(real_files))
        yield cinelake
    spark.conf.unset(CODEGEN)


@pytest.fixture(scope="module")
def catalogue(real_files: Path) -> list[dict[str, str]]:
    """The rows of TMDB 5000."""
    csv.field_size_limit(10_000_000)
    with (real_files / "tmdb" / "tmdb_5000_movies.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def ratings(real_files: Path) -> pd.DataFrame:
    """MovieLens ratings that can be events, straight from the files."""
    folder = real_files / "ml-latest-small"
    links = pd.read_csv(folder / "links.csv").dropna(subset=["tmdbId"])
    return pd.read_csv(folder / "ratings.csv").merge(links, on="movieId")


def versions(home: Path) -> dict[tuple[int, Any], dict[str, Any]]:
    """Rows of `silver.movie_versions` in the lake by their key."""
    settings = load_settings(CINELAKE_HOME=str(home))
    rows = changes.query(settings, "silver.movie_versions", f"select {VERSION} from t").to_pylist()
    return {(row["movie_id"], row["valid_from"]): row for row in rows}


def test_every_hop_holds_every_accepted_rating(lakehouse: CommandLine) -> None:
    ledger = lakehouse.status()["ledger"]
    hops = {name: ledger[name] for name in ("accepted", "bronze", "silver", "published", "facts")}
    assert hops == dict.fromkeys(hops, ACCEPTED)
    assert (ledger["duplicates"], ledger["quarantined"]) == (0, 0)
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})


def test_the_later_of_two_ratings_of_one_movie_counts(lakehouse: CommandLine) -> None:
    assert lakehouse.sql("select count(*) from ratings") == [[str(ACCEPTED - 1)]]
    twice = "select count(*) from fact_user_event where movie_id = 4912 group by user_id having count(*) = 2"
    assert lakehouse.sql(twice) == [["2"]]


def test_the_catalogue_is_whole_and_has_an_unknown_member(lakehouse: CommandLine) -> None:
    known = "select count(*) filter (where movie_key <> -1), count(*) filter (where movie_key = -1)"
    assert lakehouse.sql(f"{known} from dim_movie") == [[str(MOVIES), "1"]]


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


@pytest.mark.parametrize("name", LISTS)
def test_each_list_of_the_catalogue_is_whole(
    lakehouse: CommandLine, catalogue: list[dict[str, str]], name: str
) -> None:
    column, key, members, pairs = LISTS[name]
    counted = {(row["id"], item[key]) for row in catalogue for item in json.loads(row[column])}
    assert (len({member for _, member in counted}), len(counted)) == (members, pairs)
    found = lakehouse.sql(
        f"select (select count(*) from dim_{name} where {name}_key <> -1),"
        f" (select count(*) from bridge_movie_{name})"
    )
    assert found == [[str(members), str(pairs)]]


def test_dirt_is_flagged_and_kept(lakehouse: CommandLine, catalogue: list[dict[str, str]]) -> None:
    companies = {
        (company["id"], company["name"])
        for row in catalogue
        for company in json.loads(row["production_companies"])
    }
    names = Counter(name for _, name in companies)
    shared = sum(count for count in names.values() if count > 1)
    assert lakehouse.sql(
        "select (select count(*) from dim_company where name_is_shared),"
        " (select string_agg(country_code, ',') from dim_country where not is_iso and country_key <> -1),"
        " (select string_agg(language_code, ',' order by language_code) from dim_language"
        "  where not is_iso and language_key <> -1),"
        " (select count(*) from dim_language where native_name is null and language_key <> -1),"
        " (select name from dim_keyword where keyword_id = 13091)"
    ) == [[str(shared), "CS", "cn,xx", "26", "Unknown"]]
    unknown = {
        "budget_usd": sum(row["budget"] == "0" for row in catalogue),
        "revenue_usd": sum(row["revenue"] == "0" for row in catalogue),
        "runtime_minutes": sum(row["runtime"] in ("", "0", "0.0") for row in catalogue),
        "release_date": sum(not row["release_date"] for row in catalogue),
    }
    assert unknown == {
        "budget_usd": 1_037,
        "revenue_usd": 1_427,
        "runtime_minutes": 37,
        "release_date": 1,
    }
    nulls = ", ".join(f"count(*) filter (where {name} is null)" for name in unknown)
    assert lakehouse.sql(f"select {nulls} from dim_movie where movie_key <> -1") == [
        [str(count) for count in unknown.values()]
    ]


def test_each_movie_has_one_version_at_first(lakehouse: CommandLine) -> None:
    counted = (
        "select count(*), count(*) filter (where is_current), max(version_number) from dim_movie"
    )
    assert lakehouse.sql(counted) == [[str(MOVIES + 1), str(MOVIES + 1), "1"]]


def state_query(answered: set[int]) -> str:
    """Ratings and sessions in gold, and digests of all events.

    Of movies that say something new of themselves, such as another runtime, the events get another lake version.
    """
    movies = ", ".join(map(str, answered))
    return (
        "select (select count(*) from ratings), (select count(*) from dim_session),"
        " md5(string_agg((to_jsonb(f) - 'lake_version')::text, '' order by event_id)),"
        f" md5(string_agg(f::text, '' order by event_id) filter (where movie_id not in ({movies})))"
        " from fact_user_event f"
    )


@dataclass(frozen=True)
class Again:
    """All files sent a second time, beside what had changed since; and what was there before.

    Args:
        state: The answer to `state_query`.
        versions: Rows of `versions`.
        replayed: What the replay printed.
        loaded: What loading the same catalogue printed.
        edited: Ids of the edited movies.
        answered: Ids of the movies that came as TMDB gives them.
    """

    state: list[list[str]]
    versions: dict[tuple[int, Any], dict[str, Any]]
    replayed: str
    loaded: str
    edited: set[int]
    answered: set[int]


@pytest.fixture(scope="module")
def again(
    lakehouse: CommandLine,
    home: Path,
    catalogue: list[dict[str, str]],
    real_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Again:
    """Everything once more, then a refresh; tests that look at the first state come before those that ask for this."""
    raw = [json.loads((real_files / "tmdb" / f"{name}.json").read_text()) for name in RAW]
    answered = {movie["id"] for movie in raw}
    state, before = lakehouse.sql(state_query(answered)), versions(home)
    replayed = lakehouse.here("replay", "movielens", str(real_files / "ml-latest-small"))
    loaded = lakehouse.here("catalog", "load", str(real_files / "tmdb" / "tmdb_5000_movies.csv"))
    folder = tmp_path_factory.mktemp("edited")
    spared = [row for row in catalogue if int(row["id"]) not in answered]
    edited = spared[:: MOVIES // EDITED][:EDITED]
    _load_edited(lakehouse, edited, folder / "edited.csv")
    answers = folder / "raw.jsonl"
    answers.write_text("\n".join(map(json.dumps, raw)))
    lakehouse.here("catalog", "load", str(answers))
    lakehouse.here("refresh")
    ids = {int(row["id"]) for row in edited}
    return Again(state, before, replayed.stdout, loaded.stdout, ids, answered)


def _load_edited(lakehouse: CommandLine, rows: list[dict[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"title": f"{row['title']}, edited"} for row in rows)
    loaded = lakehouse.here("catalog", "load", str(path))
    assert f"{EDITED} changed" in loaded.stdout


def test_a_second_replay_adds_nothing_but_evidence(lakehouse: CommandLine, again: Again) -> None:
    """Bronze grows, and every repeated message stands in the ledger."""
    assert f"{OFFERED:,} offered = {ACCEPTED:,} accepted + {REFUSED} refused" in again.replayed
    assert f"{MOVIES:,} unchanged; 0 published" in again.loaded
    assert lakehouse.sql(state_query(again.answered)) == again.state
    ledger = lakehouse.status()["ledger"]
    assert ledger["bronze"] == 2 * ACCEPTED
    assert ledger["duplicates"] == ACCEPTED
    assert (ledger["silver"], ledger["published"], ledger["facts"]) == (ACCEPTED,) * 3
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})


def test_fifty_edited_movies_make_fifty_versions_and_touch_no_other_row(
    lakehouse: CommandLine, home: Path, again: Again
) -> None:
    before, ids = again.versions, again.edited
    after = {
        key: row for key, row in versions(home).items() if row["movie_id"] not in again.answered
    }
    new = {key: row for key, row in after.items() if key not in before}
    assert len(new) == EDITED
    assert {movie_id for movie_id, _ in new} == ids
    assert all(row["title"].endswith(", edited") and row["is_current"] for row in new.values())
    began = dict(new.keys())
    for key, row in before.items():
        if row["movie_id"] not in again.answered:
            closed = {"valid_to": began[key[0]], "is_current": False} if key[0] in ids else {}
            assert after[key] == row | closed
    changed = "select movie_id from dim_movie where version_number = 2 and is_current"
    found = {int(movie_id) for (movie_id,) in lakehouse.sql(changed)}
    assert found - again.answered == ids
    assert lakehouse.sql(
        "select count(*) from bridge_movie_keyword b join dim_movie using (movie_key)"
        " where not is_current"
    ) == [["0"]]


@pytest.mark.parametrize("name", RAW)
@pytest.mark.usefixtures("again")
def test_a_raw_answer_is_in_gold_as_tmdb_gave_it(
    lakehouse: CommandLine, real_files: Path, name: str
) -> None:
    raw = json.loads((real_files / "tmdb" / f"{name}.json").read_text())
    movie = raw["id"]
    found = lakehouse.sql(
        "select title, coalesce(release_date::text, ''), coalesce(homepage, ''), runtime_minutes,"
        f" overview, tagline from dim_movie where movie_id = {movie} and is_current"
    )
    expected = [raw["title"], raw["release_date"], raw["homepage"] or "", str(raw["runtime"])]
    assert found == [[*expected, raw["overview"], raw["tagline"]]]

    def pairs(bridge: str, member: str) -> list[str]:
        query = f"select {member} from bridge_movie_{bridge} where movie_id = {movie} order by 1"
        return [row[0] for row in lakehouse.sql(query)]

    companies = sorted(company["id"] for company in raw["production_companies"])
    assert pairs("company", "company_id") == [str(number) for number in companies]
    assert pairs("country", "country_code") == [
        country["iso_3166_1"] for country in raw["production_countries"]
    ]
    credits = raw.get("credits", {"cast": [], "crew": []})
    assert pairs("cast", "credit_id") == [credit["credit_id"] for credit in credits["cast"]]
    assert pairs("crew", "credit_id") == [credit["credit_id"] for credit in credits["crew"]]
    if "keywords" in raw:
        keywords = sorted(keyword["id"] for keyword in raw["keywords"]["keywords"])
        assert pairs("keyword", "keyword_id") == [str(number) for number in keywords]
