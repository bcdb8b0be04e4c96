"""What alert rules say of scraped samples, where there is no Prometheus: the part of PromQL that those about consumers use.

The semantics are those of https://prometheus.io/docs/prometheus/latest/querying/operators/.
"""

import operator
import re
from collections.abc import Sequence

import promql_parser as promql
from prometheus_client.samples import Sample

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
"""An instant vector: a value for each set of labels, without the name of the metric."""

COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
MATCHES = {
    "MatchOp.Equal": operator.eq,
    "MatchOp.NotEqual": operator.ne,
    "MatchOp.Re": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "MatchOp.NotRe": lambda value, pattern: re.fullmatch(pattern, value) is None,
}
"""By the text of the parser's operator, which cannot be hashed itself."""


def evaluate(query: str, samples: Sequence[Sample]) -> Vector:
    """The answer to a query at the moment of some samples.

    Args:
        query: PromQL of selectors, numbers, `max by`, comparisons with a number, and `and on`.
        samples: All there are.

    Raises:
        NotImplementedError: The query uses something else.
    """
    return _vector(promql.parse(query), samples)


def _vector(asked: promql.Expr, samples: Sequence[Sample]) -> Vector:
    match asked:
        case promql.ParenExpr():
            return _vector(asked.expr, samples)
        case promql.VectorSelector(offset=None, at=None):
            return _selected(asked, samples)
        case promql.AggregateExpr(
            modifier=promql.AggModifier(type=promql.AggModifierType.By, labels=by)
        ) if str(asked.op) == "max":
            groups: dict[Labels, list[float]] = {}
            for labels, value in _vector(asked.expr, samples).items():
                groups.setdefault(_only(labels, by), []).append(value)
            return {labels: max(values) for labels, values in groups.items()}
        case promql.BinaryExpr(rhs=promql.NumberLiteral()) if str(asked.op) in COMPARISONS:
            holds, limit = COMPARISONS[str(asked.op)], asked.rhs.val
            found = _vector(asked.lhs, samples)
            return {labels: value for labels, value in found.items() if holds(value, limit)}
        case promql.BinaryExpr(
            modifier=promql.BinModifier(
                matching=promql.LabelModifier(type=promql.LabelModifierType.Include, labels=by)
            )
        ) if str(asked.op) == "and":
            there = {_only(labels, by) for labels in _vector(asked.rhs, samples)}
            found = _vector(asked.lhs, samples)
            return {labels: value for labels, value in found.items() if _only(labels, by) in there}
    raise NotImplementedError(asked.prettify())


def _selected(asked: promql.VectorSelector, samples: Sequence[Sample]) -> Vector:
    matchers = asked.matchers.matchers
    return {
        frozenset(sample.labels.items()): sample.value
        for sample in samples
        if sample.name == asked.name
        and all(
            MATCHES[str(each.op)](sample.labels.get(each.name, ""), each.value) for each in matchers
        )
    }


def _only(labels: Labels, names: Sequence[str]) -> Labels:
    return frozenset(pair for pair in labels if pair[0] in names)
