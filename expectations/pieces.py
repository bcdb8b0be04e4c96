"""What the rules found in all pieces of rows together.

Each piece is checked as a whole batch is, and what its rules found is added up. Whether a key stands twice is no matter
of one piece: that rule gets the columns of the key of all rows.
"""

from collections import Counter
from typing import Any

from great_expectations.core.expectation_validation_result import ExpectationValidationResult

COUNTS = ("element_count", "unexpected_count", "missing_count")
EXAMPLES = ("partial_unexpected_list", "partial_unexpected_index_list")


def joined(
    one: ExpectationValidationResult, other: ExpectationValidationResult, samples: int
) -> ExpectationValidationResult:
    """What a rule found in two pieces together.

    Args:
        one: What it found in the first; it is changed.
        other: In the second.
        samples: How many broken rows are kept, those of the first piece before others.
    """
    uncounted = [each for each in (one, other) if "element_count" not in each.result]
    if uncounted:
        # Of a rule about the table, or one that could not be evaluated: what failed speaks for all.
        return next((each for each in (*uncounted, one, other) if not each.success), one)
    both = one.result.keys() & other.result.keys()
    found = {name: one.result[name] + other.result[name] for name in COUNTS if name in both}
    for name in EXAMPLES:
        if name in one.result or name in other.result:
            found[name] = [*one.result.get(name, ()), *other.result.get(name, ())][:samples]
    one.result = {**one.result, **other.result, **found, **_shares(found)}
    # Rows by their place in a piece, all of them.
    one.result.pop("unexpected_index_query", None)
    if "partial_unexpected_counts" in one.result:
        one.result["partial_unexpected_counts"] = _most_common(found["partial_unexpected_list"])
    one.success = bool(one.success and other.success)
    return one


def _shares(found: dict[str, Any]) -> dict[str, float | None]:
    rows, broken = found["element_count"], found["unexpected_count"]
    missing = found.get("missing_count", 0)
    shares = {"unexpected_percent": _percent(broken, rows - missing)}
    if "missing_count" not in found:
        return shares
    return shares | {
        "missing_percent": _percent(missing, rows),
        "unexpected_percent_total": _percent(broken, rows),
        "unexpected_percent_nonmissing": _percent(broken, rows - missing),
    }


def _percent(part: int, whole: int) -> float | None:
    return part / whole * 100 if whole else None


def _most_common(examples: list[Any]) -> list[dict[str, Any]]:
    hashable = [tuple(value.values()) if isinstance(value, dict) else value for value in examples]
    return [{"value": value, "count": n} for value, n in Counter(hashable).most_common()]
