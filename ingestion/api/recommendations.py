"""What the API reads of gold: recommendations, movies that are alike, and for all others the most popular ones."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from cinelake.errors import ServiceError
from cinelake.settings import Settings

Row = dict[str, Any]

SECONDS = 2
"""A query takes a millisecond; one that takes longer waits for a swap of gold, or for a server that is gone."""

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


class Recommendations:
    """Reads gold as analysts do. Threads may share it, and it may be made before a fork: each thread has a connection.

    Args:
        settings: `postgres` is used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mine = threading.local()

    def of_user(self, user_id: str, count: int) -> list[Row]:
        """What is recommended to a user, the best first; none for one of whom nothing is known.

        Raises:
            ServiceError: PostgreSQL does not answer.
        """
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
            yield self._open()
        except psycopg.Error as error:
            self._mine.connection = None
            raise ServiceError(
                f"PostgreSQL cannot be reached: {error}",
                "Run `cinelake up`, or check POSTGRES_URI.",
            ) from error

    def _open(self) -> psycopg.Connection[Row]:
        held: psycopg.Connection[Row] | None = getattr(self._mine, "connection", None)
        if held is not None and not held.closed and self._mine.pid == os.getpid():
            return held
        opened = psycopg.connect(
            self._settings.postgres, autocommit=True, connect_timeout=SECONDS, row_factory=dict_row
        )
        opened.execute("set role analyst")
        opened.execute(f"set statement_timeout = '{SECONDS}s'".encode())
        self._mine.connection, self._mine.pid = opened, os.getpid()
        return opened
