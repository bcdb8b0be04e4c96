"""The sandbox behaves like TMDB where the client could tell, and the same way each time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import requests
from conftest import MakeSandbox

from cinelake.settings import PROJECT_ROOT
from ingestion.generated_catalog import FIRST_ID, generate_catalog, generated_movies
from ingestion.tmdb.catalog import read_movies
from ingestion.tmdb.sandbox import shapes
from ingestion.tmdb.sandbox.catalogue import Catalogue
from ingestion.tmdb.sandbox.faults import FaultRates, Faults
from ingestion.tmdb.sandbox.limiter import Limiter
from ingestion.tmdb.sandbox.server import KEY, Mood

CINELAKE = str(Path(sys.executable).with_name("cinelake"))


def test_the_limiter_counts_what_comes_within_any_second() -> None:
    now = iter([0.0, 0.5, 0.9, 1.0, 1.2, 3.0])
    limiter = Limiter(2, lambda: next(now))
    assert [limiter.admit() for _ in range(6)] == [True, True, False, False, False, True]
    assert (limiter.total, limiter.peak, limiter.over) == (6, 4, 3)


def test_too_many_requests_are_refused_as_tmdb_does(make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(mood=Mood(ceiling=5))
    replies = [
        requests.get(f"{sandbox.address}/3/configuration?api_key={KEY}", timeout=5)
        for _ in range(8)
    ]
    assert [reply.status_code for reply in replies] == [200] * 5 + [429] * 3
    assert replies[-1].json() == {
        "success": False,
        "status_code": 25,
        "status_message": shapes.MESSAGES[25][1],
    }
    assert replies[-1].headers["Retry-After"] == "1"


def test_the_same_seed_draws_the_same_faults_at_the_given_rates() -> None:
    rates = FaultRates(0.05, 0.02, 0.0, 0.01, 0.03)
    drawn = [
        [faults.draw() for _ in range(20_000)] for faults in (Faults(rates, 1), Faults(rates, 1))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != [Faults(rates, 2).draw() for _ in range(20_000)]
    shares = {
        kind: drawn[0].count(kind) / 20_000 for kind in ("too_many", "server_error", "truncated")
    }
    assert shares == pytest.approx(
        {"too_many": 0.05, "server_error": 0.02, "truncated": 0.01}, abs=0.005
    )
    assert "slow" not in drawn[0]


@pytest.mark.parametrize("rates", [{"slow": -0.1}, {"slow": 0.6, "truncated": 0.6}])
def test_impossible_rates_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rate"):
        FaultRates(**rates)


def test_the_same_seed_edits_the_same_movies() -> None:
    first, second = (Catalogue(generated_movies(50), seed=4) for _ in range(2))
    assert first.edit(5) == second.edit(5)
    assert first.remove(2) == second.remove(2)


def test_discover_gives_twenty_a_page(make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(45)
    sizes = []
    for page in (1, 2, 3, 4):
        url = f"{sandbox.address}/3/discover/movie?api_key={KEY}&page={page}"
        answer = requests.get(url, timeout=5).json()
        assert (answer["page"], answer["total_pages"], answer["total_results"]) == (page, 3, 45)
        sizes.append(len(answer["results"]))
    assert sizes == [20, 20, 5, 0]


@pytest.mark.parametrize(
    ("file", "ask"),
    [
        ("movie.json", "/3/movie/{id}"),
        ("api-configuration.json", "/3/configuration"),
        ("changed-id-collection.json", "/3/movie/changes"),
    ],
)
def test_the_sandbox_answers_with_tmdbs_own_fields(
    make_sandbox: MakeSandbox, real_files: Path, file: str, ask: str
) -> None:
    sandbox = make_sandbox()
    sandbox.catalogue.edit(3)
    url = f"{sandbox.address}{ask.format(id=FIRST_ID)}"
    answer = requests.get(url, {"api_key": KEY}, timeout=5).json()
    tmdbs = orjson.loads((real_files / "tmdb" / file).read_bytes())
    # Recorded before TMDB told the country of origin in every answer; and the catalogue appends nothing unasked.
    assert set(tmdbs) <= set(answer) <= set(tmdbs) | {"origin_country"}


def test_the_sandbox_refuses_with_tmdbs_own_bodies(real_files: Path) -> None:
    for name in ("401", "422", "response"):
        tmdbs = orjson.loads((real_files / "tmdb" / f"error-status-{name}.json").read_bytes())
        assert shapes.error(tmdbs["status_code"])[1] == tmdbs


def test_every_movie_of_the_5000_is_served_whole(real_files: Path) -> None:
    movies = list(read_movies(real_files / "tmdb" / "tmdb_5000_movies.csv"))
    catalogue = Catalogue(movies)
    assert len(catalogue) == 4803
    for movie in movies:
        rendered = catalogue.movie(movie["id"], frozenset({"keywords"}))
        assert rendered is not None
        answer = orjson.loads(rendered.body)
        assert {name: answer[name] for name in movie if movie[name] is not None} == {
            name: value for name, value in movie.items() if value is not None
        }


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, serving a file of five movies."""
    generate_catalog(tmp_path / "movies.jsonl", 5)
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "COLUMNS": "200"}
    process = subprocess.Popen(
        [
            *(CINELAKE, "tmdb", "sandbox", "--catalog", str(tmp_path / "movies.jsonl")),
            *("--edit-every", "0.1", "--edit-movies", "2"),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_the_command_serves_a_file_edits_it_and_ends_on_sigterm(
    started: subprocess.Popen[str],
) -> None:
    assert started.stdout
    printed = dict(started.stdout.readline().strip().split("=", 1) for _ in range(2))
    base, key = printed["TMDB_BASE_URL"], printed["TMDB_API_KEY"]
    assert base.startswith("http://127.0.0.1:")
    assert (
        len(requests.get(f"{base}/discover/movie", {"api_key": key}, timeout=5).json()["results"])
        == 5
    )
    for _ in range(100):
        changes = requests.get(f"{base}/movie/changes", {"api_key": key}, timeout=5).json()
        if changes["results"]:
            break
        # Below the sandbox's ceiling of 40 a second.
        time.sleep(0.05)
    assert changes["results"], "nothing was edited on schedule"
    started.send_signal(signal.SIGTERM)
    assert started.wait(10) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync"],
        ["sync", "--full", "--changes"],
        ["sync", "--ids", "550,x"],
        ["sync", "--ids", ","],
        ["sync", "--full", "--source", "hearsay"],
        ["sync", "--full"],
        ["publish", "--all", "--since", "2026-01-01"],
        ["sandbox", "--too-many", "0.7", "--slow", "0.7"],
    ],
)
def test_a_wrong_argument_or_no_key_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TMDB_API_KEY"}
    done = subprocess.run(
        [CINELAKE, "tmdb", *arguments],
        env=environment | {"PYTHONPATH": str(PROJECT_ROOT), "CINELAKE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
