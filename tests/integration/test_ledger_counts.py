"""The ledger of a lake and a database tells what waits for its next run from what is lost or stands twice."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
import structlog
from deltalake import DeltaTable, write_deltalake

from cinelake.errors import LedgerMismatchError
from cinelake.settings import Settings
from lakehouse import ledger, watermarks
from lakehouse.ledger import Ledger
from lakehouse.tables import checkpoint_path, table_path
from pipeline import runs, steps

BRONZE = "bronze.user_logs"
WITH_FEED = {"delta.enableChangeDataFeed": "true"}


@dataclass
class Hops:
    """The hops of events, written one by one."""

    settings: Settings
    connection: psycopg.Connection

    def land(self, *offsets: int) -> None:
        rows = pa.table(
            {"topic": ["user_logs"] * len(offsets), "partition": pa.array([0] * len(offsets), pa.int32()),
             "offset": list(offsets)}
        )  # fmt: skip
        self._append(BRONZE, rows)

    def judge(self, *events: str) -> None:
        self._append("silver.events", pa.table({"event_id": list(events)}))

    def take_back(self, event: str) -> None:
        DeltaTable(table_path(self.settings, "silver.events")).delete(f"event_id = '{event}'")

    def note_batch(self, planned: int, committed: int, version: int) -> None:
        path = Path(checkpoint_path(self.settings, f"silver.{BRONZE}").removeprefix("file://"))
        for kind, last in (("offsets", planned), ("commits", committed)):
            (path / kind).mkdir(parents=True, exist_ok=True)
            for batch in range(last + 1):
                (path / kind / str(batch)).write_text(
                    "v1\n{}\n" + json.dumps({"reservoirVersion": version + 1})
                )

    def publish(self, rows: int, version: int) -> None:
        self.connection.execute("truncate silver.events")
        self.connection.execute(
            "insert into silver.events select false, %s from generate_series(1, %s)",
            [version, rows],
        )
        watermarks.write(self.connection, "silver.events", version)

    def build(self, rows: int, version: int) -> None:
        self.connection.execute("truncate gold.fact_user_event")
        self.connection.execute(
            "insert into gold.fact_user_event select %s from generate_series(1, %s)",
            [version, rows],
        )

    def _append(self, name: str, rows: pa.Table) -> None:
        path = table_path(self.settings, name)
        write_deltalake(path, rows, mode="append", configuration=WITH_FEED)

    def waiting(self) -> dict[str, int]:
        """What waits, in a ledger that adds up."""
        counted = ledger.count(self.settings)
        assert counted.differences() == []
        return counted.waiting.by_hop()


@pytest.fixture
def hops(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hops]:
    """Hops of which the topic holds five messages."""
    monkeypatch.setattr(ledger, "topic_end_offsets", lambda _, topic: {0: 5})
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        connection.execute("set role loader")
        connection.execute("create table silver.events (_deleted boolean, _lake_version bigint)")
        connection.execute("set role transformer")
        connection.execute("create table gold.fact_user_event (lake_version bigint)")
        connection.execute("reset role")
        with structlog.contextvars.bound_contextvars(run_id="this-run"):
            yield Hops(settings, connection)


def test_what_is_new_waits_before_the_next_hop_until_that_has_run(hops: Hops) -> None:
    assert hops.waiting() == {"bronze": 5}
    hops.land(0, 1, 2)
    assert hops.waiting() == {"bronze": 2, "silver": 3}
    hops.judge("a", "b", "c")
    hops.note_batch(planned=0, committed=0, version=0)
    assert hops.waiting() == {"bronze": 2, "published": 3}
    hops.publish(3, version=0)
    assert hops.waiting() == {"bronze": 2, "facts": 3}
    hops.build(3, version=0)
    assert hops.waiting() == {"bronze": 2}
    hops.land(3, 4)
    assert hops.waiting() == {"silver": 2}
    # A batch is being written: one of its two events stands in silver.
    hops.note_batch(planned=1, committed=0, version=0)
    hops.judge("d")
    assert hops.waiting() == {"silver": 1, "published": 1}
    hops.judge("e")
    hops.note_batch(planned=1, committed=1, version=1)
    assert hops.waiting() == {"published": 2}
    hops.take_back("a")
    counted = ledger.count(hops.settings)
    assert counted.waiting.by_hop() == {"published": 1}
    assert counted.differences() == [
        "1 of 5 in bronze have not reached silver, duplicates and quarantine"
    ]


def test_a_lost_checkpoint_of_silver_makes_no_difference(hops: Hops) -> None:
    hops.land(0, 1, 2)
    hops.judge("a", "b", "c")
    assert hops.waiting() == {"bronze": 2, "published": 3}


def test_what_is_lost_or_stands_twice_is_told_while_others_wait(hops: Hops) -> None:
    def differences() -> list[str]:
        return ledger.count(hops.settings).differences()

    hops.land(0, 1, 2)
    hops.judge("a", "b", "c")
    hops.note_batch(planned=0, committed=0, version=0)
    hops.publish(3, version=0)
    hops.build(2, version=0)
    assert differences() == ["1 of 3 in published have not reached facts"]
    hops.build(3, version=0)
    hops.judge("d")
    hops.publish(2, version=0)
    hops.build(2, version=0)
    assert differences() == [
        "silver, duplicates and quarantine counts 1 more than the 3 in bronze",
        "1 of 3 in silver have not reached published",
    ]
    hops.land(2)
    assert "bronze counts 1 more than the 3 in accepted" in differences()


def test_reconcile_keeps_its_counts_with_a_run_alone(hops: Hops) -> None:
    def kept() -> int:
        row = hops.connection.execute("select count(*) from ops.ledger").fetchone()
        assert row is not None
        return int(row[0])

    def reconcile() -> Ledger:
        counted = steps.run_alone(
            lambda: pytest.fail("needs no Spark"), hops.settings, "reconcile"
        ).ledger
        assert counted is not None
        return counted

    assert reconcile().waiting.bronze == 5
    assert kept() == 0
    runs.add_stage(hops.settings, "this-run", "swap", 1.0, runs.PUBLISHED)
    reconcile()
    assert kept() == 8
    hops.build(1, version=0)
    with pytest.raises(LedgerMismatchError, match="facts counts 1 more than the 0"):
        reconcile()
