"""Replies in gold, of threads of any shape and of chains of answers that have no end."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from cinelake.settings import Settings
from lakehouse.silver.threads import places
from pipeline.dbt import run_dbt
from tests.integration.silver_writer import NOON, Silver

COMMENTS = "+comments"
CHAIN = 20_000
"""As pairs of comments, one above the other, 200 million."""


def put_comments(silver: Silver, answered: Mapping[str, str | None], deleted: set[str]) -> None:
    """Write comments where silver places them.

    Args:
        silver: The writer.
        answered: By comment the one that it answers, if it answers one.
        deleted: Those that their author deleted.
    """
    of_thread = places(*(pa.array(each, pa.string()) for each in (answered, answered.values())))
    with silver.connection.cursor().copy(
        "copy silver.comments (comment_id, user_id, movie_id, parent_comment_id, thread_id, depth, path, text, is_edited,"
        " is_deleted, event_id, commented_at, _lake_version, _deleted) from stdin"
    ) as copy:
        for place in of_thread:
            name = place.comment_id
            copy.write_row([
                *(name, "ada", 1, answered[name], place.thread_id, place.depth, place.path, "a text"),
                *(False, name in deleted, uuid5(NAMESPACE_URL, name), NOON, silver.version, False),
            ])  # fmt: skip


def replies_of(answered: Mapping[str, str | None], deleted: set[str]) -> Counter[str]:
    """By comment how many others are below it and not deleted, found by walking up from each."""

    def above(name: str) -> Iterator[str]:
        seen = {name}
        at = answered.get(name)
        while at is not None and at not in seen:
            seen.add(at)
            yield at
            at = answered.get(at)

    return Counter(each for name in answered if name not in deleted for each in above(name))


def built(settings: Settings, silver: Silver) -> dict[str, int]:
    """Replies of each comment in gold."""
    result = run_dbt(settings, ["run", "--select", COMMENTS], target="next")
    assert result.success, result.failed
    rows = silver.connection.execute("select comment_id, reply_count from gold_next.comments")
    return dict(rows.fetchall())


def test_replies_are_those_below_in_threads_of_any_shape(
    settings: Settings, silver: Silver
) -> None:
    drawn = random.Random(8)
    silver.version = 1
    silver.movie(1)
    silver.user("ada")
    answered: dict[str, str | None] = {"self": "self", "lone": None}
    # Trees, long and short chains, answers to what was never received, and circles with all of that below them.
    for number in range(600):
        earlier = f"c{drawn.randrange(max(number - 40, 0), max(number, 1))}"
        answered[f"c{number}"] = drawn.choice([earlier] * 12 + [f"lost{number}", None, "self"])
    for first in range(0, 600, 60):
        answered[f"c{first}"] = f"c{first + drawn.randrange(60)}"
    answered |= {f"d{number}": f"d{number - 1}" if number else None for number in range(300)}
    deleted = {name for name in answered if drawn.random() < 0.1}
    put_comments(silver, answered, deleted)
    expected = replies_of(answered, deleted)
    assert built(settings, silver) == {name: expected[name] for name in answered}

    # An increment counts a thread anew.
    silver.version = 2
    silver.comment("late", "ada", answers="d299", thread="d0", depth=300)
    expected = replies_of(answered | {"late": "d299"}, deleted)
    assert built(settings, silver) == {name: expected[name] for name in (*answered, "late")}


def test_a_chain_of_answers_without_an_end_is_counted(settings: Settings, silver: Silver) -> None:
    silver.version = 1
    silver.movie(1)
    silver.user("ada")
    put_comments(
        silver, {f"c{n}": f"c{n - 1}" if n else None for n in range(CHAIN)}, deleted={"c7"}
    )
    found = built(settings, silver)
    assert found == {f"c{n}": CHAIN - 1 - n - (n < 7) for n in range(CHAIN)}
