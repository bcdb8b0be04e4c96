from pathlib import Path

from ingestion.generated_catalog import generate_catalog, generated_movies
from ingestion.simulate import movie_from
from ingestion.tmdb.catalog import read_movies


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("a.jsonl", "b.jsonl", "c.jsonl"))
    assert generate_catalog(first) == generate_catalog(second) == 200
    generate_catalog(other, seed=1)
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()


def test_the_file_is_a_catalogue_that_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "movies.jsonl"
    generate_catalog(path, movies=50)
    movies = list(read_movies(path))
    assert movies == list(generated_movies(50))
    assert len({movie["id"] for movie in movies}) == 50


def test_it_has_the_dirt_of_the_real_one() -> None:
    movies = list(generated_movies())
    assert any(movie["release_date"] == "" for movie in movies)
    assert any(movie["budget"] == 0 for movie in movies)
    assert any(movie["runtime"] == 0 for movie in movies)
    assert any(not movie["original_title"].isascii() for movie in movies)
    assert len({movie["title"] for movie in movies}) < len(movies)
    companies = {(c["name"], c["id"]) for movie in movies for c in movie["production_companies"]}
    assert len({name for name, _ in companies}) < len(companies)


def test_an_unknown_runtime_does_not_make_a_movie_endless() -> None:
    assert movie_from({"id": 1, "runtime": 0, "genres": None}).minutes == 95
