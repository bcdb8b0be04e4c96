"""Chance that repeats itself: the same name, the same sequence, on every machine."""

import random


def chance_of(*name: object) -> random.Random:
    """A random generator whose seed is a name, for example `chance_of("visit", seed, visitor, day)`."""
    return random.Random(":".join(map(str, name)))  # noqa: S311 - nothing here is a secret
