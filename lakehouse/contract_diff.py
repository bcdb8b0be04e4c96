"""What changed between two sets of contracts, whom it breaks, and which version it therefore needs.

A contract binds both sides. A change is breaking when someone who kept to the old contract fails under the new one: a
reader who asks for a column that is gone, or a producer whose value is no longer allowed. It is compatible when
both go on as before, and informative when it says nothing of the data. docs/contracts.md lists every case.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import gt, lt
from typing import Any, Literal

from lakehouse.contract import Column, Limit, PhysicalType, Table, limit_in_words

Kind = Literal["breaking", "compatible", "informative"]
Version = tuple[int, int, int]

WIDER: set[tuple[PhysicalType, PhysicalType]] = {("int", "bigint"), ("int", "double")}
"""Types from and to which every value, and every query, can be taken."""
REMOVABLE = ("deprecated", "retired")
"""A table whose contract has said so before may go: with it goes the version that could have been raised."""


@dataclass(frozen=True)
class Change:
    """One change of one contract.

    Args:
        table: Full name of the table.
        column: The column's name; empty for a change of the table.
        kind: What it means to others.
        change: What changed, in words.
        needs: The lowest version that announces it; empty where no version can, or none has to.
        is_announced: The contract's new version says so.
    """

    table: str
    column: str
    kind: Kind
    change: str
    needs: str
    is_announced: bool

    @property
    def is_refused(self) -> bool:
        """Whether it must not go out like this; a text that changed without a new version does no harm."""
        return not self.is_announced and self.kind != "informative"

    @property
    def target(self) -> str:
        """The table, or the table and the column."""
        return f"{self.table}.{self.column}" if self.column else self.table


def diff(old: Mapping[str, Table], new: Mapping[str, Table]) -> list[Change]:
    """Every change, by table; within one the table's own changes first, then the old columns, then the new ones.

    Args:
        old: Contracts by the table's full name.
        new: The same, as they are to be.
    """
    changes: list[Change] = []
    for name in sorted({*old, *new}):
        if name not in new:
            is_announced = old[name].status in REMOVABLE
            changes.append(Change(name, "", "breaking", "the table is gone", "", is_announced))
        elif name not in old:
            changes.append(Change(name, "", "compatible", "the table is new", "", True))
        else:
            changes += _table_changes(old[name], new[name])
    return changes


def _table_changes(old: Table, new: Table) -> Iterator[Change]:
    before, after = _version(old), _version(new)
    for column, kind, words in _differences(old, new):
        needed = _needed(before, kind)
        is_announced = after >= needed
        yield Change(old.full_name, column, kind, words, ".".join(map(str, needed)), is_announced)


def _version(table: Table) -> Version:
    major, minor, patch = map(int, table.version.split("."))
    return major, minor, patch


def _needed(version: Version, kind: Kind) -> Version:
    major, minor, patch = version
    if kind == "breaking":
        return major + 1, 0, 0
    if kind == "compatible":
        return major, minor + 1, 0
    return major, minor, patch + 1


Difference = tuple[str, Kind, str]
"""Column (empty for the table), what it means, and the change in words."""


def _differences(old: Table, new: Table) -> Iterator[Difference]:
    if old.key != new.key:
        words = f"the key was {', '.join(old.key)}, and is {', '.join(new.key)}"
        yield "", "breaking", words
    for what in ("status", "purpose", "grain", "owner", "cluster_by"):
        if getattr(old, what) != getattr(new, what):
            yield "", "informative", f"{what} changed"
    if _freshness(old) != _freshness(new):
        words = f"freshness was {_freshness(old)}, and is {_freshness(new)}"
        yield "", "informative", words
    columns = {column.name: column for column in new.columns}
    for column in old.columns:
        if column.name in columns:
            for verdict in _column_differences(column, columns[column.name]):
                yield column.name, *verdict
        else:
            yield column.name, "breaking", "the column is gone"
    for column in new.columns:
        if column.name not in old.column_names:
            kind: Kind = "breaking" if column.required else "compatible"
            wanted = "required" if column.required else "optional"
            yield column.name, kind, f"the column is new and {wanted}"


def _freshness(table: Table) -> str:
    return (
        f"{table.freshness_column} {table.freshness_hours} h" if table.freshness_hours else "none"
    )


Verdict = tuple[Kind, str]


def _column_differences(old: Column, new: Column) -> Iterator[Verdict]:
    if old.type != new.type:
        kind: Kind = "compatible" if (old.type, new.type) in WIDER else "breaking"
        yield kind, f"the type was {old.type}, and is {new.type}"
    if old.is_uuid != new.is_uuid:
        # In PostgreSQL this is another type, which compares with a text in neither direction.
        yield "breaking", "the column is a UUID now" if new.is_uuid else "the column is no UUID now"
    if old.required != new.required:
        if new.required:
            yield "breaking", "the column is required now"
        else:
            yield "compatible", "the column may be null now"
    if old.unique != new.unique:
        # Both break: a value that stands twice is refused, or a join on the column multiplies rows.
        yield "breaking", "values are unique now" if new.unique else "values may stand twice now"
    yield from _limit_differences("minimum", old.minimum, new.minimum, is_stricter=gt)
    yield from _limit_differences("maximum", old.maximum, new.maximum, is_stricter=lt)
    yield from _limit_differences("maxLength", old.max_length, new.max_length, is_stricter=lt)
    if old.pattern != new.pattern:
        # Which of two patterns lets more through cannot be told in general.
        kind = "breaking" if new.pattern else "compatible"
        yield kind, f"the pattern was {old.pattern or 'none'}, and is {new.pattern or 'none'}"
    yield from _value_differences(old.valid_values, new.valid_values)
    for what in ("description", "classification", "references"):
        if getattr(old, what) != getattr(new, what):
            yield "informative", _words_of(what, getattr(old, what), getattr(new, what))


def _limit_differences(
    name: str,
    old: Limit | None,
    new: Limit | None,
    is_stricter: Callable[[Limit, Limit], bool],
) -> Iterator[Verdict]:
    if old == new:
        return
    breaks = new is not None and (old is None or is_stricter(new, old))
    was, now = ("none" if limit is None else limit_in_words(limit) for limit in (old, new))
    yield "breaking" if breaks else "compatible", f"the {name} was {was}, and is {now}"


def _value_differences(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Verdict]:
    if not old and new:
        yield "breaking", f"only {', '.join(new)} are allowed now"
    elif old and not new:
        yield "compatible", "any value is allowed now"
    else:
        if gone := [value for value in old if value not in new]:
            yield "breaking", f"no longer allowed: {', '.join(gone)}"
        if added := [value for value in new if value not in old]:
            yield "compatible", f"allowed as well: {', '.join(added)}"


def _words_of(what: str, old: Any, new: Any) -> str:
    if what == "description":
        return "the description changed"
    if what == "classification":
        return f"the classification was {old or 'none'}, and is {new or 'none'}"
    was, now = (".".join(target) if target else "nothing" for target in (old, new))
    return f"the reference was to {was}, and is to {now}"
