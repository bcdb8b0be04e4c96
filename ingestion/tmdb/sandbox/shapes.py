"""The shapes of TMDB's answers: what each endpoint says of a movie, its pages and its errors."""

from collections.abc import Collection, Sequence
from typing import Any

Movie = dict[str, Any]

CHANGES_PAGE = 100
DISCOVER_PAGE = 20

MESSAGES = {
    5: (422, "Invalid parameters: Your request parameters are incorrect."),
    7: (401, "Invalid API key: You must be granted a valid key."),
    11: (500, "Internal error: Something went wrong, contact TMDB."),
    20: (422, "Invalid date range: Should be a range no longer than 14 days."),
    22: (
        400,
        "Invalid page: Pages start at 1 and max at 500. They are expected to be an integer.",
    ),
    23: (400, "Invalid date: Format needs to be YYYY-MM-DD."),
    25: (429, "Your request count (#) is over the allowed limit of (40)."),
    27: (400, "Too many append to response objects: The maximum number of remote calls is 20."),
    34: (404, "The resource you requested could not be found."),
}
"""TMDB's codes with their HTTP status and message: https://developer.themoviedb.org/docs/errors."""

_DETAILS: Movie = {
    "adult": False,
    "backdrop_path": None,
    "belongs_to_collection": None,
    "budget": 0,
    "genres": [],
    "homepage": "",
    "id": 0,
    "imdb_id": None,
    "origin_country": [],
    "original_language": "en",
    "original_title": "",
    "overview": "",
    "popularity": 0.0,
    "poster_path": None,
    "production_companies": [],
    "production_countries": [],
    "release_date": "",
    "revenue": 0,
    "runtime": 0,
    "spoken_languages": [],
    "status": "Released",
    "tagline": "",
    "title": "",
    "video": False,
    "vote_average": 0.0,
    "vote_count": 0,
}
"""Every field of `/movie/{id}`, with what TMDB says where it knows nothing."""

_SIZES = {
    "backdrop_sizes": ["w300", "w780", "w1280", "original"],
    "logo_sizes": ["w45", "w92", "w154", "w185", "w300", "w500", "original"],
    "poster_sizes": ["w92", "w154", "w185", "w342", "w500", "w780", "original"],
    "profile_sizes": ["w45", "w185", "h632", "original"],
    "still_sizes": ["w92", "w185", "w300", "original"],
}


def error(code: int) -> tuple[int, Movie]:
    """The HTTP status and body of one of TMDB's errors."""
    status, message = MESSAGES[code]
    return status, {"success": False, "status_code": code, "status_message": message}


def configuration() -> Movie:
    """The answer of `/configuration`."""
    return {
        "images": {
            "base_url": "http://image.tmdb.org/t/p/",
            "secure_base_url": "https://image.tmdb.org/t/p/",
            **_SIZES,
        },
        "change_keys": ["adult", "budget", "genres", "overview", "release_date", "title"],
    }


def genre_list(movies: Collection[Movie]) -> Movie:
    """The answer of `/genre/movie/list`: every genre of the catalogue."""
    names = {genre["id"]: genre["name"] for movie in movies for genre in movie["genres"]}
    return {"genres": [{"id": each, "name": name} for each, name in sorted(names.items())]}


def whole_movie(movie: Movie) -> Movie:
    """A movie of a catalogue file with every field that TMDB answers and the parts that can be appended.

    Args:
        movie: In the shape of `/movie/{id}`; fields may be missing or null.
    """
    known = {name: value for name, value in movie.items() if value is not None}
    whole = _DETAILS | known
    whole["original_title"] = whole["original_title"] or whole["title"]
    whole.setdefault("keywords", {"keywords": []})
    whole.setdefault("credits", {"cast": [], "crew": []})
    whole.setdefault("external_ids", _external_ids(whole))
    whole.setdefault("release_dates", {"results": _release_dates(whole)})
    return whole


def details(movie: Movie, append: Collection[str]) -> Movie:
    """The answer of `/movie/{id}`.

    Args:
        movie: A whole one.
        append: The parts that were asked for; unknown ones are passed over, as TMDB does.
    """
    appended = {"keywords", "credits", "external_ids", "release_dates"}
    return {name: value for name, value in movie.items() if name not in appended or name in append}


def summary(movie: Movie) -> Movie:
    """An entry of `/discover/movie`."""
    fields = (
        *("adult", "backdrop_path", "id", "original_language", "original_title", "overview"),
        *("popularity", "poster_path", "release_date", "title", "video"),
        *("vote_average", "vote_count"),
    )
    return {
        **{name: movie[name] for name in fields},
        "genre_ids": [genre["id"] for genre in movie["genres"]],
    }


def export_line(movie: Movie) -> Movie:
    """A line of the daily file of ids."""
    fields = ("adult", "id", "original_title", "popularity", "video")
    return {name: movie[name] for name in fields}


def page(entries: Sequence[Movie], number: int, size: int) -> Movie:
    """One page of a list.

    Args:
        entries: All of it.
        number: Of the page, from 1; beyond the last one it is empty.
        size: Entries a page.
    """
    return {
        "page": number,
        "results": list(entries[(number - 1) * size : number * size]),
        "total_pages": max(-(-len(entries) // size), 1),
        "total_results": len(entries),
    }


def _external_ids(movie: Movie) -> Movie:
    ids = dict.fromkeys(("wikidata_id", "facebook_id", "instagram_id", "twitter_id"))
    return {"imdb_id": movie["imdb_id"], **ids}


def _release_dates(movie: Movie) -> list[Movie]:
    if not movie["release_date"]:
        return []
    release = {
        "certification": "",
        "descriptors": [],
        "iso_639_1": "",
        "note": "",
        "release_date": f"{movie['release_date']}T00:00:00.000Z",
        "type": 3,
    }
    return [{"iso_3166_1": "US", "release_dates": [release]}]
