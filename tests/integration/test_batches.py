"""200,000 events at once, and in 20 batches of which 5 have the driver killed: the same silver tables, byte for byte."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from cinelake.settings import Settings, load_settings
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.contract import tables as contracts
from tests.integration.conftest import CommandLine, own_home
from tests.integration.simulated import FULL

BATCHES = 20
KILLED_AT = {3: 0.1, 7: 0.25, 10: 0.4, 13: 0.55, 17: 0.7}
"""Batches in which the driver is killed, and when: this share of the time that the batch before took."""
CLOCKS = {
    "silver.duplicates": {"detected_at"},
    "silver.quarantine": {"first_seen_at", "last_seen_at"},
}
"""Columns that say when a refresh ran."""
PATIENCE_SECONDS = 900
SOURCE = "bronze.user_logs"


@pytest.fixture(scope="module")
def home(full_scale: None, reachable_folder: Path) -> Path:
    """The home of this file's stack."""
    return reachable_folder / "batches"


@pytest.fixture(scope="module")
def at_once(home: Path) -> Iterator[CommandLine]:
    """A home that has taken all events into silver in one batch."""
    with own_home(home) as cinelake:
        cinelake.run("up")
        cinelake.run("simulate", *FULL.arguments())
        cinelake.run("bronze")
        cinelake.run("silver")
        yield cinelake


class Driver:
    """The silver daemon of a lake, and what its checkpoint says of its batches.

    Args:
        cinelake: The command line.
        settings: Tells where the lake is.
    """

    def __init__(self, cinelake: CommandLine, settings: Settings) -> None:
        self.environment = cinelake.environment | {"LAKE_URI": settings.lake_uri}
        self.checkpoint = Path(tables.checkpoint_path(settings, f"silver.{SOURCE}"))
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).with_name("cinelake")), "silver", "--every", "1 second"]
        return subprocess.Popen(command, env=self.environment, start_new_session=True)

    def begins(self, batch: int) -> None:
        """Wait until it has planned the batch."""
        self._appears(self.checkpoint / "offsets" / str(batch))

    def ends(self, batch: int) -> float:
        """Wait until all of the batch is in silver; the seconds that took."""
        return self._appears(self.checkpoint / "commits" / str(batch))

    def is_killed_in(self, batch: int) -> None:
        """Kill it in the middle of a batch, and let another one go on."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert not (self.checkpoint / "commits" / str(batch)).exists(), "it had ended"
        self.process = self._start()

    def stop(self) -> None:
        """Ask it to end."""
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)

    def _appears(self, path: Path) -> float:
        began = time.monotonic()
        while not path.exists():
            assert self.process.poll() is None, "the daemon ended by itself"
            assert time.monotonic() - began < PATIENCE_SECONDS
            time.sleep(0.1)
        return time.monotonic() - began


def _slices(spark: SparkSession, one: Settings, other: Settings) -> Iterator[int]:
    """Land the messages of one lake in the other's bronze, a batch whenever the next is asked for."""
    path = tables.table_path(one, SOURCE)
    order = Window.orderBy("offset", "partition")
    messages = spark.read.format("delta").load(path)
    numbered = messages.withColumn("slice", F.ntile(BATCHES).over(order)).persist()
    for number in range(BATCHES):
        rows = numbered.where(F.col("slice") == number + 1).drop("slice")
        rows.write.format("delta").mode("append").save(tables.table_path(other, SOURCE))
        yield number
    numbered.unpersist()


def _rows(settings: Settings, name: str) -> pa.Table:
    """A table without the times at which a refresh ran, sorted by its key."""
    contract = table(name)
    columns = [each for each in contract.column_names if each not in CLOCKS.get(name, set())]
    order = ", ".join(f'"{each}"' for each in contract.key)
    selected = ", ".join(f'"{each}"' for each in columns)
    return changes.query(settings, name, f"select {selected} from t order by {order}")


def test_in_twenty_batches_with_five_kills_the_tables_are_those_of_one_batch(
    at_once: CommandLine, home: Path, spark: SparkSession
) -> None:
    one = load_settings(CINELAKE_HOME=str(home))
    other = load_settings(CINELAKE_HOME=str(home), LAKE_URI=str(home / "lake-in-batches"))
    tables.ensure_layer(lambda: spark, other, "bronze")
    driver = Driver(at_once, other)
    seconds = 0.0
    try:
        for batch in _slices(spark, one, other):
            driver.begins(batch)
            if batch in KILLED_AT:
                time.sleep(KILLED_AT[batch] * seconds)
                driver.is_killed_in(batch)
                driver.ends(batch)
            else:
                seconds = driver.ends(batch)
    finally:
        driver.stop()
    assert len(list((driver.checkpoint / "commits").glob("[0-9]*"))) == BATCHES
    for contract in contracts("silver"):
        expected, found = (_rows(each, contract.full_name) for each in (one, other))
        assert found.equals(expected), contract.full_name
    events = changes.count_rows(one, "silver.events")
    assert FULL.events * 0.9 < events < FULL.events
