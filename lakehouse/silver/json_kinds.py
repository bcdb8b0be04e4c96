"""What kind of value JSON has at a place of a message, for reasons that name the field that has another.

A message is read for this only once it is known to break a rule.
"""

from collections.abc import Iterable, Iterator

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, StructType

OBJECT, LIST, BOOLEAN = "OBJECT", "ARRAY", "BOOLEAN"
"""What the names that Spark gives to such kinds begin with."""
_OBJECTS = r"ARRAY<(OBJECT|VOID)"
_WORDS = {
    OBJECT: "an object",
    LIST: "a list",
    BOOLEAN: "a boolean",
    "STRING": "a text",
    "VOID": "null",
}


def kind_of(place: str) -> Column:
    """The kind of what is at a place of the message in the column `text`, in Spark's words; null for nothing."""
    json = F.try_parse_json("text")
    return F.schema_of_variant(F.try_variant_get(json, f"$.{place}", "variant"))


def in_words(kind: Column) -> Column:
    """A kind as people say it."""
    words = F.create_map(*(F.lit(part) for pair in _WORDS.items() for part in pair))
    name = F.regexp_extract(kind, "^[A-Z]+", 0)
    return F.coalesce(F.try_element_at(words, name), F.lit("a number"))


def first_of_another_kind(wanted: Iterable[tuple[str, str]]) -> Column:
    """The first place that has another kind than is wanted there, and which; null where none has.

    Args:
        wanted: Places, and what the names of their kinds begin with, as a pattern.
    """
    return F.coalesce(
        *(
            F.when(
                ~kind_of(place).rlike(f"^({pattern}|VOID)"),
                F.concat(F.lit(f"{place}, "), in_words(kind_of(place))),
            )
            for place, pattern in wanted
        )
    )


def shapes_of(struct: StructType, within: str = "") -> Iterator[tuple[str, str]]:
    """Each place in messages of a type that has an object, a list or a boolean, and what its kind is named.

    Args:
        struct: The type; where it has texts any kind will do.
        within: Where the struct itself is, ending with a dot.
    """
    for field in struct:
        place, kind = f"{within}{field.name}", field.dataType
        if isinstance(kind, StructType):
            yield place, OBJECT
            yield from shapes_of(kind, f"{place}.")
        elif isinstance(kind, ArrayType):
            yield place, _OBJECTS
        elif isinstance(kind, BooleanType):
            yield place, BOOLEAN
