"""All metrics that are computed when somebody asks, from what is recorded in Kafka, the lake and PostgreSQL."""

import time
from collections.abc import Callable, Iterator

import psycopg
from deltalake.exceptions import DeltaError
from kafka.errors import KafkaError
from prometheus_client import Metric
from prometheus_client.registry import Collector

from cinelake.errors import CinelakeError, message_of
from cinelake.log import get_logger
from cinelake.settings import Settings
from monitoring import consumers, lake, services, warehouse
from monitoring.families import Family, gauge

Source = Callable[[Settings], Iterator[Family]]

SOURCES: dict[str, Source] = {
    "services": services.services,
    "topics": consumers.topics,
    "consumers": consumers.consumers,
    "streams": consumers.streams,
    "lake": lake.lake,
    "publication": warehouse.publication,
    "stages": warehouse.stages,
    "gates": warehouse.gates,
    "gold": warehouse.gold,
    "ledger": warehouse.ledger,
}
"""By name what is asked; one that fails leaves the others alone."""

log = get_logger("metrics")


class LakehouseCollector(Collector):
    """Asks every source anew each time it is collected.

    Args:
        settings: Gives the settings of now, as ports may move.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._failing: dict[str, str] = {}

    def collect(self) -> Iterator[Metric]:
        """The families of every source, and how each source fared."""
        settings = self._settings()
        seconds: dict[str, float] = {}
        for name, source in SOURCES.items():
            started = time.monotonic()
            yield from self._ask(name, source, settings)
            seconds[name] = time.monotonic() - started
        yield gauge(
            "cinelake_exporter_source_up",
            "Whether a source of metrics could be asked; what it tells is missing while not.",
            ("source",),
            (((name,), name not in self._failing) for name in SOURCES),
        )
        yield gauge(
            "cinelake_exporter_source_seconds",
            "How long it took to ask a source.",
            ("source",),
            (((name,), took) for name, took in seconds.items()),
        )

    def _ask(self, name: str, source: Source, settings: Settings) -> list[Family]:
        try:
            families = list(source(settings))
        except (CinelakeError, psycopg.Error, KafkaError, DeltaError, OSError) as error:
            reason = message_of(error)
            if self._failing.get(name) != reason:
                log.warning("source cannot be asked", source=name, reason=reason)
            self._failing[name] = reason
            return []
        self._failing.pop(name, None)
        return families
