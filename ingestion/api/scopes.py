"""What a key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """A permission of a key; a new key has `WRITE` alone."""

    WRITE = "events:write"
    READ = "recommendations:read"
