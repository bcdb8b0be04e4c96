"""The event contract: one model an event type, told apart by `event_type`.

A client makes every field of the envelope but four: `received_at`, `key_id`, `context.ip` and
`context.user_agent` are the server's own observation, so a client that sends them is refused. Validation is strict: nothing is turned
into the type it should have had. What passes goes to Kafka as one canonical JSON object (`envelope_bytes`).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, get_args
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails, PydanticCustomError

from cinelake.errors import BadInputError
from cinelake.pseudonyms import LONGEST_ID
from ingestion.json_limits import MAX_DEPTH, Problem, find_problems, printable

SCHEMA_VERSION = 1
"""The version of this contract. An event that names none is of version 1, now and later."""
NAMESPACE = UUID("5b1f6f0c-3f0e-5c55-9d3b-7a1f2f6f3f2a")
"""The namespace of every UUIDv5 event id that Cinelake itself makes (replay, simulation). Never change it."""
MAX_PROPERTIES_BYTES = 16 * 1024
MAX_PROBLEMS = 20
"""The answer about one event lists at most this many problems."""
MAX_SECONDS = 10_000_000
"""No film is longer than 116 days; positions of any number of plays can then be summed up."""
MAX_USER_AGENT = 8190
"""Characters of the `User-Agent` header: what the API's server takes of one header."""
NO_EVENT_ID = UUID(int=0)
"""Refused as an `event_id`: all events that had it would count as one."""
_NO_IDS = ("", "undefined", "null", "nan", "none", "[object object]", str(NO_EVENT_ID), "0", "-1")
PLACEHOLDERS = frozenset(f"{quote}{text}{quote}" for text in _NO_IDS for quote in ("", '"', "'"))
"""What programs write where they know no id, in lower case and without blanks around: it identifies nobody and nothing.

In quotes is how some write a text that they have turned into JSON once more.
"""
BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""What `str.strip` takes for a blank, for whoever trims by other means."""

# --- Fields -----------------------------------------------------------------------------------------------

RFC3339_PATTERN = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)"
"""A time with its offset from UTC."""
_RFC3339 = re.compile(RFC3339_PATTERN, re.ASCII)
_RFC3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3}|\.\d{6})?Z", re.ASCII)
_REST_OF_A_TIME = {
    len("2026-01-01T00:00:00Z"): ".000000Z",
    len("2026-01-01T00:00:00.000Z"): "000Z",
    len("2026-01-01T00:00:00.000000Z"): "Z",
}
"""What is put in place of the `Z`, by the length of the text."""


def utc_time(value: object) -> datetime:
    """The time that a text says, in UTC.

    Args:
        value: As RFC 3339 writes a time, with its offset from UTC.

    Raises:
        PydanticCustomError: It is none, or one before 1970 or after 9999; this is a ValueError too.
    """
    # Pydantic alone would also take numbers and strings of digits, as seconds since 1970.
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise PydanticCustomError(
            "timestamp",
            "should be a timestamp with its offset from UTC, for example 2026-01-01T00:00:00.000Z",
        )
    try:
        utc = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except ValueError:
        raise PydanticCustomError("timestamp", "should be a date and time that exist") from None
    except OverflowError:
        utc = _NEVER
    if utc.year < 1970:
        raise PydanticCustomError("timestamp_range", "should be a time from 1970 to 9999")
    return utc


_NEVER = datetime.min.replace(tzinfo=UTC)


def is_placeholder(text: str) -> bool:
    """Whether an id is one of `PLACEHOLDERS`, in capitals or small letters, with blanks around it or without."""
    return text.strip().lower() in PLACEHOLDERS


def _known(value: object) -> object:
    """A placeholder counts as missing."""
    return None if isinstance(value, str) and is_placeholder(value) else value


def _refuse_placeholder(text: str) -> str:
    if is_placeholder(text):
        raise PydanticCustomError(
            "placeholder", "is required; blanks and placeholders count as missing"
        )
    return text


def _refuse_no_event_id(event_id: UUID) -> UUID:
    if event_id == NO_EVENT_ID:
        raise PydanticCustomError("no_event_id", "should be an id of this event alone, not zeros")
    return event_id


def _refuse_inexact(rating: float) -> float:
    # Pydantic lets a multiple differ by a few billionths.
    if rating * 2 % 1:
        raise PydanticCustomError("multiple_of", "should be a multiple of 0.5")
    return rating


def _in_any_case(text: str) -> str:
    """A regular expression for a text, for readers that know no flag for capitals and small letters."""
    return "".join(
        f"[{letter.upper()}{letter}]"
        if letter.isalpha()
        else letter.replace("[", r"\[").replace("]", r"\]")
        for letter in text
    )


PLACEHOLDER_SCHEMA: JsonDict = {
    "pattern": rf"^\s*({'|'.join(map(_in_any_case, sorted(PLACEHOLDERS)))})\s*$"
}
"""JSON Schema of a text that is a placeholder."""
NO_EVENT_ID_SCHEMA: JsonDict = {"const": str(NO_EVENT_ID)}
IDENTIFIER = "identifier"
"""The format, in JSON Schema, of texts whose placeholders count as missing."""

# Lax, as a UUID comes as a string; what else Pydantic takes for one, JSON cannot hold.
EventId = Annotated[
    UUID,
    Field(strict=False, json_schema_extra={"not": NO_EVENT_ID_SCHEMA}),
    AfterValidator(_refuse_no_event_id),
]
Timestamp = Annotated[
    datetime,
    PlainValidator(utc_time, json_schema_input_type=Annotated[datetime, Field()]),
]
_Id = Annotated[
    str, StringConstraints(max_length=LONGEST_ID), Field(json_schema_extra={"format": IDENTIFIER})
]
Identifier = Annotated[
    str,
    StringConstraints(max_length=LONGEST_ID),
    AfterValidator(_refuse_placeholder),
    Field(json_schema_extra={"format": IDENTIFIER, "not": PLACEHOLDER_SCHEMA}),
]
OptionalIdentifier = Annotated[_Id | None, BeforeValidator(_known)]
MovieId = Annotated[int, Field(gt=0, lt=2**53)]
Version = Annotated[int, Field(ge=1, le=SCHEMA_VERSION)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
RatingValue = Annotated[
    float, Field(ge=0.5, le=10, multiple_of=0.5), AfterValidator(_refuse_inexact)
]
ShortText = Annotated[str, StringConstraints(max_length=256)]
LongText = Annotated[str, StringConstraints(max_length=4096)]
CommentText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROPERTIES_BYTES)]
Email = Annotated[str, StringConstraints(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
BirthYear = Annotated[int, Field(ge=1900, le=2100)]

# --- Properties, one model for each event type that has any -------------------------------------------------


class Properties(BaseModel):
    """What an event type says beyond the envelope. Further properties are allowed and kept."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    def given(self) -> dict[str, Any]:
        """The properties that the client sent."""
        # `model_dump` without its two dozen options, which cost more than the few values.
        given: dict[str, Any] = self.__pydantic_serializer__.to_python(self, exclude_unset=True)
        return given


class PageProperties(Properties):
    """Of `page_view`."""

    path: LongText | None = None
    title: LongText | None = None


class PlayProperties(Properties):
    """Of `play`. `play_id` ties a play to its progress and its end."""

    play_id: OptionalIdentifier = None
    position_seconds: Seconds | None = None


class PlayProgressProperties(Properties):
    """Of `play_progress`."""

    play_id: OptionalIdentifier = None
    position_seconds: Seconds


class PlayCompleteProperties(Properties):
    """Of `play_complete`."""

    play_id: OptionalIdentifier = None
    position_seconds: Seconds | None = None


class SearchProperties(Properties):
    """Of `search`."""

    query: LongText


class RatingProperties(Properties):
    """Of `rating`: 0.5 to 10 in steps of 0.5."""

    rating: RatingValue


class CommentProperties(Properties):
    """Of `comment`; an answer names the comment it answers."""

    comment_id: Identifier
    text: CommentText
    parent_comment_id: OptionalIdentifier = None


class CommentEditProperties(Properties):
    """Of `comment_edit`."""

    comment_id: Identifier
    text: CommentText


class CommentDeleteProperties(Properties):
    """Of `comment_delete`."""

    comment_id: Identifier


class CommentVoteProperties(Properties):
    """Of `comment_vote`; `none` takes an earlier vote back."""

    comment_id: Identifier
    vote: Literal["up", "down", "none"]


class ReactionProperties(Properties):
    """Of `movie_reaction`; `none` takes an earlier reaction back."""

    reaction: Literal["like", "dislike", "none"]


class UserProperties(Properties):
    """Of `user_upsert`: what a user says of themself. E-mail is pseudonymised before silver."""

    name: ShortText | None = None
    email: Email | None = None
    country: CountryCode | None = None
    locale: ShortText | None = None
    birth_year: BirthYear | None = None
    timezone: ShortText | None = None


# --- Envelope -----------------------------------------------------------------------------------------------


class Context(BaseModel):
    """What the client says of itself; the server adds `user_agent` and `ip`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    locale: ShortText | None = None
    referrer: LongText | None = None
    app_version: ShortText | None = None
    screen: ShortText | None = None


class Envelope(BaseModel):
    """The fields that every event has. Each event needs a `user_id` or an `anonymous_id`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={
            "anyOf": [
                {
                    "required": [name],
                    "properties": {name: {"type": "string", "not": PLACEHOLDER_SCHEMA}},
                }
                for name in ("user_id", "anonymous_id")
            ]
        },
    )

    event_id: EventId
    event_type: str
    schema_version: Version = SCHEMA_VERSION
    occurred_at: Timestamp
    user_id: OptionalIdentifier = None
    anonymous_id: OptionalIdentifier = None
    session_id: OptionalIdentifier = None
    movie_id: MovieId | None = None
    context: Context | None = None
    properties: Properties | None = None


class _OfMovie(Envelope):
    movie_id: MovieId


class _OfUser(Envelope):
    user_id: Identifier


class _OfUserAndMovie(Envelope):
    user_id: Identifier
    movie_id: MovieId


# --- Event types --------------------------------------------------------------------------------------------


class PageView(Envelope):
    """A page was shown."""

    event_type: Literal["page_view"]
    properties: PageProperties | None = None


class MovieView(_OfMovie):
    """The page of a movie was shown."""

    event_type: Literal["movie_view"]


class Play(_OfMovie):
    """A movie was started, or taken up again at a position."""

    event_type: Literal["play"]
    properties: PlayProperties | None = None


class PlayProgress(_OfMovie):
    """A movie has played up to a position."""

    event_type: Literal["play_progress"]
    properties: PlayProgressProperties


class PlayComplete(_OfMovie):
    """A movie has played to its end."""

    event_type: Literal["play_complete"]
    properties: PlayCompleteProperties | None = None


class Search(Envelope):
    """Someone searched."""

    event_type: Literal["search"]
    properties: SearchProperties


class Rating(_OfUserAndMovie):
    """A user rated a movie; a later rating replaces it."""

    event_type: Literal["rating"]
    properties: RatingProperties


class RatingRemoved(_OfUserAndMovie):
    """A user took the rating of a movie back."""

    event_type: Literal["rating_removed"]


class Comment(_OfUserAndMovie):
    """A user wrote a comment on a movie."""

    event_type: Literal["comment"]
    properties: CommentProperties


class CommentEdit(_OfUser):
    """A user changed a comment."""

    event_type: Literal["comment_edit"]
    properties: CommentEditProperties


class CommentDelete(_OfUser):
    """A user deleted a comment."""

    event_type: Literal["comment_delete"]
    properties: CommentDeleteProperties


class CommentVote(_OfUser):
    """A user voted on a comment."""

    event_type: Literal["comment_vote"]
    properties: CommentVoteProperties


class MovieReaction(_OfUserAndMovie):
    """A user liked or disliked a movie."""

    event_type: Literal["movie_reaction"]
    properties: ReactionProperties


class WatchlistAdd(_OfUserAndMovie):
    """A user put a movie on the watchlist."""

    event_type: Literal["watchlist_add"]


class WatchlistRemove(_OfUserAndMovie):
    """A user took a movie off the watchlist."""

    event_type: Literal["watchlist_remove"]


class UserUpsert(_OfUser):
    """A user signed up or changed the profile."""

    event_type: Literal["user_upsert"]
    properties: UserProperties | None = None


class SessionStart(Envelope):
    """A client opened a session."""

    event_type: Literal["session_start"]


class SessionEnd(Envelope):
    """A client closed a session."""

    event_type: Literal["session_end"]


_AnyEvent = (
    PageView
    | MovieView
    | Play
    | PlayProgress
    | PlayComplete
    | Search
    | Rating
    | RatingRemoved
    | Comment
    | CommentEdit
    | CommentDelete
    | CommentVote
    | MovieReaction
    | WatchlistAdd
    | WatchlistRemove
    | UserUpsert
    | SessionStart
    | SessionEnd
)
Event: TypeAlias = Annotated[_AnyEvent, Field(discriminator="event_type")]
_ADAPTER: TypeAdapter[Envelope] = TypeAdapter(Event)
# Past the adapter's own method, whose options cost a tenth of a check.
_VALIDATE: Callable[[object], Envelope] = _ADAPTER.validator.validate_python

EVENT_TYPES: tuple[str, ...] = tuple(
    get_args(model.model_fields["event_type"].annotation)[0] for model in get_args(_AnyEvent)
)

# --- Validation ---------------------------------------------------------------------------------------------


class InvalidEventError(BadInputError):
    """An event does not keep to the contract.

    Args:
        problems: What is wrong, at least one.
    """

    def __init__(self, problems: list[Problem]) -> None:
        listed = "; ".join(f"{problem.field or 'event'}: {problem.reason}" for problem in problems)
        super().__init__(f"The event is not valid: {listed}", "GET /v1/schema shows the contract.")
        self.problems = problems


def validate_event(raw: Any, is_clean: bool = False) -> Envelope:
    """Check one parsed event against the contract.

    Args:
        raw: The parsed JSON value, as a client sent it.
        is_clean: It is known already that `find_problems` has nothing to say of its texts and numbers.

    Returns:
        The event as the model of its type, times in UTC.

    Raises:
        InvalidEventError: It does not keep to the contract; `problems` says where and why.
    """
    if not isinstance(raw, dict):
        raise InvalidEventError([Problem("", "should be a JSON object")])
    if not (is_clean and _is_flat(raw)):
        problems = list(islice(find_problems(raw), MAX_PROBLEMS))
        if problems:
            raise InvalidEventError(problems)
    if len(orjson.dumps(raw.get("properties"))) > MAX_PROPERTIES_BYTES:
        raise InvalidEventError(
            [Problem("properties", f"is longer than {MAX_PROPERTIES_BYTES} bytes")]
        )
    try:
        event = _VALIDATE(raw)
    except ValidationError as error:
        details = islice(error.errors(include_url=False, include_input=False), MAX_PROBLEMS)
        raise InvalidEventError([_problem(detail) for detail in details]) from None
    if event.user_id is None and event.anonymous_id is None:
        reason = "is required where there is no anonymous_id"
        raise InvalidEventError([Problem("user_id", reason)])
    return event


_NESTING = {dict, list}


def _is_flat(raw: dict[str, Any]) -> bool:
    """Whether no property nests: everywhere else the contract has no room for what does."""
    properties = raw.get("properties")
    return type(properties) is not dict or _NESTING.isdisjoint(map(type, properties.values()))


_REASONS = {
    "extra_forbidden": "is not a field of this event",
    "missing": "is required",
    "model_type": "should be a JSON object",
    "uuid_type": "should be a string",
}
_SET_BY_SERVER = {"received_at", "key_id", "context.ip", "context.user_agent"}


def _problem(detail: ErrorDetails) -> Problem:
    """Pydantic's finding in our words. None repeats the client's own values, which may be long or private."""
    kind = detail["type"]
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        missing = kind == "union_tag_not_found"
        return Problem(
            "event_type", "is required" if missing else f"should be one of {', '.join(EVENT_TYPES)}"
        )
    # The first part is the event type, by which the union chose the model.
    field = printable(".".join(str(part) for part in detail["loc"][1:]))
    if kind == "extra_forbidden" and field in _SET_BY_SERVER:
        return Problem(field, "is set by the server; leave it out")
    if field == "properties.email" and kind == "string_pattern_mismatch":
        return Problem(field, "should be an e-mail address")
    reason = _REASONS.get(kind) or detail["msg"].removeprefix("Input ").removeprefix("String ")
    return Problem(field, reason)


# --- The canonical form -------------------------------------------------------------------------------------

ENVELOPE_FIELDS = (
    *("event_type", "event_id", "schema_version", "occurred_at", "received_at", "key_id"),
    *("user_id", "anonymous_id", "session_id", "movie_id", "context", "properties"),
)
"""The fields of the canonical form, in its order."""
CONTEXT_FIELDS = ("user_agent", "ip", "locale", "referrer", "app_version", "screen")
"""Those of its context."""

SPARK_ENVELOPE_DDL = (
    "event_id string, event_type string, schema_version int, occurred_at string, received_at string,"
    " key_id string, user_id string, anonymous_id string, session_id string, movie_id bigint,"
    " context struct<user_agent: string, ip: string, locale: string, referrer: string,"
    " app_version: string, screen: string>"
)
"""The canonical form for Spark's `from_json`, without `properties`, whose shape depends on the event type."""


def iso_utc(moment: datetime) -> str:
    """A time as every JSON of ours writes it, for example `2026-01-01T00:00:00.000000Z`."""
    # orjson writes microseconds only where there are any, and does it several times as fast as `isoformat`.
    text = orjson.dumps(moment.astimezone(UTC), option=orjson.OPT_UTC_Z)[1:-2].decode()
    return f"{text}Z" if moment.microsecond else f"{text}.000000Z"


def iso_utc_of(text: str) -> str:
    """The time that a client's text says, as `iso_utc` writes it.

    Args:
        text: As RFC 3339 writes a time; most are in UTC already, of which only the fraction is filled up.

    Raises:
        PydanticCustomError: As `utc_time` does.
    """
    if _RFC3339_UTC.fullmatch(text) and text >= "1970":
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text[:-1] + _REST_OF_A_TIME[len(text)]
    return iso_utc(utc_time(text))


class Observed(NamedTuple):
    """What the server knows of a request, and no client may say.

    Args:
        received_at: When it was taken, as `iso_utc` writes it.
        ip: The address it came from.
        user_agent: The `User-Agent` header it came with.
        key_id: The id of the API key it came with.
    """

    received_at: str
    ip: str | None
    user_agent: str | None
    key_id: str | None


_NO_CONTEXT = Context()


def envelope_bytes(event: Envelope, observed: Observed) -> bytes:
    """The canonical JSON of an event: every field of the envelope, null where there is no value.

    Args:
        event: A validated event.
        observed: What the server adds.

    Returns:
        The value of the Kafka message; its fields stand in the order of `ENVELOPE_FIELDS` and `CONTEXT_FIELDS`.
    """
    context = event.context or _NO_CONTEXT
    return orjson.dumps(
        {
            "event_type": event.event_type,
            "event_id": event.event_id,
            "schema_version": event.schema_version,
            "occurred_at": iso_utc(event.occurred_at),
            "received_at": observed.received_at,
            "key_id": observed.key_id,
            "user_id": event.user_id,
            "anonymous_id": event.anonymous_id,
            "session_id": event.session_id,
            "movie_id": event.movie_id,
            "context": {
                "user_agent": observed.user_agent,
                "ip": observed.ip,
                "locale": context.locale,
                "referrer": context.referrer,
                "app_version": context.app_version,
                "screen": context.screen,
            },
            "properties": event.properties and event.properties.given(),
        }
    )


def partition_key(event: Envelope) -> bytes:
    """The key of the Kafka message: one visitor's events share a partition, and so keep their order."""
    return (event.user_id or event.anonymous_id or "").encode()


def visitor_of(event: dict[str, Any]) -> str:
    """Whose a valid event is, as it was sent: the user, or else the anonymous id."""
    ids = (event.get("user_id"), event.get("anonymous_id"))
    return next((text for text in ids if text is not None and not is_placeholder(text)), "")


def json_schema() -> dict[str, Any]:
    """The contract as JSON Schema, each released version by its number.

    Rules that JSON Schema cannot say are in its description.
    """
    schema = _ADAPTER.json_schema()
    schema["title"] = f"Cinelake event, version {SCHEMA_VERSION}"
    schema["description"] = (
        "Text contains no NUL character and no lone surrogate; numbers are finite and integers fit 64 bits;"
        f" properties take at most {MAX_PROPERTIES_BYTES} bytes of JSON and nest at most {MAX_DEPTH} levels;"
        " times carry an offset from UTC; a placeholder in a text of the format identifier counts as missing:"
        f" {', '.join(sorted(filter(None, _NO_IDS)))}, each also in quotes, or blanks alone. The server sets received_at, context.ip and context.user_agent."
    )
    return {"current_version": SCHEMA_VERSION, "versions": {str(SCHEMA_VERSION): schema}}


def event_components() -> dict[str, Any]:
    """The schemas of the current version for an OpenAPI document: `Event`, and what it refers to, by name."""
    schema = _ADAPTER.json_schema(ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = schema.pop("$defs")
    return {**definitions, "Event": schema}
