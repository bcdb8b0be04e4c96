"""The queries of our rules about consumers, answered over samples as Prometheus would."""

import promql_parser as promql
import pytest
from prometheus_client.samples import Sample

from tests.promql import evaluate
from tests.unit.monitoring.test_configuration import DASHBOARDS, RULES, queries

SAMPLES = [
    Sample("lag", {"consumer": "bronze", "partition": "0"}, 400.0),
    Sample("lag", {"consumer": "bronze", "partition": "1"}, 10.0),
    Sample("lag", {"consumer": "backup", "partition": "0"}, 500.0),
    Sample("lag", {"consumer": "silver", "partition": "0"}, 20.0),
    Sample("running", {"consumer": "bronze"}, 0.0),
    Sample("running", {"consumer": "silver"}, 1.0),
]


@pytest.mark.parametrize(
    ("query", "consumers"),
    [
        ("running == 0", {"bronze"}),
        ("running != 0", {"silver"}),
        ("lag > 300", {"bronze", "backup"}),
        ("lag > 500", set()),
        ("lag >= 500", {"backup"}),
        ("lag < 20", {"bronze"}),
        ("lag <= 20", {"bronze", "silver"}),
        ("max by (consumer) (lag) <= 20", {"silver"}),
        ("max by (consumer) (lag) > 300 and on (consumer) running", {"bronze"}),
        ('(lag{consumer="silver"})', {"silver"}),
        ('lag{consumer!="silver"}', {"bronze", "backup"}),
        ('lag{consumer=~"b.+e"}', {"bronze"}),
        ('lag{consumer!~"b.+"}', {"silver"}),
        ("other", set()),
    ],
)
def test_a_query_finds_what_it_asks_for(query: str, consumers: set[str]) -> None:
    assert {dict(labels)["consumer"] for labels in evaluate(query, SAMPLES)} == consumers


def test_the_highest_of_a_group_is_taken() -> None:
    bronze = frozenset({("consumer", "bronze")})
    assert evaluate("max by (consumer) (lag)", SAMPLES)[bronze] == 400.0


@pytest.mark.parametrize(
    "query",
    ["rate(lag[5m])", "sum by (consumer) (lag)", "max without (consumer) (lag)", "lag and ignoring (partition) running", "lag offset 5m", "lag > running"],
)  # fmt: skip
def test_what_it_does_not_know_it_does_not_answer(query: str) -> None:
    with pytest.raises(NotImplementedError):
        evaluate(query, SAMPLES)


def test_all_rules_and_panels_ask_in_promql() -> None:
    asked = [rule["expr"] for rule in RULES] + [
        each for path in DASHBOARDS for each in queries(path)
    ]
    assert len(asked) > 30
    for query in asked:
        promql.parse(query)
    with pytest.raises(ValueError, match="unclosed"):
        promql.parse("sum(")
