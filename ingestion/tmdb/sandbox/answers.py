"""The sandbox's endpoints: from a path and its parameters to a status and a body, as TMDB answers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ingestion.tmdb.endpoints import MAX_CHANGES_DAYS, MAX_PAGE
from ingestion.tmdb.sandbox import shapes
from ingestion.tmdb.sandbox.catalogue import Catalogue, Rendered

MAX_APPENDED = 20

Parameters = Mapping[str, str]

_MOVIE = re.compile(r"/3/movie/(\d{1,15})")
_EXPORT = re.compile(r"/p/exports/movie_ids_(\d\d)_(\d\d)_(\d{4})\.json\.gz")


@dataclass(frozen=True)
class Reply:
    """An answer before it is sent.

    Args:
        kind: What was asked for: `movie`, `changes`, `discover`, `genres`, `configuration`, `export`, `nothing`.
        status: HTTP.
        content: A rendered answer, or a file's bytes.
        movie_id: The movie that was asked for.
    """

    kind: str
    status: int
    content: Rendered | bytes
    movie_id: int | None = None


def answer(catalogue: Catalogue, path: str, parameters: Parameters) -> Reply:
    """What TMDB answers to someone with a valid key.

    Args:
        catalogue: The movies.
        path: Of the request, decoded.
        parameters: Of the request.
    """
    if found := _EXPORT.fullmatch(path):
        return _export(catalogue, *(int(part) for part in found.groups()))
    if found := _MOVIE.fullmatch(path):
        return _movie(catalogue, int(found[1]), parameters)
    endpoint = _ENDPOINTS.get(path)
    return endpoint(catalogue, parameters) if endpoint else refusal("nothing", 34)


def refusal(kind: str, code: int, movie_id: int | None = None) -> Reply:
    """One of TMDB's errors."""
    status, body = shapes.error(code)
    return Reply(kind, status, Rendered(body), movie_id)


def _json(kind: str, content: Any) -> Reply:
    return Reply(kind, 200, Rendered(content))


def _configuration(_catalogue: Catalogue, _parameters: Parameters) -> Reply:
    return _json("configuration", shapes.configuration())


def _genres(catalogue: Catalogue, _parameters: Parameters) -> Reply:
    return _json("genres", catalogue.genres())


def _movie(catalogue: Catalogue, movie_id: int, parameters: Parameters) -> Reply:
    append = frozenset(filter(None, parameters.get("append_to_response", "").split(",")))
    if len(append) > MAX_APPENDED:
        return refusal("movie", 27, movie_id)
    rendered = catalogue.movie(movie_id, append)
    if rendered is None:
        return refusal("movie", 34, movie_id)
    return Reply("movie", 200, rendered, movie_id)


def _changes(catalogue: Catalogue, parameters: Parameters) -> Reply:
    today = datetime.now(UTC).date()
    try:
        end = _day(parameters, "end_date", today)
        start = _day(parameters, "start_date", end - timedelta(days=1))
    except ValueError:
        return refusal("changes", 23)
    if not timedelta(0) <= end - start <= timedelta(days=MAX_CHANGES_DAYS):
        return refusal("changes", 20)
    number = _page(parameters)
    if number is None:
        return refusal("changes", 22)
    return _json("changes", shapes.page(catalogue.changes(start, end), number, shapes.CHANGES_PAGE))


def _discover(catalogue: Catalogue, parameters: Parameters) -> Reply:
    number = _page(parameters)
    if number is None:
        return refusal("discover", 22)
    entries = catalogue.discover(
        parameters.get("primary_release_date.gte", ""),
        parameters.get("primary_release_date.lte", ""),
    )
    return _json("discover", shapes.page(entries, number, shapes.DISCOVER_PAGE))


def _export(catalogue: Catalogue, month: int, day: int, year: int) -> Reply:
    try:
        age = (datetime.now(UTC).date() - date(year, month, day)).days
    except ValueError:
        age = -1
    if not 0 <= age <= 90:
        # TMDB's file server says so to whatever it does not have.
        denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        return Reply("export", 403, denied)
    return Reply("export", 200, catalogue.export())


def _page(parameters: Parameters) -> int | None:
    text = parameters.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return number if 1 <= number <= MAX_PAGE else None


def _day(parameters: Parameters, name: str, default: date) -> date:
    text = parameters.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError(text)
    return date.fromisoformat(text)


_ENDPOINTS: dict[str, Callable[[Catalogue, Parameters], Reply]] = {
    "/3/configuration": _configuration,
    "/3/genre/movie/list": _genres,
    "/3/movie/changes": _changes,
    "/3/discover/movie": _discover,
}
