"""The movies that the sandbox serves, and what happens to them: edits, removals, and the log of changes."""

import gzip
import hashlib
import threading
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import orjson

from ingestion.chance import chance_of
from ingestion.tmdb.sandbox import shapes
from ingestion.tmdb.sandbox.shapes import Movie


class Rendered:
    """A movie's answer as bytes, made once and kept until the movie is edited.

    Args:
        content: The JSON.
    """

    def __init__(self, content: Any) -> None:
        self.body = orjson.dumps(content)
        self.zipped = gzip.compress(self.body, 1, mtime=0)
        self.etag = f'W/"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class Catalogue:
    """Movies that change. Threads may share it.

    Args:
        movies: In the shape of `/movie/{id}`.
        seed: The same seed picks the same movies to edit and remove.
    """

    def __init__(self, movies: Iterable[Movie], seed: int = 1) -> None:
        self._movies = {movie["id"]: shapes.whole_movie(movie) for movie in movies}
        self._chance = chance_of("tmdb sandbox edits", seed)
        self._changes: list[tuple[date, int]] = []
        self._rendered: dict[tuple[int, frozenset[str]], Rendered] = {}
        self._discoverable: list[Movie] | None = None
        self._edits = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._movies)

    # --- What TMDB answers ----------------------------------------------------------------------------------

    def movie(self, movie_id: int, append: frozenset[str]) -> Rendered | None:
        """The answer of `/movie/{id}`, None when there is no such movie."""
        with self._lock:
            movie = self._movies.get(movie_id)
            if movie is None:
                return None
            found = self._rendered.get((movie_id, append))
            if found is None:
                found = Rendered(shapes.details(movie, append))
                self._rendered[movie_id, append] = found
            return found

    def genres(self) -> Movie:
        """The answer of `/genre/movie/list`."""
        with self._lock:
            return shapes.genre_list(self._movies.values())

    def changes(self, start: date, end: date) -> list[Movie]:
        """The entries of `/movie/changes`: what was edited or removed on these days, the latest first."""
        with self._lock:
            found = dict.fromkeys(
                movie_id for day, movie_id in reversed(self._changes) if start <= day <= end
            )
            # A removed movie is listed too, of which TMDB no longer knows whether it is for adults.
            return [
                {"id": each, "adult": self._movies[each]["adult"] if each in self._movies else None}
                for each in found
            ]

    def discover(self, released_from: str, released_to: str) -> list[Movie]:
        """The entries of `/discover/movie`, the earliest release first.

        Args:
            released_from: The first day, or nothing for any.
            released_to: The last day, or nothing for any. A movie without a date is in no range of days.
        """
        with self._lock:
            if self._discoverable is None:
                entries = [
                    shapes.summary(movie) for movie in self._movies.values() if not movie["adult"]
                ]
                self._discoverable = sorted(entries, key=lambda e: (e["release_date"], e["id"]))
            if not released_from and not released_to:
                return self._discoverable
            last = released_to or "9999-12-31"
            return [
                each
                for each in self._discoverable
                if each["release_date"] and released_from <= each["release_date"] <= last
            ]

    def export(self) -> bytes:
        """The daily file of ids, gzip."""
        with self._lock:
            lines = [
                orjson.dumps(shapes.export_line(movie))
                for movie in self._movies.values()
                if not movie["adult"]
            ]
        return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)

    # --- What people do to it -------------------------------------------------------------------------------

    def edit(self, count: int, day: date | None = None) -> list[int]:
        """Edit movies by chance.

        Args:
            count: How many.
            day: When TMDB says it was. Default: today, UTC.

        Returns:
            Their ids.
        """
        with self._lock:
            return self.edit_these(self._pick(count), day)

    def edit_these(self, ids: list[int], day: date | None = None) -> list[int]:
        """Edit the named movies; returns those there are."""
        with self._lock:
            known = [movie_id for movie_id in ids if movie_id in self._movies]
            for movie_id in known:
                self._edits += 1
                movie = self._movies[movie_id]
                movie["overview"] = f"{movie['overview']} Edit {self._edits}."
                movie["vote_count"] += 1
            self._changed(known, day)
            return known

    def remove(self, count: int, day: date | None = None) -> list[int]:
        """Remove movies by chance; returns their ids."""
        with self._lock:
            ids = self._pick(count)
            for movie_id in ids:
                del self._movies[movie_id]
            self._changed(ids, day)
            return ids

    def _pick(self, count: int) -> list[int]:
        return self._chance.sample(sorted(self._movies), min(count, len(self._movies)))

    def _changed(self, ids: Iterable[int], day: date | None) -> None:
        moment = day or datetime.now(UTC).date()
        changed = set(ids)
        self._changes += [(moment, movie_id) for movie_id in sorted(changed)]
        self._rendered = {k: v for k, v in self._rendered.items() if k[0] not in changed}
        self._discoverable = None
