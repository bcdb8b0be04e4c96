"""JSON that every parser takes: it has no number that is none."""

import json
import math
from collections.abc import Mapping
from typing import Any


def strict_json(value: Any, **options: Any) -> str:
    """A value as JSON, with null in place of NaN and the infinities, which Python would write as they are.

    Args:
        value: What is to be written.
        options: As `json.dumps` takes them.

    Raises:
        TypeError: JSON has no such value, and `default` is not there to say what it is.
    """
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return [*map(_finite, value)] if isinstance(value, list | tuple) else value
