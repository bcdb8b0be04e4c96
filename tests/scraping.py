"""What a test reads from an address of metrics."""

from typing import Self

import requests
from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """The samples that an address had at one moment.

    Args:
        text: Prometheus' text format.
    """

    def __init__(self, text: str) -> None:
        self.samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    @classmethod
    def of(cls, url: str) -> Self:
        """Read an address now."""
        answer = requests.get(url, timeout=60)
        answer.raise_for_status()
        return cls(answer.text)

    def names(self) -> set[str]:
        """The names of all samples."""
        return {sample.name for sample in self.samples}

    def sum(self, name: str, **labels: str) -> float:
        """The samples of a name that have these labels, added up; 0 without any."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def as_series(self, prefix: str) -> list[tuple[str, float]]:
        """The samples whose name begins so, as PromQL names them, with their values."""
        return [
            (f"{sample.name}{{{_pairs(sample.labels)}}}", sample.value)
            for sample in self.samples
            if sample.name.startswith(prefix)
        ]


def _pairs(labels: dict[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
