"""A stand-in for TMDB, as a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import requests

from cinelake.settings import PROJECT_ROOT
from ingestion.raw_store import content_hash
from ingestion.tmdb.catalog import read_movies
from ingestion.tmdb.endpoints import APPENDED
from ingestion.tmdb.sandbox.catalogue import Catalogue
from ingestion.tmdb.sandbox.server import KEY
from tests.integration.conftest import command_line

PER_SECOND = 400


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox in a process of its own.

    Args:
        address: Scheme, host and port.
        catalog: The file it serves.
    """

    address: str
    catalog: Path

    @property
    def environment(self) -> dict[str, str]:
        """What points a command at it."""
        return {
            "TMDB_BASE_URL": f"{self.address}/3",
            "TMDB_API_KEY": KEY,
            "CINELAKE_TMDB_REQUESTS_PER_SECOND": str(PER_SECOND),
        }

    def stats(self) -> dict[str, Any]:
        """What it was asked for, as it counts itself."""
        answer: dict[str, Any] = requests.get(f"{self.address}/sandbox/stats", timeout=10).json()
        return answer

    def change(self, what: str, count: int, day: date | None = None) -> set[int]:
        """Change so many of its movies; their ids."""
        params = {"count": str(count)} | ({"day": day.isoformat()} if day else {})
        answer = requests.post(f"{self.address}/sandbox/{what}", params=params, timeout=10)
        return set(answer.json()["ids"])

    def expected(self) -> dict[int, str]:
        """The hash of each movie's answer, made from the file without the client and the store."""
        movies = list(read_movies(self.catalog))
        catalogue = Catalogue(movies)
        answers = {m["id"]: catalogue.movie(m["id"], frozenset(APPENDED)) for m in movies}
        return {key: content_hash(orjson.loads(a.body)) for key, a in answers.items() if a}


@contextmanager
def sandbox_process(catalog: Path, *options: str) -> Iterator[RunningSandbox]:
    """A sandbox that serves a file of movies, until the block ends."""
    command = [str(Path(sys.executable).with_name("cinelake")), "tmdb", "sandbox"]
    process = subprocess.Popen(
        [*command, "--catalog", str(catalog), "--ceiling", str(PER_SECOND), *options],
        env=command_line(catalog.parent).environment | {"PYTHONPATH": str(PROJECT_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        base = process.stdout.readline().strip().partition("=")[2]
        yield RunningSandbox(base.removesuffix("/3"), catalog)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
