"""A made-up catalogue in TMDB's shape, for a demo without TMDB's data. The same seed makes the same file.

It has the dirt of the real one: blank dates, budgets, revenues and runtimes of 0 that mean unknown, titles that
stand for two movies, companies of one name and several ids, titles in many scripts, languages without a name, a
withdrawn country code. Keywords and credits stand where `append_to_response` puts them.
"""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

from ingestion.chance import chance_of

DEFAULT_MOVIES = 200
DEFAULT_SEED = 2026
FIRST_ID = 900_000_001
"""Generated movies, companies, keywords and people have ids from here on, far above those that TMDB has given out."""

_GENRES = {
    28: "Action",
    12: "Adventure",
    16: "Animation",
    35: "Comedy",
    80: "Crime",
    99: "Documentary",
    18: "Drama",
    10751: "Family",
    14: "Fantasy",
    36: "History",
    27: "Horror",
    10402: "Music",
    9648: "Mystery",
    10749: "Romance",
    878: "Science Fiction",
    53: "Thriller",
    10752: "War",
    37: "Western",
}
_COUNTRIES = {
    "US": "United States of America",
    "GB": "United Kingdom",
    "FR": "France",
    "DE": "Germany",
    "JP": "Japan",
    "IN": "India",
    "BR": "Brazil",
    "KR": "South Korea",
    "TR": "Turkey",
    "CS": "Serbia and Montenegro",
}
_LANGUAGES = {
    "en": ("English", "English", "US"),
    "fr": ("French", "Français", "FR"),
    "de": ("German", "Deutsch", "DE"),
    "ja": ("Japanese", "日本語", "JP"),
    "hi": ("Hindi", "हिन्दी", "IN"),
    "pt": ("Portuguese", "Português", "BR"),
    "ko": ("Korean", "한국어/조선말", "KR"),
    "tr": ("Turkish", "Türkçe", "TR"),
}
_LANGUAGE_WEIGHTS = (70, 6, 5, 6, 4, 3, 4, 2)
_ORIGINAL_TITLES = {
    "fr": ("L'Été à l'Île d'Yeu", "Où va le cœur", "Naïveté"),
    "de": ("Über den Dächern", "Die Straße der Gänse", "Größe null"),
    "ja": ("雪の駅", "猫と月", "最後の手紙"),
    "hi": ("सात रास्ते", "पहली बारिश"),
    "pt": ("Coração de Açúcar", "A Última Manhã em São João"),
    "ko": ("겨울 바다", "두 번째 봄"),
    "tr": ("Işık ve Gölge", "İstanbul'da Son Gün"),  # noqa: RUF001 - the dotless i is meant
}
_FIRST_WORDS = (
    "Silent",
    "Last",
    "Crimson",
    "Paper",
    "Hidden",
    "Electric",
    "Broken",
    "Golden",
    "Second",
)
_SECOND_WORDS = (
    "Harbor",
    "Orchard",
    "Machine",
    "Winter",
    "Promise",
    "Comet",
    "Kingdom",
    "Letter",
    "Road",
)
_COMPANIES = (
    (900_000_001, "Northlight Pictures", "US"),
    (900_000_002, "Atelier Câline", "FR"),
    (900_000_003, "Kirin Film", "JP"),
    (900_000_004, "Blue Tram", "GB"),
    (900_000_005, "Estúdio Jacarandá", "BR"),
    (900_000_006, "Blue Tram", "DE"),
)
_KEYWORDS = (
    "heist",
    "friendship",
    "lighthouse",
    "time travel",
    "small town",
    "robot",
    "road trip",
    "café",
    "revenge",
    "based on novel",
)
_GIVEN_NAMES = ("Ada", "Björn", "Chloé", "Dilek", "Emeka", "Fumiko", "Goran", "Ana Lúcia")
_FAMILY_NAMES = ("Okafor", "Yılmaz", "Lindqvist", "Moreau", "Tanaka", "Petrović")  # noqa: RUF001 - the dotless i is meant
_PEOPLE = [f"{given} {family}" for family in _FAMILY_NAMES for given in _GIVEN_NAMES]
_JOBS = (("Directing", "Director"), ("Writing", "Screenplay"), ("Sound", "Original Music Composer"))
_ROLES = ("The Keeper", "Inspector Roux", "Young Mina", "Neighbour", "")
_STATUSES = ("Released", "Post Production", "Rumored")


def generate_catalog(path: Path, movies: int = DEFAULT_MOVIES, seed: int = DEFAULT_SEED) -> int:
    """Write a catalogue as JSON lines.

    Args:
        path: The file to write; its folder must exist.
        movies: How many movies.
        seed: The same seed and number make the same bytes.

    Returns:
        The number of movies.
    """
    lines = [orjson.dumps(movie) for movie in generated_movies(movies, seed)]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return len(lines)


def generated_movies(
    movies: int = DEFAULT_MOVIES, seed: int = DEFAULT_SEED
) -> Iterator[dict[str, Any]]:
    """The movies of a made-up catalogue, in the shape of TMDB's `/movie/{id}` answer."""
    # Credits are drawn apart, so that a change to them leaves the rest of each movie as it was.
    chance, of_credits = chance_of("catalogue", seed), chance_of("credits", seed)
    for number in range(movies):
        movie_id = FIRST_ID + number
        yield _movie(movie_id, chance) | {"credits": _credits(movie_id, of_credits)}


def _movie(movie_id: int, chance: random.Random) -> dict[str, Any]:
    language = chance.choices(list(_LANGUAGES), _LANGUAGE_WEIGHTS)[0]
    title = f"The {chance.choice(_FIRST_WORDS)} {chance.choice(_SECOND_WORDS)}"
    genres = chance.sample(list(_GENRES), chance.choices((0, 1, 2, 3, 4), (1, 20, 40, 30, 9))[0])
    votes = int(chance.paretovariate(0.7) * 10) % 30_000
    return {
        "adult": False,
        "backdrop_path": None,
        "belongs_to_collection": None,
        "budget": _sometimes_unknown(chance, chance.randrange(1, 250) * 1_000_000, 0.25),
        "genres": [{"id": genre, "name": _GENRES[genre]} for genre in sorted(genres)],
        "homepage": chance.choice(("", None, f"https://movies.example/{movie_id}")),
        "id": movie_id,
        "imdb_id": f"tt{movie_id:08d}",
        "keywords": {"keywords": _keywords(chance)},
        "original_language": language,
        "original_title": chance.choice(_ORIGINAL_TITLES.get(language, (title,))),
        "overview": f"Nobody expected what {title[4:].lower()} would change.",
        "popularity": round(chance.lognormvariate(2, 1), 3),
        "poster_path": None,
        "production_companies": _companies(chance),
        "production_countries": _countries(chance, language),
        "release_date": _release_date(chance),
        "revenue": _sometimes_unknown(chance, chance.randrange(1, 900) * 1_000_000, 0.3),
        "runtime": _sometimes_unknown(chance, chance.randrange(70, 190), 0.03),
        "spoken_languages": [
            {
                "english_name": _LANGUAGES[language][0],
                "iso_639_1": language,
                # TMDB gives no name in the language itself for many.
                "name": "" if language == "hi" else _LANGUAGES[language][1],
            }
        ],
        "status": chance.choices(_STATUSES, (97, 2, 1))[0],
        "tagline": chance.choice(("", "Some doors stay open.", "Ça commence ici.")),
        "title": title,
        "video": False,
        "vote_average": round(min(max(chance.gauss(6.4, 1.1), 0.5), 10), 3) if votes else 0.0,
        "vote_count": votes,
    }


def _sometimes_unknown(chance: random.Random, value: int, share: float) -> int:
    return 0 if chance.random() < share else value


def _release_date(chance: random.Random) -> str:
    day = date(1960, 1, 1) + timedelta(days=chance.randrange(24_000))
    return "" if chance.random() < 0.02 else day.isoformat()


def _keywords(chance: random.Random) -> list[dict[str, Any]]:
    chosen = chance.sample(range(len(_KEYWORDS)), chance.randrange(5))
    return [{"id": FIRST_ID + place, "name": _KEYWORDS[place]} for place in sorted(chosen)]


def _companies(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {"id": number, "logo_path": None, "name": name, "origin_country": country}
        for number, name, country in chance.sample(_COMPANIES, chance.randrange(4))
    ]


def _countries(chance: random.Random, language: str) -> list[dict[str, str]]:
    codes = {_LANGUAGES[language][2], chance.choice(list(_COUNTRIES))}
    return [{"iso_3166_1": code, "name": _COUNTRIES[code]} for code in sorted(codes)]


def _credits(movie_id: int, chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    cast = chance.sample(range(len(_PEOPLE)), chance.randrange(6))
    crew = chance.sample(range(len(_PEOPLE)), chance.randrange(len(_JOBS) + 1))
    return {
        "cast": [
            _person(place, "Acting")
            | {
                "cast_id": order,
                "character": chance.choice(_ROLES),
                "credit_id": f"{movie_id:x}cast{order:02}",
                "order": order,
            }
            for order, place in enumerate(cast)
        ],
        "crew": [
            _person(place, department)
            | {"credit_id": f"{movie_id:x}crew{number:02}", "department": department, "job": job}
            for number, (place, (department, job)) in enumerate(zip(crew, _JOBS, strict=False))
        ],
    }


def _person(place: int, department: str) -> dict[str, Any]:
    return {
        "adult": False,
        "gender": 0,
        "id": FIRST_ID + place,
        "known_for_department": department,
        "name": _PEOPLE[place],
        "original_name": _PEOPLE[place],
        "profile_path": None,
    }
