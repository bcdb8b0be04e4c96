"""The routes of recommendations, version 1: read from gold, with the most popular movies where nothing is known."""

from collections.abc import Sequence
from typing import Any
from unicodedata import category

from flask import Response, request
from flask_openapi3 import APIBlueprint

from cinelake.errors import ServiceError
from cinelake.log import get_logger
from cinelake.pseudonyms import LONGEST_ID
from ingestion.api.access import admit
from ingestion.api.document import FORBIDDEN, Recommended, answer_of, key_with, problem_of
from ingestion.api.problems import json_response, problem, unavailable
from ingestion.api.recommendations import Row
from ingestion.api.scopes import Scope
from ingestion.api.services import services

recommend_blueprint = APIBlueprint("recommendations", __name__)

MOST = 20
LARGEST_MOVIE_ID = 2**53 - 1
"""As the event contract has them."""

NOTHING_LIKED = "Too little is known of what this user likes; these are the most popular movies."
NOTHING_ALIKE = "The movie can be compared with no other; these are the most popular movies."


def _documented(name: str, schema: dict[str, Any], what: str) -> dict[str, Any]:
    parameter = {"name": name, "in": "path", "required": True, "schema": schema}
    return {
        "openapi_extensions": {"parameters": [parameter]},
        "responses": {
            200: answer_of(Recommended, f"{what}; `source` says whether a model knew any."),
            401: problem_of("No key, or one that is not good."),
            403: problem_of(FORBIDDEN),
            404: problem_of("The movie is not known, or the id is empty or holds a slash."),
            422: problem_of("The id is malformed."),
            429: problem_of("The key has used up its rate.", retry_after=True),
            503: problem_of("PostgreSQL does not answer.", retry_after=True),
        },
    }


@recommend_blueprint.get(
    "/v1/recommendations/<user_id>",
    operation_id="getRecommendations",
    security=key_with(Scope.READ),
    **_documented(
        "user_id",
        {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
        "Up to 20 movies for the user, each with the reason",
    ),
)
def get_recommendations() -> Response:
    """Movies a user would like, the best first; the most popular ones for a user of whom too little is known."""
    used = services()
    admit(request, used, Scope.READ)
    user_id = str((request.view_args or {})["user_id"])
    if len(user_id) > LONGEST_ID or any(category(char) == "Cc" for char in user_id):
        return problem(
            422,
            "malformed-id",
            "The id is malformed",
            f"A user id has 1 to {LONGEST_ID} characters, none of which is a control character.",
        )
    gold = used.recommendations
    try:
        found = gold.of_user(user_id, MOST)
        return _answer(found, [] if found else gold.popular(MOST), NOTHING_LIKED)
    except ServiceError as error:
        return _unread(error)


@recommend_blueprint.get(
    "/v1/similar/<movie_id>",
    operation_id="getSimilar",
    security=key_with(Scope.READ),
    **_documented(
        "movie_id",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_MOVIE_ID},
        "Up to 20 movies that are like the movie",
    ),
)
def get_similar() -> Response:
    """Movies that are like a movie, the most like it first; the most popular ones where it can be compared with none."""
    used = services()
    admit(request, used, Scope.READ)
    text = str((request.view_args or {})["movie_id"])
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_MOVIE_ID))
    movie_id = int(text) if is_number else 0
    if not 1 <= movie_id <= LARGEST_MOVIE_ID:
        return problem(
            422,
            "malformed-id",
            "The id is malformed",
            f"A movie id is a whole number from 1 to {LARGEST_MOVIE_ID}, TMDB's own.",
        )
    gold = used.recommendations
    try:
        if found := gold.alike(movie_id, MOST):
            return _answer(found, [], NOTHING_ALIKE)
        if not gold.is_movie(movie_id):
            return problem(
                404, "unknown-movie", "The movie is not known", f"There is no movie {movie_id}."
            )
        return _answer([], gold.popular(MOST, but=movie_id), NOTHING_ALIKE)
    except ServiceError as error:
        return _unread(error)


def _answer(found: Sequence[Row], popular: Sequence[Row], why: str) -> Response:
    """What the model knew, or the most popular movies, said to be that."""
    if found:
        model = found[0]["model_id"]
        movies = [{name: row[name] for name in row if name != "model_id"} for row in found]
        return json_response({"source": "model", "model_id": model, "movies": movies})
    return json_response({"source": "fallback", "reason": why, "movies": popular})


def _unread(error: ServiceError) -> Response:
    get_logger("api").warning("gold_not_read", reason=error.message)
    return unavailable("Recommendations cannot be read. Send the same request again.")
