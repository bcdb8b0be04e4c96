"""Where comments stand in their threads: orphans, circles, late beginnings, and any order."""

import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.silver import threads
from lakehouse.silver.threads import LONGEST_PATH, OF_COMMENT, Place, Threads

PARENTS = {
    "root": None,
    "a": "root",
    "b": "a",
    "other/root": None,
    "c": "other/root",
    "orphan": "missing",
    "child of orphan": "orphan",
    "x": "y",
    "y": "z",
    "z": "y",
    "self": "self",
}
EXPECTED = [
    Place("root", "root", 0, "root"),
    Place("a", "root", 1, "root/a"),
    Place("b", "root", 2, "root/a/b"),
    Place("other/root", "other/root", 0, "other%2Froot"),
    Place("c", "other/root", 1, "other%2Froot/c"),
    Place("orphan", "missing", None, None),
    Place("child of orphan", "missing", None, None),
    Place("x", "y", None, None),
    Place("y", "y", None, None),
    Place("z", "y", None, None),
    Place("self", "self", None, None),
]


def places(parents: Mapping[str, str | None]) -> Iterator[Place]:
    """By id what each comment answers."""
    columns = (list(parents), list(parents.values()))
    return threads.places(*(pa.array(column, pa.string()) for column in columns))


def test_each_comment_is_placed() -> None:
    assert list(places(PARENTS)) == EXPECTED


@pytest.mark.parametrize("seed", range(20))
def test_the_order_does_not_matter(seed: int) -> None:
    items = list(PARENTS.items())
    random.Random(seed).shuffle(items)
    assert set(places(dict(items))) == set(EXPECTED)


def test_a_thread_deeper_than_pythons_stack_is_placed() -> None:
    parents = {str(n): str(n - 1) if n else None for n in range(5_000)}
    deepest = next(places(dict(reversed(parents.items()))))
    assert (deepest.thread_id, deepest.depth) == ("0", 4_999)


def test_a_chain_of_answers_keeps_its_depth_where_its_path_would_grow_without_end() -> None:
    ids = [f"{n:036}" for n in range(2_000)]
    placed = list(places(dict(zip(ids, [None, *ids], strict=False))))
    assert [place.depth for place in placed] == list(range(2_000))
    assert {place.thread_id for place in placed} == {ids[0]}
    assert placed[200].path == "/".join(ids[:201])
    assert placed[-1].path is None
    assert max(len(place.path or "") for place in placed) <= LONGEST_PATH
    (long,) = places({"\N{CLAPPER BOARD}" * 1_000: None})
    assert (long.depth, long.path) == (0, None)
    assert list(places({"": None, "a": ""})) == [Place("", "", 0, ""), Place("a", "", 1, "/a")]


HELD = pa.schema(
    [
        *((name, pa.string()) for name in ("comment_id", "user_id")),
        ("commented_at", pa.int64()),
        *((name, pa.string()) for name in ("parent_comment_id", "event_id", "thread_id")),
        ("depth", pa.int32()),
        ("path", pa.string()),
    ]
)
OWN = pa.schema([HELD.field(name) for name in OF_COMMENT])


def _row(comment_id: str, user_id: str, at: int, parent: str | None = None) -> dict[str, Any]:
    names = ("comment_id", "user_id", "commented_at", "parent_comment_id", "event_id")
    return dict(zip(names, (comment_id, user_id, at, parent, f"e{at}"), strict=True))


def _held(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    placed = places({row["comment_id"]: row["parent_comment_id"] for row in rows})
    return [row | place._asdict() for row, place in zip(rows, placed, strict=True)]


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Rows as silver's are read: two at a time."""
    yield from pa.Table.from_pylist(list(rows), HELD).to_batches(2)


def _among(
    own: Collection[dict[str, Any]], held: Collection[dict[str, Any]], users: Collection[str]
) -> Threads:
    told, known = (
        pa.Table.from_pylist(list(rows), schema) for rows, schema in ((own, OWN), (held, HELD))
    )
    return Threads(told, known, _texts(users))


def _touched(
    held: Collection[dict[str, Any]], own: Collection[dict[str, Any]], users: Collection[str]
) -> list[dict[str, Any]]:
    told = pa.Table.from_pylist(list(own), OWN)
    found = threads.touched(lambda: _batches(held), told, _texts(users))
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _texts(texts: Collection[str]) -> pa.Array:
    return pa.array(texts, pa.string())


def _authors(among: Threads) -> dict[str, str]:
    return {row["comment_id"]: row["user_id"] for row in among.own.to_pylist()}


def test_of_what_silver_holds_only_touched_threads_are_looked_at() -> None:
    rows = [
        _row("a", "ada", 1),
        _row("b", "eve", 2, "a"),
        _row("waits", "eve", 3, "late"),
        _row("of bob", "bob", 4),
        _row("answer to bob", "eve", 5, "of bob"),
        *(_row(f"other {n}", "eve", 6 + n, f"other {n - 1}") for n in range(100)),
    ]
    held = _held(*rows)
    own = [_row("new", "bob", 200, "b"), _row("late", "bob", 201)]
    found = _touched(held, own, {"bob"})
    assert found == held[:5]
    moved = [set(_among(own, known, {"bob"}).moved()) for known in (found, held)]
    assert moved[0] == moved[1]
    assert len(moved[0]) == 4


def test_a_late_beginning_moves_those_that_waited_for_it_and_no_other() -> None:
    waiting = [_row("b", "ada", 2, "a"), _row("c", "eve", 3, "b"), _row("x", "eve", 4)]
    among = _among([_row("a", "bob", 1)], _held(*waiting), {"bob"})
    assert sorted(among.moved()) == [
        Place("a", "a", 0, "a"),
        Place("b", "a", 1, "a/b"),
        Place("c", "a", 2, "a/b/c"),
    ]


def test_of_two_authors_with_one_id_the_first_keeps_it() -> None:
    own = [_row("one", "ada", 5), _row("one", "bob", 4), _row("two", "bob", 9)]
    held = _held(_row("two", "eve", 3))
    among = _among(own, held, {"ada", "bob"})
    assert _authors(among) == {"one": "bob"}
    assert [place.comment_id for place in among.moved()] == ["one"]
    assert _authors(_among([_row("two", "bob", 2)], held, {"bob"})) == {"two": "bob"}
    # Two that say the same of their time and event: what silver holds stays.
    assert _authors(_among([_row("two", "bob", 3)], held, {"bob"})) == {}


def test_a_comment_that_is_gone_leaves_its_answers_without_a_beginning() -> None:
    held = _held(_row("a", "ada", 1), _row("b", "eve", 2, "a"))
    among = _among([], held, {"ada"})
    assert among.gone.to_pylist() == ["a"]
    assert list(among.moved()) == [Place("b", "a", None, None)]


@pytest.mark.parametrize("seed", range(10))
def test_batches_give_what_one_batch_gives(seed: int) -> None:
    chance = random.Random(seed)
    comments = [
        _row(str(n), chance.choice("abc"), n, chance.choice([None, *map(str, range(30))]))
        for n in range(30)
    ]
    expected = set(places({r["comment_id"]: r["parent_comment_id"] for r in comments}))
    chance.shuffle(comments)
    told: list[dict[str, Any]] = []
    held: dict[str, dict[str, Any]] = {}
    for cut in range(0, 30, 6):
        batch = comments[cut : cut + 6]
        told += batch
        users = {row["user_id"] for row in batch}
        own = [row for row in told if row["user_id"] in users]
        among = _among(own, _touched(held.values(), own, users), users)
        of_users = {row["comment_id"]: row for row in among.own.to_pylist()}
        for place in among.moved():
            row = of_users.get(place.comment_id) or held[place.comment_id]
            held[place.comment_id] = row | place._asdict()
    found = {Place(*(row[name] for name in Place._fields)) for row in held.values()}
    assert found == expected
