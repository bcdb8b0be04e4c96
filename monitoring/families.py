"""Metric families in a line each."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Family = CounterMetricFamily | GaugeMetricFamily
Sample = tuple[Sequence[str], float]
"""The values of the labels, and the value."""


def gauge(name: str, says: str, labels: Sequence[str], samples: Iterable[Sample]) -> Family:
    """A value that goes up and down.

    Args:
        name: With its unit in the end.
        says: One sentence for people.
        labels: The names of the labels.
        samples: A value for each combination of labels.
    """
    return _filled(GaugeMetricFamily(name, says, labels=labels), samples)


def counter(name: str, says: str, labels: Sequence[str], samples: Iterable[Sample]) -> Family:
    """A value that only grows; as for `gauge`, with a name that does not say `_total`, which is added."""
    return _filled(CounterMetricFamily(name, says, labels=labels), samples)


def _filled(family: Family, samples: Iterable[Sample]) -> Family:
    for values, value in samples:
        family.add_metric(list(values), value)
    return family
