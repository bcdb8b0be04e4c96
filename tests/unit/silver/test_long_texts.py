"""Texts of any length and shape are judged, in time that grows with their length: a direct producer sends what it likes."""

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.silver import events, movies
from tests.unit.silver.conftest import answer, message

LENGTH = 40_000
SHAPES = {
    "one letter": "a",
    "dots": ".a",
    "hosts": "//search.a" + ".a" * 100,
    "backslashes": "\\",
    "escapes": "%25",
    "digits": "1",
    "a list of numbers": "1,",
    "addresses": "a@a.",
    "quads": "1.2.3.",
    "colons": "fe80:",
    "words without blanks": "\u540d",
    "brackets": "[",
    "quotes": '"',
    "blanks": " ",
    "hyphens": "a-",
}
"""What a text repeats, for whatever pattern looks at it."""
ENDS = ("", "!", "\u540d@b.cd", "1")
"""What it ends with, so that a pattern that nearly matches has to look back."""
TEXTS = [
    (unit * (LENGTH // len(unit)))[:LENGTH] + end for unit in SHAPES.values() for end in ENDS
] + ["//search.a" + ".a" * LENGTH, "search.a" + ".a" * LENGTH]
OF_EVENTS = ("event_id", "occurred_at", "user_id", "anonymous_id", "session_id")
OF_CONTEXT = ("referrer", "locale", "screen", "app_version", "user_agent", "ip")
OF_PROPERTIES = ("path", "play_id", "position_seconds", "anything")
OF_MOVIES = ("title", "release_date", "homepage", "imdb_id", "budget", "original_language", "id")
POLICY = events.Policy("a-key-for-tests-only", site_hosts=("localhost",))


def _events(text: str) -> list[dict[str, Any]]:
    """Of one group of fields all have the text: what each becomes is computed before any is judged."""
    return [
        message(**dict.fromkeys(OF_EVENTS, text)),
        message(context=dict.fromkeys(OF_CONTEXT, text)),
        message(event_type="play", movie_id=13, properties=dict.fromkeys(OF_PROPERTIES, text)),
    ]


def test_an_event_with_a_long_text_stops_no_other(bronze_rows: Callable[..., DataFrame]) -> None:
    sent = [each for text in TEXTS for each in _events(text)]
    judged = events.transform(bronze_rows(*sent), POLICY)
    # Whatever is computed of a row, not only its verdict.
    assert [row.broken is None for row in judged.collect()] == [False] * len(sent)


def test_an_answer_with_a_long_text_stops_no_other(bronze_rows: Callable[..., DataFrame]) -> None:
    sent = [answer(**dict.fromkeys(OF_MOVIES, text)) for text in TEXTS]
    judged = movies.transform(bronze_rows(*sent, topic="movie"))
    assert [row.broken is None for row in judged.collect()] == [False] * len(sent)
