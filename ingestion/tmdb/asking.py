"""Many movies at a time: a few threads ask, and no more is under way than a kill may cost."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from ingestion.tmdb.client import Answer
from ingestion.tmdb.endpoints import Movie, Tmdb
from ingestion.tmdb.errors import InvalidKeyError, TmdbError

WORKERS = 16
"""Threads; TMDB takes 20 connections from one address."""
UNDER_WAY = 18
"""Movies that are asked for or answered but not yet stored: a kill makes the next run ask for them again. With the
two requests that a run begins with they make one page of 20."""


class Asked(NamedTuple):
    """What became of one movie.

    Args:
        movie_id: TMDB's id.
        answer: TMDB's answer; None when there is none, for the reason in `error`.
        error: `NotFoundError` when TMDB knows no such movie, another one when it could not be asked for.
    """

    movie_id: int
    answer: Answer[Movie] | None
    error: TmdbError | None = None


def ask_all(
    tmdb: Tmdb, movies: Iterable[tuple[int, str | None]], workers: int = WORKERS
) -> Iterator[list[Asked]]:
    """Ask for movies, several at a time.

    Args:
        tmdb: Is asked.
        movies: Ids, each with the ETag at hand or None; read as there is room.
        workers: Threads.

    Yields:
        What has come since the last time, in any order. What is yielded counts as under way until the next one
        is asked for, so the caller stores it before.

    Raises:
        InvalidKeyError: TMDB does not take the key any more: no other movie would do better.
    """
    coming = iter(movies)
    with ThreadPoolExecutor(workers, "tmdb") as pool:
        under_way: set[Future[Asked]] = set()
        try:
            while True:
                while len(under_way) < UNDER_WAY and (movie := next(coming, None)):
                    under_way.add(pool.submit(_ask, tmdb, *movie))
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield [future.result() for future in done]
        except BaseException:
            # Ctrl-C should not wait for a `Retry-After` of minutes.
            tmdb.stop()
            for future in under_way:
                future.cancel()
            raise


def _ask(tmdb: Tmdb, movie_id: int, etag: str | None) -> Asked:
    try:
        return Asked(movie_id, tmdb.movie(movie_id, etag))
    except TmdbError as error:
        if isinstance(error, InvalidKeyError) and _is_key_refused(tmdb):
            raise
        return Asked(movie_id, None, error)


def _is_key_refused(tmdb: Tmdb) -> bool:
    """Whether TMDB refuses the key for everything: one movie alone may be answered like a wrong key, for ever."""
    try:
        tmdb.configuration()
    except TmdbError as error:
        return isinstance(error, InvalidKeyError)
    return False
