"""Who waits for a daemon waits for the messages that were there when he began to wait, and not for those that come meanwhile."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from cinelake.stack import local
from lakehouse import changes
from lakehouse.silver import rebuild
from lakehouse.tables import SparkSource
from pipeline import lag, streams
from pipeline.streams import Layer, await_daemon

TAKEN_A_SECOND = 10
COME_A_SECOND = 100


class Traffic:
    """A topic, bronze and silver that grow by more a second than their daemons take."""

    def __init__(self) -> None:
        self.end = 50
        self.taken = 0

    def ends_of_topics(self, _: Settings) -> lag.Ends:
        return {"user_logs": {0: self.end}}

    def of_bronze(self, _: Settings, ends: lag.Ends) -> list[lag.Standing]:
        return self._after_a_second(ends["user_logs"][0])

    def versions_of_bronze(self, _: Settings) -> dict[str, int]:
        return {"bronze.user_logs": self.end}

    def of_silver(self, _: Settings, versions: Mapping[str, int]) -> list[lag.Standing]:
        return self._after_a_second(versions["bronze.user_logs"])

    def _after_a_second(self, end: int) -> list[lag.Standing]:
        taken = self.taken
        self.taken += TAKEN_A_SECOND
        self.end += COME_A_SECOND
        return [lag.Standing("user_logs", 0, taken, max(end - taken, 0))]


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """Traffic that never stops, of which each question takes a second."""
    found = Traffic()
    for name in ("ends_of_topics", "of_bronze", "versions_of_bronze", "of_silver"):
        monkeypatch.setattr(lag, name, getattr(found, name))
    monkeypatch.setattr(streams, "WAIT_SECONDS", 0)
    yield found


@pytest.mark.parametrize("stage", ["bronze", "silver"])
def test_steady_traffic_does_not_keep_who_waits_for_a_daemon(
    traffic: Traffic, lake: Settings, stage: Layer
) -> None:
    assert await_daemon(lake, stage, patience=5) == 50
    assert traffic.end > traffic.taken


def test_who_waits_for_the_daemon_of_silver_waits_for_its_rebuild(
    lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilds = iter([["bronze.movie", "bronze.user_logs"], ["bronze.user_logs"]])
    monkeypatch.setattr(rebuild, "outdated", lambda _: next(rebuilds, []))
    monkeypatch.setattr(changes, "count_rows", lambda *_: 20)
    monkeypatch.setattr(lag, "of_silver", lambda *_: [])
    monkeypatch.setattr(streams, "WAIT_SECONDS", 0)
    assert await_daemon(lake, "silver", patience=5) == 40
    assert next(rebuilds, None) is None


def test_a_daemon_that_takes_nothing_is_told_of(
    traffic: Traffic, lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stands_still(_: Settings, ends: lag.Ends) -> list[lag.Standing]:
        return [lag.Standing("user_logs", 0, 0, ends["user_logs"][0])]

    monkeypatch.setattr(lag, "of_bronze", stands_still)
    with pytest.raises(ServiceError, match="bronze has 50 messages still to take"):
        await_daemon(lake, "bronze", patience=0.05)


@pytest.mark.parametrize("run", [streams.run_bronze, streams.run_silver])
def test_no_spark_starts_where_a_daemon_does_the_work(
    run: Callable[[SparkSource, Settings], dict[str, int]],
    lake: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "is_streaming", lambda *_: True)
    monkeypatch.setattr(streams, "ensure_topics", lambda *_: None)
    monkeypatch.setattr(streams, "await_daemon", lambda *_: 7)
    assert list(run(lambda: pytest.fail("Spark was started"), lake).values()) == [7]
