"""TMDB 5000 from the file to gold through the real stack, then fifty edited movies and two answers as TMDB gives them.

The figures are counted apart, from the file. A pair is one of ids or codes, each counted once; the names play no part:
the keyword whose name is a no-break space, the 26 languages without a name, the keywords that are one once they are
trimmed and the 29 company names that stand for several ids are all kept, or the counts would be lower.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cinelake.settings import load_settings
from lakehouse import changes
from tests.integration.conftest import CommandLine, command_line

MOVIES = 4_803
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
def catalogue(real_data: Path | None) -> list[dict[str, str]]:
    """The rows of TMDB 5000."""
    if real_data is None:
        pytest.skip("CINELAKE_DATA names no folder with the real data sets")
    csv.field_size_limit(10_000_000)
    with (real_data / "tmdb" / "tmdb_5000_movies.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def home(reachable_folder: Path) -> Path:
    """The home of this file's stack."""
    return reachable_folder / "movies"


@pytest.fixture(scope="module")
def lakehouse(
    home: Path, real_data: Path, catalogue: list[dict[str, str]]
) -> Iterator[CommandLine]:
    """A home of its own with TMDB 5000 in gold."""
    cinelake = command_line(home)
    try:
        cinelake.run("up")
        cinelake.run("catalog", "load", str(real_data / "tmdb" / "tmdb_5000_movies.csv"))
        cinelake.run("refresh")
        yield cinelake
    finally:
        cinelake.run("down")


def versions(home: Path) -> dict[tuple[int, Any], dict[str, Any]]:
    """Rows of `silver.movie_versions` in the lake by their key."""
    settings = load_settings(CINELAKE_HOME=str(home))
    rows = changes.query(settings, "silver.movie_versions", f"select {VERSION} from t").to_pylist()
    return {(row["movie_id"], row["valid_from"]): row for row in rows}


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


def test_fifty_edited_movies_make_fifty_versions_and_touch_no_other_row(
    lakehouse: CommandLine,
    home: Path,
    catalogue: list[dict[str, str]],
    real_data: Path,
    tmp_path: Path,
) -> None:
    before = versions(home)
    raw = [json.loads((real_data / "tmdb" / f"{name}.json").read_text()) for name in RAW]
    spared = {str(movie["id"]) for movie in raw}
    edited = [row for row in catalogue if row["id"] not in spared][:: MOVIES // EDITED][:EDITED]
    _load_edited(lakehouse, edited, tmp_path / "edited.csv")
    answers = tmp_path / "raw.jsonl"
    answers.write_text("\n".join(map(json.dumps, raw)))
    lakehouse.run("catalog", "load", str(answers))
    lakehouse.run("refresh")

    after = {key: row for key, row in versions(home).items() if str(row["movie_id"]) not in spared}
    ids = {int(row["id"]) for row in edited}
    new = {key: row for key, row in after.items() if key not in before}
    assert len(new) == EDITED
    assert {movie_id for movie_id, _ in new} == ids
    assert all(row["title"].endswith(", edited") and row["is_current"] for row in new.values())
    began = dict(new.keys())
    for key, row in before.items():
        if str(row["movie_id"]) not in spared:
            closed = {"valid_to": began[key[0]], "is_current": False} if key[0] in ids else {}
            assert after[key] == row | closed
    changed = "select movie_id from dim_movie where version_number = 2 and is_current"
    found = {int(movie_id) for (movie_id,) in lakehouse.sql(changed)}
    assert found - {movie["id"] for movie in raw} == ids
    assert lakehouse.sql(
        "select count(*) from bridge_movie_keyword b join dim_movie using (movie_key)"
        " where not is_current"
    ) == [["0"]]


def _load_edited(lakehouse: CommandLine, rows: list[dict[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"title": f"{row['title']}, edited"} for row in rows)
    loaded = lakehouse.run("catalog", "load", str(path))
    assert f"{EDITED} changed" in loaded.stdout


@pytest.mark.parametrize("name", RAW)
def test_a_raw_answer_is_in_gold_as_tmdb_gave_it(
    lakehouse: CommandLine, real_data: Path, name: str
) -> None:
    """Runs after the fifty edits, which load it."""
    raw = json.loads((real_data / "tmdb" / f"{name}.json").read_text())
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
