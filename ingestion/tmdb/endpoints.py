"""The endpoints of TMDB that Cinelake asks, each as a function from its parameters to a checked answer.

Reference: https://developer.themoviedb.org/reference. Answers are handed on as they are; only what the sync
itself relies on is checked.
"""

from datetime import date
from typing import Any, NamedTuple, TypeVar

import orjson

from cinelake.log import get_logger
from ingestion.raw_store import MAX_MOVIE_BYTES, bytes_in_store
from ingestion.tmdb.client import Answer, TmdbClient
from ingestion.tmdb.errors import BadAnswerError, RefusedError
from ingestion.tmdb.movie_ids import MAX_ID, is_movie_id

APPENDED = ("credits", "keywords", "release_dates", "external_ids")
"""What comes with a movie in the same answer (`append_to_response`; TMDB allows 20)."""
MAX_PAGE = 500
"""TMDB serves no page beyond this one, however many there are (code 22)."""
MAX_CHANGES_DAYS = 14
"""The days that the two dates of `/movie/changes` may lie apart (code 20)."""
MAX_MOVIE_DEPTH = 100
"""Objects and lists around each other in a movie; MongoDB holds few more."""

_SURELY_HELD = 1024 * 1024
"""Bytes of JSON that are never too many for the raw store, whatever they hold."""

Movie = dict[str, Any]
T = TypeVar("T")

log = get_logger("tmdb")


class Page(NamedTuple):
    """One page of a list.

    Args:
        results: Its entries, each an object with a positive integer `id`.
        page: Its number, from 1.
        total_pages: How many there are; may be more than TMDB serves.
        total_results: How many entries there are on all of them.
    """

    results: list[dict[str, Any]]
    page: int
    total_pages: int
    total_results: int


class Tmdb:
    """TMDB's endpoints.

    Args:
        client: Asks for them.
    """

    def __init__(self, client: TmdbClient) -> None:
        self._client = client

    def stop(self) -> None:
        """Give up whatever waits to be asked."""
        self._client.stop()

    def configuration(self) -> dict[str, Any]:
        """`/configuration`: the addresses and sizes of images, and the keys of changes.

        Raises:
            TmdbError: As `TmdbClient.get`; every method here does.
        """
        return _content(self._client.get("/configuration", read_configuration))

    def genres(self) -> list[dict[str, Any]]:
        """`/genre/movie/list`: objects of `id` and `name`."""
        return _content(self._client.get("/genre/movie/list", read_genres))

    def movie(self, movie_id: int, etag: str | None = None) -> Answer[Movie]:
        """`/movie/{id}` with what `APPENDED` names.

        Args:
            movie_id: TMDB's id.
            etag: Of the answer at hand; when it still holds, the content is None.

        Raises:
            NotFoundError: There is no such movie, or no longer.
        """
        return self._client.get(
            f"/movie/{movie_id}",
            lambda answer: read_movie(answer, movie_id),
            {"append_to_response": ",".join(APPENDED)},
            etag,
        )

    def changes(self, start: date, end: date, page: int = 1) -> Page:
        """`/movie/changes`: the ids that were edited between two days.

        Args:
            start: The first day, UTC.
            end: The last day, at most `MAX_CHANGES_DAYS` later.
            page: From 1 to `MAX_PAGE`.
        """
        params = {
            "start_date": start.isoformat(),
            "end_date": end.isoformat(),
            "page": str(page),
        }
        return _content(self._client.get("/movie/changes", read_page, params))

    def discover(
        self, released_from: date | None = None, released_to: date | None = None, page: int = 1
    ) -> Page:
        """`/discover/movie`: summaries of movies, the earliest release first, without adult titles.

        Args:
            released_from: The first day of the primary release. Default: any, also none at all.
            released_to: The last such day.
            page: From 1 to `MAX_PAGE`.
        """
        params = {
            "include_adult": "false",
            "include_video": "true",
            "sort_by": "primary_release_date.asc",
            "page": str(page),
        }
        if released_from:
            params["primary_release_date.gte"] = released_from.isoformat()
        if released_to:
            params["primary_release_date.lte"] = released_to.isoformat()
        return _content(self._client.get("/discover/movie", read_page, params))


def read_configuration(answer: Any) -> dict[str, Any]:
    """Check an answer of `/configuration`; returned as it is.

    Raises:
        BadAnswerError: It has another shape.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("images"), dict):
        raise BadAnswerError("TMDB's configuration names no images.")
    return answer


def read_genres(answer: Any) -> list[dict[str, Any]]:
    """The genres of an answer of `/genre/movie/list`; as `read_page`, without entries that have no id.

    Raises:
        BadAnswerError: It has another shape.
    """
    genres = _with_ids(answer.get("genres"), "genres") if isinstance(answer, dict) else None
    if genres is None:
        raise BadAnswerError("TMDB's list of genres has no genres.")
    return genres


def read_movie(answer: Any, movie_id: int) -> Movie:
    """Check an answer of `/movie/{id}`; returned as it is.

    Args:
        answer: The parsed JSON.
        movie_id: The id that was asked for.

    Raises:
        BadAnswerError: It is no movie, another one, or one that no store could hold.
    """
    if not isinstance(answer, dict) or not _has_id(answer) or answer["id"] != movie_id:
        raise BadAnswerError(f"TMDB's answer to /movie/{movie_id} is not that movie.")
    if not isinstance(answer.get("title"), str):
        raise BadAnswerError(f"TMDB's answer to /movie/{movie_id} has no title.")
    try:
        size = len(orjson.dumps(answer, option=orjson.OPT_STRICT_INTEGER))
        if _depth(answer) > MAX_MOVIE_DEPTH:
            raise ValueError(f"it nests deeper than {MAX_MOVIE_DEPTH} levels")
        if size > _SURELY_HELD and bytes_in_store(answer) > MAX_MOVIE_BYTES:
            raise ValueError(f"it has {size:,} bytes of JSON")
    except (orjson.JSONEncodeError, ValueError) as error:
        raise BadAnswerError(
            f"TMDB's answer to /movie/{movie_id} cannot be stored: {error}."
        ) from None
    return answer


def read_page(answer: Any) -> Page:
    """The page in an answer of `/movie/changes` or `/discover/movie`.

    An entry that is no object with an id is left out, and a warning names it: it should not keep the others from coming.

    Raises:
        BadAnswerError: It has another shape, or several entries and none with an id.
    """
    if not isinstance(answer, dict):
        raise BadAnswerError("TMDB's page is not an object.")
    results = _with_ids(answer.get("results"), "page")
    numbers = [answer.get(name) for name in ("page", "total_pages", "total_results")]
    if results is None:
        raise BadAnswerError("TMDB's page has no entries, or none with an id.")
    if not all(type(number) is int and 0 <= number < MAX_ID for number in numbers):
        raise BadAnswerError("TMDB's page does not say which of how many it is.")
    page, total_pages, total_results = numbers
    return Page(results, int(page or 0), int(total_pages or 0), int(total_results or 0))


def _has_id(entry: Any) -> bool:
    return isinstance(entry, dict) and is_movie_id(entry.get("id"))


def _with_ids(entries: Any, what: str) -> list[dict[str, Any]] | None:
    """The entries of a list that have an id; None when it is no list, or one of several entries of another kind."""
    if not isinstance(entries, list):
        return None
    known = [entry for entry in entries if _has_id(entry)]
    if not known and len(entries) > 1:
        return None
    if skipped := [entry for entry in entries if not _has_id(entry)]:
        log.warning(
            "entries without an id are left out",
            what=what,
            skipped=len(skipped),
            first=repr(skipped[0])[:200],
        )
    return known


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0)


def _content(answer: Answer[T]) -> T:
    if answer.content is None:
        # Only an ETag in the request allows for that.
        raise RefusedError(
            "TMDB says that an answer has not changed, unasked.",
            "Check TMDB_BASE_URL: a cache may be answering in its place.",
            304,
        )
    return answer.content
