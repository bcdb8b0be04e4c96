"""The OpenAPI 3.1 document of the events API, and its browsable page at `/openapi/`.

The event types come from `ingestion.events`, so that the document says what is checked.
"""

from typing import Any

from flask_openapi3 import Info, OpenAPI
from pydantic import BaseModel, ConfigDict, Field

from cinelake import __version__
from ingestion.api.reading import MAX_BODY_BYTES
from ingestion.api.scopes import Scope
from ingestion.events import event_components

MAX_BATCH = 500

JSON = "application/json"
PROBLEM = "application/problem+json"
SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key as a bearer token."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "For navigator.sendBeacon, which can set no header.",
    },
}
SERVER_ANSWERS: dict[str, Any] = {
    status: {"description": meaning, "content": {"text/html": {"schema": {"type": "string"}}}}
    for status, meaning in (
        ("414", "The address is longer than 4,094 bytes."),
        ("431", "There are more than 100 headers, or one is longer than 8,190 bytes."),
    )
}
"""What gunicorn answers by itself, whatever was asked, before a route sees the request."""
FORBIDDEN = "The key lacks the scope, or the request is of a page whose origin is not allowed."


class EventError(BaseModel):
    """One reason why something was refused."""

    model_config = ConfigDict(extra="forbid")

    index: int | None = Field(
        None, ge=0, description="Which event of the batch; absent when it is the body as a whole."
    )
    field: str = Field(description="The place, for example `properties.rating`; empty for all.")
    reason: str = Field(description="What is wrong there.")


class Answer(BaseModel):
    """What became of the events. Those that were accepted are in Kafka, acknowledged."""

    model_config = ConfigDict(extra="forbid")

    accepted: int = Field(ge=0)
    rejected: int = Field(ge=0)
    errors: list[EventError]


class ProblemDetails(BaseModel):
    """An error after RFC 9457; `accepted`, `rejected` and `errors` where events were read."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    accepted: int | None = None
    rejected: int | None = None
    errors: list[EventError] | None = None


class RecommendedMovie(BaseModel):
    """A movie of a list. What a model says of it, or what makes it popular, is there where it is known."""

    model_config = ConfigDict(extra="forbid")

    movie_id: int
    title: str | None = Field(description="Null while gold does not know the movie.")
    rank: int = Field(ge=1, description="1 is the best; of popular movies the place among all.")
    predicted_rating: float | None = Field(None, description="What the user would rate it, to 10.")
    score: float | None = Field(None, description="How like it is, to 1.")
    basis: str | None = Field(None, description="`taste`, or `content`: genres and keywords.")
    explanation: str | None = Field(None, description="Why, to be read by the user.")
    rating_count: int | None = None
    mean_rating: float | None = None


class Recommended(BaseModel):
    """A list of movies, the best first."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(description="`model`, or `fallback` where no model knew anything.")
    reason: str | None = Field(None, description="Why it is a fallback.")
    model_id: str | None = None
    movies: list[RecommendedMovie]


class State(BaseModel):
    """Whether the API answers, or can take events."""

    model_config = ConfigDict(extra="forbid")

    status: str


class EventsApi(OpenAPI):
    """The Flask app, with a document that holds the event contract."""

    def __init__(self) -> None:
        super().__init__(
            "cinelake.api",
            info=Info(
                title="Cinelake events API",
                version=__version__,
                description="Takes what people do with movies. 202 means: stored, acknowledged by the broker.",
            ),
            security_schemes=SECURITY_SCHEMES,
            static_folder=None,
        )

    def generate_spec_json(self) -> None:
        """Make the document; the event types are put in as they are, whatever keywords they use."""
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        schemas = self.spec_json["components"]["schemas"]
        schemas.pop(self.validation_error_model.__name__, None)
        schemas |= event_components()
        for model in (EventError, Answer, ProblemDetails, RecommendedMovie, Recommended, State):
            schemas[model.__name__] = model.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            schemas[model.__name__].pop("$defs", None)
        for path in self.spec_json["paths"].values():
            for operation in path.values():
                # The library's own answer to a wrong parameter, which no route here gives.
                _drop_library_answer(operation, self.validation_error_model.__name__)
                operation["responses"] = FIRST_ANSWERS | operation["responses"] | SERVER_ANSWERS


def _drop_library_answer(operation: dict[str, Any], model: str) -> None:
    answers = operation.get("responses", {})
    for status in list(answers):
        if model in str(answers[status]):
            del answers[status]


def key_with(scope: Scope) -> list[dict[str, list[str]]]:
    """What a route asks for: a key with that scope, in one of the places."""
    return [{name: [scope.value]} for name in SECURITY_SCHEMES]


def events_body() -> dict[str, Any]:
    """The request body of `POST /v1/events`: one event, an array of them, or an object with the array."""
    event = {"$ref": "#/components/schemas/Event"}
    batch = {"type": "array", "items": event, "minItems": 1, "maxItems": MAX_BATCH}
    wrapped = {
        "type": "object",
        "properties": {"events": batch},
        "required": ["events"],
        "additionalProperties": False,
    }
    schema = {"oneOf": [event, batch, wrapped]}
    return {
        "required": True,
        "description": f"At most {MAX_BODY_BYTES} bytes, plain or inflated from gzip.",
        "content": {JSON: {"schema": schema}, "text/plain": {"schema": {"type": "string"}}},
    }


def answer_of(model: type[BaseModel], description: str, media_type: str = JSON) -> dict[str, Any]:
    """A documented answer with a body."""
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": description, "content": {media_type: {"schema": reference}}}


def problem_of(description: str, *, retry_after: bool = False) -> dict[str, Any]:
    """A documented error."""
    documented = answer_of(ProblemDetails, description, PROBLEM)
    if retry_after:
        documented["headers"] = {
            "Retry-After": {
                "description": "Seconds until the same request may be sent again.",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    return documented


FIRST_ANSWERS: dict[str, Any] = {
    "400": problem_of("The request has no `Host`."),
    "403": problem_of("The request is of a page whose origin is not allowed."),
}
"""What is answered whatever was asked, by the first look at a request."""
