"""Types for msgspec, which checks JSON while it parses it, made of the event contract's JSON Schema."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ingestion.events import (
    CONTEXT_FIELDS,
    ENVELOPE_FIELDS,
    IDENTIFIER,
    NO_EVENT_ID_SCHEMA,
    PLACEHOLDER_SCHEMA,
)

Schema: TypeAlias = dict[str, Any]
Field: TypeAlias = tuple[str, Any] | tuple[str, Any, Any]
"""Name, type, and what it is by default, as `defstruct` takes a field."""

_LARGEST_EXACT = 2**53
"""Beyond it a double cannot tell an integer from the next, and the models refuse integers that fill no 64 bits."""
_PLAIN = {"string": str, "integer": int, "number": float}
_LIMITS = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
"""JSON Schema's limits by msgspec's names for them."""
_EXPLAINS = {"title", "description", "default"}
"""What limits nothing."""
_OF_OBJECTS = {"type", "properties", "required", "additionalProperties"}
_LEFT_TO_READERS = (PLACEHOLDER_SCHEMA, NO_EVENT_ID_SCHEMA)
"""What a value is not: told apart by whoever reads, as msgspec knows no such rule."""
_TAG = "event_type"
_CONTEXT = "Context"
_VISITOR = "anyOf"
"""Of an event: it needs one of the two fields that say whose it is."""


class StructEvent(msgspec.Struct, forbid_unknown_fields=True, tag_field="event_type", gc=False):
    """An event, with the fields of the canonical form; `occurred_at` is the client's text.

    What the server adds is not set, and no client can set it. Once it is, msgspec writes the canonical form.
    """

    event_type: ClassVar[str]
    property_ids: ClassVar[tuple[str, ...]]
    """Properties that are ids, of which placeholders count as missing."""


class NotTranslatableError(Exception):
    """A schema says what msgspec would not check, or not in the same way."""


class EventTypes:
    """The types of the events of a contract.

    Each takes a part of what the schema takes: no further properties, and no number beyond what a double tells apart.
    Of the schema's rules, that an event needs a visitor, that a time has to be one and that an id is no placeholder
    are left to whoever reads.

    Args:
        schema: The JSON Schema of one version of the contract.

    Raises:
        NotTranslatableError: The context, which all events have, cannot be translated.
    """

    def __init__(self, schema: Schema) -> None:
        self._definitions: dict[str, Schema] = schema["$defs"]
        self._events: dict[str, str] = schema["discriminator"]["mapping"]
        self.context = self._part(self._definitions[_CONTEXT], CONTEXT_FIELDS)
        """The type of an event's context."""

    def __iter__(self) -> Iterator[Any]:
        """A `StructEvent` for each event type; none for one that cannot be translated."""
        for event_type, reference in self._events.items():
            schema = self._definition(reference)
            try:
                fields = self._fields(schema, left={_VISITOR, _TAG})
            except NotTranslatableError:
                continue
            yield msgspec.defstruct(
                schema["title"],
                _in_order(fields, [name for name in ENVELOPE_FIELDS if name != _TAG]),
                bases=(StructEvent,),
                namespace={
                    "event_type": event_type,
                    "property_ids": self._property_ids(schema["properties"]["properties"]),
                },
                tag=event_type,
                kw_only=True,
                gc=False,
            )

    def _property_ids(self, schema: Schema) -> tuple[str, ...]:
        """The names of those properties that are ids."""
        for reference in (
            option["$ref"] for option in schema.get("anyOf", [schema]) if "$ref" in option
        ):
            return tuple(
                name
                for name, said in self._definition(reference)["properties"].items()
                if IDENTIFIER in (option.get("format") for option in said.get("anyOf", [said]))
            )
        return ()

    def _definition(self, reference: str) -> Schema:
        return self._definitions[reference.rpartition("/")[2]]

    def _fields(self, schema: Schema, left: AbstractSet[str] = frozenset()) -> list[Field]:
        """The fields of an object, as `defstruct` takes them, without the rules and fields that are `left` to others."""
        further = schema.keys() - _OF_OBJECTS - _EXPLAINS - left
        if further:
            raise NotTranslatableError(f"msgspec would not check {further} of {schema}")
        fields: list[Field] = []
        for name, said in schema["properties"].items():
            if name in left:
                continue
            kind = self._type(said)
            if name in schema.get("required", ()):
                fields.append((name, kind))
            elif schema["additionalProperties"]:
                # Of properties the canonical form has what was sent, and so null where that was sent.
                fields.append((name, kind | UnsetType, UNSET))
            else:
                fields.append((name, kind, said["default"]))
        return fields

    def _type(self, schema: Schema) -> Any:
        kind: Any = None
        more = {word: value for word, value in schema.items() if word not in _EXPLAINS}
        if more.get("not") in _LEFT_TO_READERS:
            del more["not"]
        match more:
            case {"$ref": reference, **more}:
                part = self._definition(reference)
                kind = self.context if part["title"] == _CONTEXT else self._part(part)
            case {"anyOf": options, **more}:
                kind = reduce(or_, map(self._type, options))
            case {"type": "string", "enum": words, **more}:
                kind = Literal[tuple(words)]
            case {"type": "string", "format": "uuid", **more}:
                kind = UUID
            case {"type": "string", "format": "date-time", **more}:
                kind = str
            case {"type": "string", "format": "identifier", **limits} if (
                limits.keys() <= _LIMITS.keys()
            ):
                kind, more = _limited("string", limits), {}
            case {"type": "string" | "integer" | "number" as name, **limits} if (
                limits.keys() <= _LIMITS.keys()
            ):
                kind, more = _limited(name, limits), {}
            case {"type": "null", **more}:
                pass
        if more:
            raise NotTranslatableError(f"msgspec would not check {more} of {schema}")
        return kind

    def _part(self, schema: Schema, order: Sequence[str] = ()) -> type[msgspec.Struct]:
        """An object within an event, its fields in the order of the schema unless another one is given."""
        fields = self._fields(schema)
        return msgspec.defstruct(
            schema["title"],
            _in_order(fields, order) if order else fields,
            kw_only=True,
            forbid_unknown_fields=True,
            gc=False,
        )


def _in_order(fields: list[Field], order: Sequence[str]) -> list[Field]:
    """Fields in the order of the canonical form, with those that the server adds.

    Raises:
        KeyError: The canonical form does not have a field of the schema.
    """
    placed: dict[str, Field] = {name: (name, UnsetType, UNSET) for name in order}
    for field in fields:
        del placed[field[0]]
    return sorted([*placed.values(), *fields], key=lambda field: order.index(field[0]))


def _limited(name: str, limits: Schema) -> Any:
    """A string or a number within limits."""
    if name == "number":
        limits = {"minimum": -_LARGEST_EXACT, "maximum": _LARGEST_EXACT} | limits
    named = {_LIMITS[word]: limit for word, limit in limits.items()}
    return Annotated[_PLAIN[name], Meta(**named)]
