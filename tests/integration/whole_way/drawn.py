"""Drawn records: most are good but for a field or two that stands at an edge of its contract."""

import math
import random
import string
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, cast
from uuid import NAMESPACE_OID, uuid5

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ingestion.events import ENVELOPE_FIELDS, iso_utc_of, json_schema
from lakehouse.contract import Column, table
from tests.drawing import drawn
from tests.integration.whole_way.meaning import ADDRESSES
from tests.integration.whole_way.records import Door, Sent, as_json

PLACEHOLDERS = [
    *("undefined", "null", "NULL", "NaN", "nan", "none", "None", "[object Object]", "0", "-1", " "),
    *("00000000-0000-0000-0000-000000000000", '"null"', "'undefined'"),
    "\u00a0",
    "\ufeff",
    "",
]
"""What programs write where they have no value."""
SEPARATORS = [
    *(
        "|",
        "\\",
        "\\|",
        "a|b",
        "a\\|b",
        "a\\",
        ",",
        ":",
        "u:",
        "a:",
        "\t",
        "\n",
        "\r\n",
        ";",
        '"',
        "'",
    ),
    *(
        "\\.",
        "a\n\\.\nb",
        "\\N",
        "\\u0000",
        "\\\\u0000",
        "{}",
        "{{ x }}",
        "%s",
        "$1",
        "--",
        "\u2028",
    ),
    *("\x01", "\x1f", "\x7f", "\x85"),
]
"""What parts are joined by, and what ends, escapes or comments out a text somewhere behind."""
BROKEN = ["\0", "a\0b", "\ud800", "\udfff half"]
"""Texts that no store could hold."""
ODD = [
    *("e\u0301", "\u212b", "\ufb01", "\u200f\u202eabc", "\U0001f468\u200d\U0001f469", "\U0010ffff"),
    *(
        "\U00020000\U0002a6d6",
        "\ufffd",
        "\uffff",
        "\ufdd0",
        "I\u0307",
        "\u00df",
        "=1+1",
        "1e3",
        "0x10",
    ),
    *("Infinity", "-Infinity", "1,234.5", "true", "[]", "1970-01-01", "\ue000"),
]
"""Texts whose form changes, or that are taken for something else."""
ID_PARTS = [
    "auth0|42",
    "auth0",
    "42|s1",
    "s1",
    "a\\",
    "a\\|b",
    "|",
    "a",
    "b",
    "u:a",
    "a,b",
    "\u540d",
    "S1",
    "ada@example.org",
    "Ada@Example.ORG",
    "auth0|ada%40example.org",
    "203.0.113.77",
]
"""Ids that meet again in other records, and that could be taken for one another where parts are joined."""
MOVIE_IDS = st.integers(1, 40)
LONGEST_PLAIN = 20_000
"""How long a text is that no contract limits."""


@cache
def _incompressible(length: int, first: int, last: int) -> str:
    """A text that no index can make shorter."""
    chance = random.Random(length)
    return "".join(chr(chance.randint(first, last)) for _ in range(length))


# Letters and signs that make no address by chance.
_WIDE = [(0x4E00, 0x9FFF), (0x41, 0x7E), (0x1F300, 0x1F5FF), (0x20000, 0x2A6D6)]


@st.composite
def _long(draw: st.DrawFn, longest: int) -> str:
    length = max(0, longest + draw(st.sampled_from([0, 0, 0, 0, -1, -2, 1])))
    kind = draw(st.sampled_from([*_WIDE, "a", "\u00fc", "\U0010ffff"]))
    return _incompressible(length, *kind) if isinstance(kind, tuple) else kind * length


def texts(longest: int | None = None) -> SearchStrategy[str]:
    """Texts, from none to the longest that a contract allows and one more; few of them none may hold."""
    plain = st.text(string.ascii_letters, min_size=1, max_size=8)
    plane = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    known = st.sampled_from([*PLACEHOLDERS, *SEPARATORS, *ODD])
    around = st.builds("{}{}{}".format, plain, known, plane)
    addressed = st.builds(
        str.format,
        st.sampled_from(["{}", "by {}.", "?q={}&x=1", "/u/{}/", "<{}>", "say\n{}"]),
        st.sampled_from(sorted(ADDRESSES)),
    )
    likely = {"plain": plain, "plane": plane, "known": known, "around": around}
    likely["addressed"] = addressed
    long = _long(longest or LONGEST_PLAIN)
    kinds = [*likely.items()] * 3 + [("long", long), ("long", long)]
    return st.integers(0, 40).flatmap(
        lambda at: st.sampled_from(BROKEN) if at == 40 else kinds[at % len(kinds)][1]
    )


def numbers(
    least: float | None, most: float | None, whole: bool, *more: float
) -> SearchStrategy[float]:
    """Numbers at and around the limits, and where the machine's own formats end."""
    edges: list[float] = [0, 1, 2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**63 - 1, -1, *more]
    if not whole:
        edges += [
            0.5,
            5e-324,
            2.2250738585072014e-308,
            1.7976931348623157e308,
            -0.0,
            1e22,
            0.1 + 0.2,
        ]
    for limit in (least, most):
        if limit is not None:
            exact = int(limit) if whole else limit
            edges += [exact, exact - 1, exact + 1]
    within = (
        st.integers(int(least or 0), int(most or 1000))
        if whole
        else st.floats(least or 0.0, most or 1e4, allow_nan=False)
    )
    allowed = [n for n in edges if (least is None or n >= least) and (most is None or n <= most)]
    return _mostly(within, st.sampled_from(allowed), rarely=st.sampled_from(edges))


def _mostly(*often: SearchStrategy[Any], rarely: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """One of the first in nine of ten."""
    return st.integers(0, 19).flatmap(lambda at: rarely if at > 17 else often[at % len(often)])


# --- Events -------------------------------------------------------------------------------------------------

Schema = Mapping[str, Any]


@cache
def _contract() -> Schema:
    schema = json_schema()
    return cast(Schema, schema["versions"][str(schema["current_version"])])


@cache
def _models() -> dict[str, Schema]:
    """The schema of each event type, by its name."""
    found = {}
    for choice in _contract()["oneOf"]:
        model = _resolved(choice)
        found[model["properties"]["event_type"]["const"]] = model
    return found


@cache
def _names_of_properties() -> list[str]:
    """The names of the properties of all event types: each may also stand in an event of another type."""
    found = set()
    for model in _models().values():
        allowed = model["properties"].get("properties", {})
        for choice in allowed.get("anyOf", [allowed]):
            found |= set(_resolved(choice).get("properties", {}))
    return sorted(found)


def _resolved(schema: Schema) -> Schema:
    return _contract()["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _of_schema(schema: Schema) -> SearchStrategy[Any]:
    """Values at the edges of a JSON Schema, most of which it allows."""
    schema = _resolved(schema)
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return st.one_of([_of_schema(choice) for choice in choices])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return _mostly(st.sampled_from(schema["enum"]), rarely=st.just("other"))
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer" | "number" as kind:
            least = schema.get("minimum", schema.get("exclusiveMinimum"))
            most = schema.get("maximum", schema.get("exclusiveMaximum"))
            if step := schema.get("multipleOf"):
                return st.integers(int(least / step), int(most / step)).map(lambda n: n * step)
            return numbers(least, most, kind == "integer")
        case "object":
            return st.just({})
        case _:
            return _of_text(schema)


def _of_text(schema: Schema) -> SearchStrategy[str]:
    longest = schema.get("maxLength")
    match schema.get("pattern"):
        case str() as pattern if "@" in pattern:
            # An address is joined from what may stand in one.
            return st.sampled_from(
                [
                    "a@b",
                    "A@B.C ",
                    "\u540d@\u540d",
                    "a|b@c",
                    "x" * 318 + "@b",
                    "x" * 319 + "@b",
                    "no",
                ]
            )
        case str():
            return st.sampled_from(["DE", "GB", "ZZ", "de", "DEU", ""])
    return texts(longest)


IDS = st.one_of(st.sampled_from(ID_PARTS), st.sampled_from(ID_PARTS), texts(128))
_TIMES_AT_EDGES = [
    *("1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    *("1970-01-01T13:59:59+14:00", "2024-02-29T23:59:59.999999999Z", "2023-02-29T00:00:00Z"),
    *("2016-12-31T23:59:60Z", "2026-01-05T00:00:00-00:00", "2026-01-05t12:00:00.1z", "2026-01-05"),
    *("1677-09-21T00:12:43Z", "2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854776Z"),
    *(
        "2026-01-05 12:00:00+05:30",
        "2026-01-05T24:00:00Z",
        "12:30",
        "1999-12-31T23:59:59.9999999+00:00",
    ),
]
MOMENTS = _mostly(
    st.builds(
        "2026-01-{:02d}T{:02d}:{:02d}:{:02d}.{:03d}Z".format,
        *(
            st.integers(5, 6),
            st.integers(0, 23),
            st.integers(0, 59),
            st.integers(0, 59),
            st.integers(0, 999),
        ),
    ),
    st.builds("2026-01-05T12:{:02d}:00Z".format, st.integers(0, 59)),
    rarely=st.sampled_from(_TIMES_AT_EDGES),
)
SHARED_IDS = ["d0000000-0000-4000-8000-00000000000a", "D0000000-0000-4000-8000-00000000000A"]
"""An `event_id` that several events have, in both of its spellings."""
_EVENT_TYPES = [*_models(), "play", "play", "play_progress", "play_progress", "rating", "rating"]


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Events as a client sends them, most of them valid; those without an `event_id` get one of their own later."""
    kind = draw(st.sampled_from(_EVENT_TYPES))
    model = _models()[kind]
    event: dict[str, Any] = {
        "event_id": draw(st.sampled_from([None] * 30 + SHARED_IDS)),
        "event_type": kind,
        "occurred_at": draw(MOMENTS),
    }
    required = set(model["required"])
    for name in ("user_id", "anonymous_id", "session_id"):
        if name in required or draw(st.booleans()):
            event[name] = draw(IDS)
    if "user_id" not in event and "anonymous_id" not in event:
        event["anonymous_id"] = draw(st.sampled_from(ID_PARTS))
    if "movie_id" in required or draw(st.booleans()):
        event["movie_id"] = draw(
            st.one_of(MOVIE_IDS, MOVIE_IDS, _of_schema(model["properties"]["movie_id"]))
        )
    if draw(st.booleans()):
        event["context"] = draw(_some_of(_contract()["$defs"]["Context"]["properties"], set()))
    if (properties := draw(_properties(model))) is not None:
        event["properties"] = properties
    if draw(st.integers(0, 15)) == 15:
        name = draw(st.sampled_from(sorted(set(event) - {"event_id"})))
        event[name] = draw(st.sampled_from([None, "", 0, -1, 1.5, "12", True, [], {}]))
    return event


def _some_of(properties: Schema, required: set[str]) -> SearchStrategy[dict[str, Any]]:
    """Objects that have what is required, and of the rest some."""
    values = {name: _of_schema(schema) for name, schema in properties.items()}
    return st.fixed_dictionaries(
        {name: values[name] for name in values if name in required},
        optional={name: values[name] for name in values if name not in required},
    )


@st.composite
def _properties(draw: st.DrawFn, model: Schema) -> dict[str, Any] | None:
    allowed = model["properties"].get("properties", {})
    choices = [_resolved(choice) for choice in allowed.get("anyOf", [allowed])]
    own = next((choice for choice in choices if choice.get("properties")), {"properties": {}})
    properties: dict[str, Any] = draw(_some_of(own["properties"], set(own.get("required", []))))
    if "comment_id" in own["properties"]:
        properties["comment_id"] = draw(st.sampled_from([*ID_PARTS, "c1", "c2", "c3"]))
    if draw(st.integers(0, 3)) == 0:
        value = st.recursive(
            st.one_of(
                st.none(),
                st.booleans(),
                texts(200),
                numbers(None, None, False),
                st.integers(-(2**63), 2**63),
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(texts(40), inner, max_size=2)
            ),
            max_leaves=4,
        )
        properties[
            draw(
                st.one_of(
                    st.sampled_from(["email_hash", "a.b", "a b", "Email"]),
                    st.sampled_from(_names_of_properties()),
                    texts(60),
                )
            )
        ] = draw(value)
    return properties or (draw(st.sampled_from([None, {}])))


def _message(event: dict[str, Any]) -> dict[str, Any]:
    """What a direct producer makes of it: the canonical form, as far as it knows it."""
    message = {name: event.get(name) for name in ENVELOPE_FIELDS}
    with suppress(TypeError, ValueError):
        message["occurred_at"] = iso_utc_of(event["occurred_at"])
    message["received_at"] = "2026-03-01T00:00:00.000000Z"
    message["schema_version"] = event.get("schema_version", 1)
    message["context"] = {
        "ip": "203.0.113.7",
        "user_agent": None,
        **_as_object(event.get("context")),
    }
    return message


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


NO_EVENTS = [
    "",
    " ",
    "[]",
    "null",
    "1",
    '"x"',
    "{",
    '{"event_id":',
    "{}",
    '{"a":NaN}',
    "\ufeff{}",
    "\0",
]


# --- Movies -------------------------------------------------------------------------------------------------

DATES = _mostly(
    st.dates().map(str),
    st.sampled_from(["2009-12-10T23:30:00-05:00", " 2009-12-10 ", "", "0001-01-01", "9999-12-31"]),
    rarely=st.sampled_from(
        [
            *(
                "",
                "0000-00-00",
                "-0001-11-30",
                "0001-01-01",
                "9999-12-31",
                "10000-01-01",
                "1677-09-20",
            ),
            *("1677-09-22", "2262-04-12", "1582-10-10", "2024-02-30", "2009-12-10T23:30:00-05:00"),
            *(
                "12:30",
                "T12:00",
                "2009",
                "2009-12",
                "12/10/2009",
                " 2009-12-10 ",
                "2009-12-10 00:00:00",
                "now",
            ),
        ]
    ),
)
_NUMBERS_AS_TEXT = st.sampled_from(["93.49", "862.0", " 7 ", "1e2", "0", "", "1.5E1", "0.0", "-0"])
_NO_NUMBERS = st.sampled_from(
    [
        *(
            "NaN",
            "nan",
            "Infinity",
            "-inf",
            "0x1F",
            "1,000",
            "1_000",
            "1e999",
            "+5",
            "\u0661",
            "12abc",
        ),
        *("1 000", ".5", "5.", "1e-400", "9" * 400, "-1", "$5", "null", "1.000,5", "--1"),
    ]
)


def _limits_of(column: Column) -> tuple[Any, Any]:
    return column.minimum, column.maximum


def _limited(column: str, of: str = "movies") -> Column:
    return next(each for each in table(f"silver.{of}").columns if each.name == column)


def _texts_of(column: str, of: str = "movies") -> SearchStrategy[str]:
    """Texts up to the limit of a column of silver."""
    return texts(_limited(column, of).max_length)


def _amount(column: str, whole: bool) -> SearchStrategy[Any]:
    plain = numbers(*_limits_of(_limited(column)), whole)
    unknown = st.sampled_from([None, 0, 0.0])
    broken = st.one_of(_NO_NUMBERS, st.sampled_from([True, [], "abc", {}]))
    return _mostly(plain, plain.map(str), _NUMBERS_AS_TEXT, unknown, rarely=broken)


_NAMED = {"id": st.one_of(MOVIE_IDS, numbers(1, None, True)), "name": _texts_of("name", "genres")}
_PERSON = {
    "credit_id": st.one_of(
        st.sampled_from(["c1", "c2", "", "a|b"]), _texts_of("credit_id", "movie_cast")
    ),
    "id": st.one_of(st.integers(1, 9), numbers(1, None, True)),
    "name": _texts_of("name", "people"),
    "original_name": _texts_of("original_name", "people"),
    "known_for_department": _texts_of("known_for_department", "people"),
}


def _some(fields: dict[str, SearchStrategy[Any]]) -> SearchStrategy[Any]:
    whole = st.fixed_dictionaries(fields)
    partial = st.fixed_dictionaries(
        {}, optional={n: st.one_of(st.none(), s) for n, s in fields.items()}
    )
    return st.one_of(whole, whole, whole, partial)


def _list(fields: dict[str, SearchStrategy[Any]]) -> SearchStrategy[Any]:
    some = st.lists(_some(fields), max_size=4)
    return _mostly(some, rarely=st.sampled_from([None, [], {}, [None], [[]], "x", [1]]))


_CODE = st.sampled_from(["US", "DE", "XK", "us", "", "ZZ", "U", None, "ß" * 8, "\u0130" * 16])
EDGES: dict[str, SearchStrategy[Any]] = {
    "title": _mostly(_texts_of("title"), rarely=st.sampled_from([None, 5, ""])),
    "original_title": _texts_of("original_title"),
    "original_language": st.sampled_from(["en", "EN", "cn", "xx", "zz", "", "e", "english", None, 1]),
    "overview": _texts_of("overview"),
    "tagline": _texts_of("tagline"),
    "status": _mostly(st.sampled_from(["Released", "Rumored", " Released", "", None, "Post Production"]), rarely=st.sampled_from(["X", "released"])),
    "release_date": DATES,
    "runtime": _amount("runtime_minutes", False),
    "budget": _amount("budget_usd", True),
    "revenue": _amount("revenue_usd", True),
    "popularity": _amount("popularity", False),
    "vote_average": _amount("vote_average", False),
    "vote_count": _amount("vote_count", True),
    "homepage": _texts_of("homepage"),
    "imdb_id": _mostly(st.sampled_from(["tt0000001", "", None, "tt" + "9" * 30]), rarely=st.sampled_from(["tt", "nm1", "tt" + "9" * 300, "TT1", "tt\u0661"])),
    "adult": _mostly(st.sampled_from([True, False, None]), rarely=st.sampled_from(["true", 0, 1, "False"])),
    "genres": _list(_NAMED),
    "production_companies": _list({**_NAMED, "origin_country": _CODE, "logo_path": texts(40)}),
    "production_countries": _list({"iso_3166_1": _CODE, "name": _texts_of("name", "countries")}),
    "spoken_languages": _list({"iso_639_1": st.sampled_from(["en", "cn", "", "xx", None, "ß" * 16, "\u0130" * 8]), "name": _texts_of("name", "languages"), "english_name": _texts_of("english_name", "languages")}),
    "keywords": st.fixed_dictionaries({"keywords": _list(_NAMED)}),
    "credits": st.fixed_dictionaries(
        {
            "cast": _list({**_PERSON, "character": _texts_of("character_name", "movie_cast"), "order": numbers(0, None, True)}),
            "crew": _list({**_PERSON, "department": _texts_of("department", "movie_crew"), "job": _texts_of("job", "movie_crew")}),
        }
    ),
    "belongs_to_collection": st.one_of(st.none(), st.just({"id": 1, "name": "x"})),
}  # fmt: skip
IDS_OF_MOVIES = _mostly(
    MOVIE_IDS,
    rarely=st.sampled_from(
        [
            2**31,
            2**53 - 1,
            2**53,
            0,
            -1,
            1.0,
            1.5,
            "7",
            "7.0",
            None,
            True,
            "x",
            2**63,
            "[object Object]",
        ]
    ),
)


@st.composite
def movies(draw: st.DrawFn) -> dict[str, Any]:
    """TMDB's answers: good ones, of which a few fields stand at an edge."""
    movie: dict[str, Any] = {
        "id": draw(IDS_OF_MOVIES),
        "title": draw(st.text(string.ascii_letters, min_size=1, max_size=8)),
        "status": draw(st.sampled_from(["Released", "Planned"])),
        "popularity": draw(st.sampled_from([0.5, 7.25, 42.0, 250.0])),
        "genres": draw(st.sampled_from([[], [{"id": 18, "name": "Drama"}], [{"id": 35, "name": "Comedy"}, {"id": 18, "name": "Drama"}]])),
    }  # fmt: skip
    for name in draw(st.lists(st.sampled_from(sorted(EDGES)), unique=True, max_size=4)):
        movie[name] = draw(EDGES[name])
    return movie


CSV_TEXTS = [
    "original_title",
    "original_language",
    "overview",
    "tagline",
    "status",
    "release_date",
    "homepage",
]
CSV_NUMBERS = ["budget", "popularity", "revenue", "runtime", "vote_average", "vote_count"]
CSV_LISTS = [
    "genres",
    "keywords",
    "production_companies",
    "production_countries",
    "spoken_languages",
]
CSV_COLUMNS = ["id", "title", *CSV_TEXTS, *CSV_NUMBERS, *CSV_LISTS]


@st.composite
def csv_rows(draw: st.DrawFn) -> dict[str, str]:
    """Rows of a file like "TMDB 5000"."""
    row = dict.fromkeys(CSV_COLUMNS, "")
    row["id"] = draw(_mostly(MOVIE_IDS.map(str), MOVIE_IDS.map("{}.0".format), rarely=_NO_NUMBERS))
    row["title"] = draw(st.text(string.ascii_letters, min_size=1, max_size=8))
    row["popularity"] = "7.25"
    row["genres"] = '[{"id": 18, "name": "Drama"}]'
    for name in draw(st.lists(st.sampled_from(CSV_COLUMNS[1:]), unique=True, max_size=3)):
        numbers_as_text = _mostly(_NUMBERS_AS_TEXT, rarely=_NO_NUMBERS)
        value = draw(numbers_as_text if name in CSV_NUMBERS else EDGES[name])
        if name == "keywords":
            value = value["keywords"]
        is_text = isinstance(value, str)
        row[name] = (
            value if is_text and name not in CSV_LISTS else "" if value is None else as_json(value)
        )
    return row


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Messages of the topic `movie`, as a producer of somebody else's writes them."""
    moments = st.sampled_from(
        [
            *(
                "2026-01-05T00:00:00.000000Z",
                "2026-01-06T00:00:00Z",
                "1970-01-01T00:00:00Z",
                "12:30",
                "",
                None,
            ),
            *(
                "9999-12-31T23:59:59Z",
                "2199-12-31T23:59:59Z",
                "10000-01-01T00:00:00Z",
                "-0001-11-30T00:00:00Z",
                "0001-01-01T00:00:00Z",
            ),
        ]
    )
    return {
        "fetched_at": draw(_mostly(st.just("2026-01-05T00:00:00.000000Z"), rarely=moments)),
        "content_hash": draw(
            _mostly(st.binary(min_size=32, max_size=32).map(bytes.hex), rarely=texts(64))
        ),
        "deleted_at": draw(_mostly(st.none(), rarely=moments)),
        "movie": draw(_mostly(movies(), rarely=st.sampled_from([None, {}, [], 1]))),
    }


# --- Columns ------------------------------------------------------------------------------------------------

OF_PATTERN = {
    "^[ua]:([.]|[^.])": ["u:ada", "a:|", "u:", "x:a", "U:a", "u:\nada", "a:\u2028", "b\nu:a"],
    "^[0-9a-f]{64}$": [
        "0" * 64,
        "f" * 64,
        "F" * 64,
        "0" * 63,
        "0" * 65,
        "0" * 64 + "\n",
        "\u0660" * 64,
    ],
    "^[A-Z]{2}$": ["GB", "ZZ", "gb", "G", "GBR", "GB\n", "\u00c4\u00d6", "G B"],
    "^tt[0-9]+$": ["tt0109830", "tt0", "tt", "tt1\n", "tt\u0661", "TT1", " tt1", "tt" + "9" * 400],
    "^[0-9]+(,[0-9]+)*$": ["1", "1,2", "1,", ",1", "1,,2", "1, 2", "1\n", "1|2"],
}
"""Texts that match a pattern of the contracts and others that nearly do; a new pattern needs a line more."""
A_UUID = "01234567-89ab-cdef-0123-456789abcdef"
OF_TYPE = {"int": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1)}
FIRST_DAY, LAST_DAY = date.min, date.max


def values_of(column: Column) -> SearchStrategy[Any]:
    """Values of the column's type: inside its rules, at their edges, just outside, and none."""
    if column.is_uuid:
        others = [
            A_UUID.upper(),
            A_UUID[:-1],
            A_UUID.replace("-", ""),
            f"{{{A_UUID}}}",
            f" {A_UUID}",
        ]
        return st.sampled_from([None, "", f"{A_UUID}\n", *others, *[A_UUID] * 4])
    if column.valid_values:
        one = column.valid_values[0]
        others = [one.swapcase(), f"{one} ", f"{one}\n"]
        return st.sampled_from([None, "", *others, *column.valid_values, *[one] * 4])
    if column.pattern:
        good, *others = OF_PATTERN.get(column.pattern, ["1", "en"])
        longer = [] if column.max_length is None else [good[:1] * (column.max_length + 1)]
        return st.sampled_from([None, *others, *longer, good, good, good, good])
    match column.type:
        case "string":
            known = [*PLACEHOLDERS, *SEPARATORS, *ODD]
            return st.one_of(
                st.none(),
                st.sampled_from(known),
                _long(column.max_length or 50),
                _long(column.max_length or 50),
            )
        case "boolean":
            return st.sampled_from([None, True, False])
        case "date":
            return _around(column, FIRST_DAY, LAST_DAY, timedelta(days=1))
        case "timestamp":
            first, last = (datetime.combine(day, time(), UTC) for day in (FIRST_DAY, LAST_DAY))
            return _around(column, first, last, timedelta(microseconds=1))
        case "double":
            least, most = _limits_of(column)
            edges = [
                0.0,
                -0.0,
                5e-324,
                -5e-324,
                1e308,
                -1e308,
                0.1 + 0.2,
                2.0**53 + 2,
                float("inf"),
            ]
            for limit in (least, most):
                if limit is not None:
                    edges += [
                        float(limit),
                        math.nextafter(limit, math.inf),
                        math.nextafter(limit, -math.inf),
                    ]
            return st.one_of(
                st.none(), st.sampled_from(edges), st.floats(least, most, allow_nan=False)
            )
    smallest, largest = OF_TYPE[column.type]
    least, most = (None if limit is None else int(limit) for limit in _limits_of(column))
    around = [limit + step for limit in (least, most) if limit is not None for step in (-1, 0, 1)]
    edges = [each for each in (*around, 0, 1, -1, smallest, largest) if smallest <= each <= largest]
    inside = st.integers(
        smallest if least is None else least, largest if most is None else min(most, largest)
    )
    return st.one_of(st.none(), st.sampled_from(edges), inside)


def _around(column: Column, first: Any, last: Any, step: timedelta) -> SearchStrategy[Any]:
    """Days or moments at the limits of a column and of its type, and one step beside."""
    limits = [limit for limit in _limits_of(column) if limit is not None]
    edges = [first, last, *limits, *(limit + step for limit in limits if limit < last)]
    edges += [limit - step for limit in limits if limit > first]
    return st.sampled_from([None, *edges])


# --- Batches ------------------------------------------------------------------------------------------------


RECORDS: dict[Door, tuple[SearchStrategy[Any], float]] = {
    "api": (events(), 0.5),
    "user_logs": (_mostly(events().map(_message), rarely=st.sampled_from(NO_EVENTS)), 0.1),
    "catalog": (movies(), 0.25),
    "csv": (csv_rows(), 0.08),
    "movie": (answers(), 0.07),
}
"""What is drawn for each door, and its share of a batch."""


def batch(number: int, size: int = 400) -> list[Sent]:
    """The records of a seed, always the same ones."""
    return [
        Sent(
            door,
            value
            if isinstance(value, str)
            else as_json(_with_own_id(value, f"{number}/{door}/{place}")),
        )
        for door, (strategy, share) in RECORDS.items()
        for place, value in enumerate(drawn(strategy, number, round(size * share)))
    ]


def _with_own_id(value: Any, name: str) -> Any:
    """An event with its id; every other value as it is."""
    if isinstance(value, dict) and "event_id" in value and value["event_id"] is None:
        return {**value, "event_id": str(uuid5(NAMESPACE_OID, name))}
    return value
