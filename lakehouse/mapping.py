"""A mapping says how to mend a message: steps of a YAML file that rename, cast, fill in and drop fields of its JSON.

A field is named by its dotted path, for example `context.locale`. A step whose field is not there is passed over.
"""

import json
import math
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from cinelake.errors import BadInputError

FieldPath = Annotated[str, StringConstraints(pattern=r"^[^.]+(\.[^.]+)*$")]
Document = dict[str, Any]

Scalar = str | int | float

# Python itself refuses to read much longer ones.
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rename(_Strict):
    """Move the value at `from` to `to`, in place of what stands there."""

    source: FieldPath = Field(alias="from")
    to: FieldPath

    @model_validator(mode="after")
    def _leads_elsewhere(self) -> "Rename":
        if f"{self.to}.".startswith(f"{self.source}."):
            raise ValueError(f"{self.to} is {self.source} itself or lies in it")
        return self


class Cast(_Strict):
    """Turn a value into another type; one that cannot be turned without loss stays as it is, as does null."""

    field: FieldPath
    type: Literal["int", "float", "string", "bool"]


class Default(_Strict):
    """Set a value where the field is missing or null."""

    field: FieldPath
    value: JsonValue

    @field_validator("value")
    @classmethod
    def _says_something(cls, value: JsonValue) -> JsonValue:
        if value is None:
            raise ValueError("null is what a missing field has already")
        return value


class Drop(_Strict):
    """Take a field out."""

    field: FieldPath


class Step(_Strict):
    """One change: exactly one of the four."""

    rename: Rename | None = None
    cast: Cast | None = None
    default: Default | None = None
    drop: Drop | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Step":
        given = [getattr(self, name) for name in self.model_fields_set]
        if len(given) != 1 or given[0] is None:
            raise ValueError("an entry holds exactly one of rename, cast, default and drop")
        return self


class Mapping(RootModel[tuple[Step, ...]]):
    """The steps, in the order in which they are taken."""

    model_config = ConfigDict(frozen=True)

    @property
    def canonical(self) -> str:
        """The steps as JSON with sorted keys: two files that mean the same give the same text."""
        steps = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return json.dumps(steps, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_mapping(path: Path) -> Mapping:
    """Read a mapping from YAML.

    Raises:
        BadInputError: The file cannot be read, or an entry is wrong; the message names the entry and its field.
    """
    try:
        return Mapping.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problems = str(error)
    raise BadInputError(
        f"{path} is not a mapping: {problems}",
        "Write a list of entries such as `- rename: {from: movie, to: movie_id}`;"
        " docs/operations.md shows each kind.",
    )


def _describe(problem: Any) -> str:
    place, *rest = problem["loc"] or ("the file",)
    entry = f"entry {place + 1}" if isinstance(place, int) else str(place)
    field = ".".join(map(str, rest))
    message = problem["msg"].removeprefix("Value error, ")
    return f"{entry}{f', {field}' if field else ''}: {message}"


def apply(mapping: Mapping, payload: bytes) -> bytes:
    """Mend one message.

    Args:
        mapping: The steps.
        payload: The bytes of a message.

    Returns:
        The JSON after all steps; the very same bytes when no step changed anything or they hold no JSON object.
    """
    document = _object(payload)
    if document is None:
        return payload
    is_changed = False
    for step in mapping.root:
        is_changed |= _take(step, document)
    return json.dumps(document, separators=(",", ":")).encode() if is_changed else payload


def _object(payload: bytes) -> Document | None:
    try:
        document = json.loads(payload.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} has no place in a double")
    return number


def _take(step: Step, document: Document) -> bool:
    """Take one step; whether it changed anything."""
    if step.rename:
        return _rename(step.rename, document)
    if step.cast:
        return _cast(step.cast, document)
    if step.default:
        return _fill_in(step.default, document)
    assert step.drop
    holder, name = _find(step.drop.field, document)
    return holder is not None and holder.pop(name, _MISSING) is not _MISSING


_MISSING = object()


def _rename(step: Rename, document: Document) -> bool:
    source, name = _find(step.source, document)
    if source is None or name not in source:
        return False
    target, new_name = _find(step.to, document, make=True)
    if target is None:
        return False
    value = source.pop(name)
    target[new_name] = value
    return True


def _cast(step: Cast, document: Document) -> bool:
    holder, name = _find(step.field, document)
    if holder is None or name not in holder:
        return False
    value = holder[name]
    turned = _TURNED[step.type](value) if isinstance(value, str | int | float) else None
    if turned is None or (type(turned) is type(value) and turned == value):
        return False
    holder[name] = turned
    return True


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _as_int(value: Scalar) -> int | None:
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value.strip()) else None
    return int(value) if value == int(value) else None


def _as_float(value: Scalar) -> float | None:
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if math.isinf(number) else number


def _as_bool(value: Scalar) -> bool | None:
    return _BOOLEANS.get(_text(value).strip().lower())


_TURNED: dict[str, Callable[[Scalar], Scalar | None]] = {
    "int": _as_int,
    "float": _as_float,
    "string": _text,
    "bool": _as_bool,
}
"""What turns a value into each type; None where no value of it says the same."""


def _fill_in(step: Default, document: Document) -> bool:
    holder, name = _find(step.field, document, make=True)
    if holder is None or holder.get(name) is not None:
        return False
    # A copy, as a later step may write into it.
    holder[name] = deepcopy(step.value)
    return True


def _find(path: str, document: Document, make: bool = False) -> tuple[Document | None, str]:
    """The object that holds a field, and the field's own name in it.

    Args:
        path: Dotted path of the field.
        document: Where to look.
        make: Make the objects on the way where they are missing or null.

    Returns:
        None for the object when there is none, or when something else stands in the way.
    """
    *parents, name = path.split(".")
    holder: Any = document
    for parent in parents:
        if make and holder.get(parent) is None:
            holder[parent] = {}
        holder = holder.get(parent)
        if not isinstance(holder, dict):
            return None, name
    return holder, name
