"""What the API reads of gold: recommendations, movies that are alike, and for all others the most popular ones."""

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import dict_row

from cinelake.errors import ServiceError
from cinelake.pseudonyms import Pseudonyms
from cinelake.settings import Settings

Row = dict[str, Any]

SECONDS = 2
"""A query takes a millisecond; one that takes longer waits for a swap of gold, or for a server that is gone."""
CONNECTIONS = 4
"""A worker's. One for each of its threads would be more than PostgreSQL has for everybody."""

_RECOMMENDED: LiteralString = """
    select movie_id, title, rank, predicted_rating, basis, explanation, model_id
    from gold.movie_recommendations where user_id = %s order by rank limit %s
"""
_ALIKE: LiteralString = """
    select similar_movie_id as movie_id, title, rank, score, basis, model_id
    from gold.similar_movies where movie_id = %s order by rank limit %s
"""
_MOVIE: LiteralString = "select title from gold.dim_movie where movie_id = %s and is_current"
_POPULAR: LiteralString = """
    select movie_id, title, popularity_rank as rank, rating_count, mean_rating
    from gold.movie_popularity where movie_id is distinct from %s order by popularity_rank limit %s
"""


class _Held(NamedTuple):
    """A connection, and the process that opened it."""

    connection: psycopg.Connection[Row]
    pid: int


class Recommendations:
    """Reads gold as analysts do. Threads share its few connections, and it may be made before a fork.

    Args:
        settings: `postgres` is used, and `pseudonym_key` where there is one: without it no user is found by an address.
        connections: How many it opens at most.
    """

    def __init__(self, settings: Settings, connections: int = CONNECTIONS) -> None:
        self._settings = settings
        key = settings.pseudonym_key
        self._pseudonyms = Pseudonyms(key.get_secret_value()) if key else None
        # The one that was used last is used next: where few come at a time, few are opened.
        self._idle: queue.LifoQueue[_Held | None] = queue.LifoQueue()
        for _ in range(connections):
            self._idle.put(None)

    def of_user(self, user_id: str, count: int) -> list[Row]:
        """What is recommended to a user, the best first; none for one of whom nothing is known.

        Args:
            user_id: As events carry it; gold has pseudonyms in place of addresses.
            count: The most movies.

        Raises:
            ServiceError: PostgreSQL does not answer, or has much to answer already.
        """
        if self._pseudonyms:
            user_id = self._pseudonyms.in_id(user_id)
        return self._rows(_RECOMMENDED, user_id, count)

    def alike(self, movie_id: int, count: int) -> list[Row]:
        """Movies like a movie, the most like it first; none for one that can be compared with no other.

        Raises:
            ServiceError: As `of_user`.
        """
        return self._rows(_ALIKE, movie_id, count)

    def is_movie(self, movie_id: int) -> bool:
        """Whether gold knows the movie.

        Raises:
            ServiceError: As `of_user`.
        """
        return bool(self._rows(_MOVIE, movie_id))

    def popular(self, count: int, but: int | None = None) -> list[Row]:
        """The most popular movies by their weighted rating, without one; none while gold was not built.

        Raises:
            ServiceError: As `of_user`.
        """
        return self._rows(_POPULAR, but, count)

    def _rows(self, query: LiteralString, *values: Any) -> list[Row]:
        with self._connection() as connection:
            try:
                return connection.execute(query, values, prepare=True).fetchall()
            except psycopg.errors.UndefinedTable:
                # Before the first build of gold there is nothing to recommend.
                return []

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        try:
            held = self._idle.get(timeout=SECONDS)
        except queue.Empty:
            raise ServiceError(
                "Too many recommendations are being read.", "Send the request again."
            ) from None
        try:
            held = self._opened(held)
            yield held.connection
        except psycopg.Error as error:
            held = None
            raise ServiceError(
                f"PostgreSQL cannot be reached: {error}",
                "Run `cinelake up`, or check POSTGRES_URI.",
            ) from error
        finally:
            self._idle.put(held)

    def _opened(self, held: _Held | None) -> _Held:
        if held and not held.connection.closed and held.pid == os.getpid():
            return held
        opened = psycopg.connect(
            self._settings.postgres, autocommit=True, connect_timeout=SECONDS, row_factory=dict_row
        )
        opened.execute("set role analyst")
        opened.execute(f"set statement_timeout = '{SECONDS}s'".encode())
        return _Held(opened, os.getpid())
