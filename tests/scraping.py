"""What a test reads from an address of metrics."""

from typing import Self

import requests
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


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

    def as_series(self, prefix: str = "") -> dict[str, float]:
        """The samples whose name begins so, as PromQL names them, with their values."""
        return {
            _series(sample): sample.value
            for sample in self.samples
            if sample.name.startswith(prefix)
        }

    def growth(self, earlier: Self, seconds: float) -> dict[str, float]:
        """By how much each series has grown a second since a scrape that many seconds ago; 0 for a new one."""
        before = earlier.as_series()
        return {
            name: (value - before.get(name, value)) / seconds
            for name, value in self.as_series().items()
        }

    def after(self, earlier: Self, seconds: float, ahead: float) -> list[Sample]:
        """The samples so many seconds ahead, should each go on as it did since a scrape `seconds` ago."""
        growth = self.growth(earlier, seconds)
        return [
            sample._replace(value=sample.value + growth[_series(sample)] * ahead)
            for sample in self.samples
        ]


def _series(sample: Sample) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}"
