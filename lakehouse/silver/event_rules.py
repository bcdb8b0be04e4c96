"""The event contract as rules on messages: what the API refuses of a client, silver sets aside of any other producer.

They are read off the contract's JSON Schema (`ingestion.events`), so that each type and limit stands once. Silver is
laxer in one thing: it passes over a field of the envelope that it does not know, as a newer producer may send it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from ingestion.events import (
    BLANKS,
    CONTEXT_FIELDS,
    ENVELOPE_FIELDS,
    IDENTIFIER,
    MAX_PROPERTIES_BYTES,
    MAX_USER_AGENT,
    NO_EVENT_ID,
    PLACEHOLDERS,
    SCHEMA_VERSION,
    json_schema,
)
from ingestion.json_limits import MAX_DEPTH
from lakehouse.quarantine import IN_WORDS, Rule, first_broken, whole_text

Schema = dict[str, Any]

JUDGED_ELSEWHERE = ("event_type", "occurred_at", "received_at")
"""Fields with rules of their own: the contract of `silver.events` has the types, and times come as texts."""
_OBSERVED: dict[str, Schema] = {
    "key_id": {"type": "string"},
    "context.ip": {"type": "string"},
    "context.user_agent": {"type": "string", "maxLength": MAX_USER_AGENT},
}
"""What the API adds; a client may not send it, so the schema has none of it."""
_KINDS = {
    "string": ("a text", r"^STRING$"),
    "integer": ("a whole number", r"^BIGINT$"),
    "number": ("a number", r"^(BIGINT|DECIMAL.*|DOUBLE)$"),
    "object": ("an object", "^OBJECT"),
}
"""By JSON Schema's names: what a person reads, and how Spark names the types of such values."""


class Field(NamedTuple):
    """A place of an event where the contract limits the value.

    Args:
        place: For example `properties.rating`.
        schema: Its JSON Schema, without the alternative of null.
        is_required: Whether null, a placeholder or nothing is refused.
        event_types: Where it is so; empty for all.
    """

    place: str
    schema: Schema
    is_required: bool
    event_types: tuple[str, ...]


# --- What the contract says -----------------------------------------------------------------------------------


@cache
def fields() -> tuple[Field, ...]:
    """Every place that the contract limits, in the order of the envelope; one entry for each way of limiting it."""
    schema = json_schema()["versions"][str(SCHEMA_VERSION)]
    definitions: dict[str, Schema] = schema["$defs"]
    said: dict[str, tuple[Schema, bool]] = {}
    types: dict[str, list[str]] = defaultdict(list)
    events = schema["discriminator"]["mapping"]
    for event_type, reference in events.items():
        for place, limits, is_required in _places(_definition(definitions, reference), definitions):
            found = f"{place} {is_required} {sorted(limits.items(), key=str)}"
            said[found] = (limits, is_required)
            types[found].append(event_type)
    listed = [
        Field(
            found.split()[0],
            limits,
            is_required,
            () if len(types[found]) == len(events) else tuple(types[found]),
        )
        for found, (limits, is_required) in said.items()
    ]
    # Which types there are says the contract of `silver.events`; here, that one is a text.
    listed += [
        Field(place, limits, False, ())
        for place, limits in {"event_type": {"type": "string"}, **_OBSERVED}.items()
    ]
    return tuple(sorted(listed, key=lambda field: _order(field.place)))


def _places(
    model: Schema, definitions: dict[str, Schema], within: str = ""
) -> Iterator[tuple[str, Schema, bool]]:
    """Each place in an object, the limits of its value, and whether it must have one."""
    for name, said in model["properties"].items():
        place = f"{within}{name}"
        if place in JUDGED_ELSEWHERE:
            continue
        (limits,) = (one for one in said.get("anyOf", [said]) if one.get("type") != "null")
        is_required = name in model.get("required", ())
        if "$ref" in limits:
            inner = _definition(definitions, limits["$ref"])
            yield place, {"type": "object"}, is_required
            yield from _places(inner, definitions, f"{place}.")
        else:
            yield (
                place,
                {k: v for k, v in limits.items() if k not in ("title", "default")},
                is_required,
            )


def _definition(definitions: dict[str, Schema], reference: str) -> Schema:
    return definitions[reference.rpartition("/")[2]]


def _order(place: str) -> tuple[int, int]:
    top, _, below = place.partition(".")
    within = CONTEXT_FIELDS.index(below) if top == "context" and below else 0
    return ENVELOPE_FIELDS.index(top), within


# --- As rules ---------------------------------------------------------------------------------------------------


@cache
def wrong_type() -> Column:
    """A struct of `rule` and `reason` of the first value of another type than the contract says; null where none is.

    Needs the columns `json` (the message as a variant) and `event.event_type`.
    """
    return first_broken([_mistyped(field, "event.event_type") for field in fields()])


@cache
def beyond_limits() -> Column:
    """The same of the first value that is missing or not within the contract's limits; types are right by then.

    Needs the columns `json` and `event_type`.
    """
    return first_broken([rule for field in fields() for rule in _beyond(field, "event_type")])


_PLACEHOLDER = rf"^({'|'.join(map(re.escape, sorted(PLACEHOLDERS)))})\z"


def known(text: Column) -> Column:
    """An id, or null where it is a placeholder."""
    trimmed = F.lower(F.btrim(text, F.lit(BLANKS)))
    return F.when(~trimmed.rlike(_PLACEHOLDER), text)


def property_ids() -> dict[str, tuple[str, ...]]:
    """By event type the names of the properties that are ids."""
    found: dict[str, list[str]] = defaultdict(list)
    for field in fields():
        top, _, name = field.place.partition(".")
        if top == "properties" and field.schema.get("format") == IDENTIFIER:
            for event_type in field.event_types:
                found[event_type].append(name)
    return {event_type: tuple(names) for event_type, names in found.items()}


def property_lengths() -> dict[str, int]:
    """By name the most characters of the properties that are texts; where types of event differ, the fewest."""
    found: dict[str, int] = {}
    for field in fields():
        top, _, name = field.place.partition(".")
        if top == "properties" and "maxLength" in field.schema:
            longest = field.schema["maxLength"]
            found[name] = min(longest, found.get(name, longest))
    return found


def _of_types(field: Field, broken: Column, event_type: str) -> Column:
    """True only for the types of event that the field is limited of."""
    return _is_one_of(event_type, field.event_types) & broken if field.event_types else broken


@cache
def _is_one_of(event_type: str, names: tuple[str, ...]) -> Column:
    return F.col(event_type).isin(*names)


def _mistyped(field: Field, event_type: str) -> Rule:
    name, kinds = _KINDS[field.schema["type"]]
    kind = F.schema_of_variant(_variant(field.place))
    # Of a field that may not be null, null is no value of its type either; most are called missing, further on.
    broken = ~kind.rlike(f"{kinds}|^VOID$")
    reason = f"{field.place} should be {name}"
    form = _form(field.place, kind)
    return Rule("wrong_type", reason, _of_types(field, broken, event_type), form, IN_WORDS)


def _form(place: str, kind: Column) -> Column:
    """What a value is, without saying which."""
    length = F.char_length(F.try_variant_get("json", f"$.{place}", "string"))
    return (
        F.when(kind == "STRING", _of_length(length))
        .when(kind.startswith("OBJECT"), "an object")
        .when(kind.startswith("ARRAY"), "a list")
        .when(kind == "BOOLEAN", "true or false")
        .otherwise("a number")
    )


def _of_length(length: Column) -> Column:
    return F.format_string("a text of %d characters", length)


def _beyond(field: Field, event_type: str) -> Iterator[Rule]:
    value = _value(field)
    for rule in _limits(field.place, field.schema, field.is_required, value):
        yield replace(rule, broken=_of_types(field, rule.broken, event_type))


def _limits(place: str, schema: Schema, is_required: bool, value: Column) -> Iterator[Rule]:
    if is_required:
        yield Rule("missing_field", f"{place} is missing", value.isNull())
    if schema.get("format") == "uuid":
        reason = f"{place} is all zeros, and no id of this event alone"
        yield Rule("not_a_uuid", reason, F.lower(value) == str(NO_EVENT_ID))
    if "enum" in schema:
        reason = f"{place} is none of {', '.join(schema['enum'])}"
        yield Rule("value_not_allowed", reason, ~value.isin(*schema["enum"]))
    yield from _ranges(place, schema, value)
    if schema["type"] == "string":
        yield from _lengths(place, schema, value)


def _ranges(place: str, schema: Schema, value: Column) -> Iterator[Rule]:
    if "minimum" in schema:
        yield Rule(
            "out_of_range", f"{place} is below {schema['minimum']:g}", value < schema["minimum"]
        )
    if "exclusiveMinimum" in schema:
        lowest = schema["exclusiveMinimum"]
        yield Rule("out_of_range", f"{place} is not above {lowest:g}", value <= lowest)
    if "maximum" in schema:
        yield Rule(
            "out_of_range", f"{place} is above {schema['maximum']:,.15g}", value > schema["maximum"]
        )
    if "exclusiveMaximum" in schema:
        highest = schema["exclusiveMaximum"]
        yield Rule("out_of_range", f"{place} is not below {highest:,}", value >= highest)
    if "multipleOf" in schema:
        step = schema["multipleOf"]
        yield Rule("out_of_range", f"{place} is not a multiple of {step:g}", value / step % 1 != 0)


def _lengths(place: str, schema: Schema, value: Column) -> Iterator[Rule]:
    length = F.char_length(value)
    form = _of_length(length)
    if "maxLength" in schema:
        reason = f"{place} is longer than {schema['maxLength']} characters"
        yield Rule("out_of_range", reason, length > schema["maxLength"], form, IN_WORDS)
    if "minLength" in schema:
        reason = f"{place} is shorter than {schema['minLength']} characters"
        yield Rule("out_of_range", reason, length < schema["minLength"], form, IN_WORDS)
    if "pattern" in schema:
        reason = f"{place} does not match {schema['pattern']}"
        broken = ~value.rlike(_java(schema["pattern"]))
        yield Rule("bad_format", reason, broken, form, IN_WORDS)


def _java(pattern: str) -> str:
    """A pattern as Java reads it: classes are Unicode's, and the end is not before a last line break."""
    return f"(?U){whole_text(pattern)}"


def _value(field: Field) -> Column:
    types = {"string": "string", "integer": "bigint", "number": "double", "object": "variant"}
    value = F.try_variant_get("json", f"$.{field.place}", types[field.schema["type"]])
    if field.schema["type"] == "object":
        return F.when(F.schema_of_variant(value) != "VOID", value)
    return known(value) if field.schema.get("format") == IDENTIFIER else value


def _variant(place: str) -> Column:
    return F.try_variant_get("json", f"$.{place}", "variant")


# --- Of the message as a whole ------------------------------------------------------------------------------------

_GOOD_ESCAPE = r"\\([^u]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
"""An escape in JSON that makes a character; what is left of a text without them holds half of a pair."""
_LONG_NUMBER = r"[:\[,]\s*-?\d(?:[\d.]{18}|[\d.]*[eE]\+?\d{3})"
"""A number that may be beyond 64 bits, or beyond a double."""
_NUMBER = r"(?<![\d.eE+-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"


LONGEST_PROPERTIES = 2 * MAX_PROPERTIES_BYTES
"""Bytes of properties as Spark writes them anew: of numbers with a fraction or an exponent it makes more characters than
were sent (`12345678.9` becomes `1.23456789E7`), and fewer than twice as many."""


def text_rules() -> list[Rule]:
    """What is JSON, and still nothing that every store could hold, or more than the contract takes as a whole.

    Needs the columns `text` and `sent_properties`.
    """
    text, properties = F.col("text"), F.col("sent_properties")
    # Each is costly, and so only looked into where the message holds what it takes to break it.
    has_surrogate = text.contains("\\ud") | text.contains("\\uD")
    is_half = F.regexp_replace(text, _GOOD_ESCAPE, "").contains("\\")
    brackets = F.length(properties) - F.length(F.translate(properties, "{[", ""))
    is_beyond = F.exists(
        F.regexp_extract_all(_without_texts(text), F.lit(_NUMBER), F.lit(0)),
        lambda found: (
            (found.rlike(r"^-?\d+$") & found.try_cast("bigint").isNull())
            | (F.abs(found.try_cast("double")) == float("inf"))
        ),
    )
    return [
        Rule(
            "text_not_storable",
            "a text holds half of a surrogate pair",
            F.when(has_surrogate, is_half),
        ),
        Rule(
            "out_of_range",
            "a number is beyond 64 bits or not finite",
            F.when(text.rlike(_LONG_NUMBER), is_beyond),
        ),
        Rule(
            "out_of_range",
            f"properties nests deeper than {MAX_DEPTH} levels",
            F.when(brackets > MAX_DEPTH, _is_deeper(properties)),
        ),
        Rule(
            "out_of_range",
            f"properties is longer than {LONGEST_PROPERTIES} bytes",
            F.octet_length(properties) > LONGEST_PROPERTIES,
        ),
    ]


def _without_texts(json: Column) -> Column:
    """JSON without its texts and names: its numbers and its structure."""
    return F.regexp_replace(F.regexp_replace(json, r"\\.", ""), '"[^"]*"', "")


def _is_deeper(json: Column) -> Column:
    """Whether JSON nests deeper than `MAX_DEPTH`: each step takes the innermost brackets away."""
    pairs = F.regexp_replace(_without_texts(json), r"[^{}\[\]]", "")
    for _ in range(MAX_DEPTH):
        pairs = F.regexp_replace(pairs, r"\{\}|\[\]", "")
    return pairs != ""
