"""The gates of the lake against plain Spark aggregates of the same figures: `python -m benchmarks.gates`.

Fills bronze and silver with generated messages and events, which their gates then check as an increment: with pandas, as
they do with up to a million rows, and with Spark, as with more; what the first way adds to the memory of the Python
process is measured as well. The peer reads the same two tables and counts in one
aggregate of each, per rule of the contract, the rows that break it, and the keys. Each is timed after one run that is not;
it ends with 1 when the gates take more than 1.3 times the aggregates, or 640 MiB.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks import lake
from benchmarks.gold import silver
from benchmarks.home import own_home
from benchmarks.memory import MemoryPeak
from cinelake.postgres import connect
from cinelake.settings import Settings
from cinelake.stack.postgres import POSTGRES
from lakehouse import tables, watermarks
from lakehouse.contract import Table, table
from lakehouse.quarantine import contract_rules
from pipeline.gates import gate_bronze, gate_silver
from spark_streaming.session import build_session

EVENTS = 500_000
RATIO_LIMIT = 1.3
MEMORY_LIMIT_MIB = 640
CONTRACTS = (table("bronze.user_logs"), table("silver.events"))


def main() -> int:
    """Measure and print."""
    with own_home((POSTGRES,)) as settings:
        return measure(settings)


def measure(settings: Settings) -> int:
    """Fill the lake and time gates and peers; 1 when the limit is passed."""
    silver.fill(settings, EVENTS)
    lake.fill(settings)
    spark = build_session(settings)
    on_spark = settings.model_copy(update={"gate_pandas_rows": 0})
    peers = {each.layer: _seconds(partial(_aggregate, spark, settings, each)) for each in CONTRACTS}
    before = MemoryPeak().peak_bytes
    with MemoryPeak(seconds=0.02) as memory:
        gates = {layer: _seconds(partial(_gate, spark, settings, layer)) for layer in peers}
    mebibytes = (memory.peak_bytes - before) >> 20
    spark_gates = {layer: _seconds(partial(_gate, spark, on_spark, layer)) for layer in peers}
    spark.stop()
    aggregate, gate, spark_gate = (sum(each.values()) for each in (peers, gates, spark_gates))
    figures = {
        "events": EVENTS,
        "aggregate_seconds": _rounded(peers),
        "gate_seconds": _rounded(gates),
        "ratio": round(gate / aggregate, 2),
        "gate_on_spark_seconds": _rounded(spark_gates),
        "ratio_on_spark": round(spark_gate / aggregate, 2),
        "ratio_limit": RATIO_LIMIT,
        "gate_memory_mib": mebibytes,
        "memory_limit_mib": MEMORY_LIMIT_MIB,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(gate > RATIO_LIMIT * aggregate or mebibytes > MEMORY_LIMIT_MIB)


def _gate(spark: SparkSession, settings: Settings, layer: str) -> None:
    with connect(settings, "loader") as connection:
        # Else the gate of bronze has nothing new to check.
        watermarks.write(connection, watermarks.of_gate("bronze.user_logs"), -1)
    look = gate_bronze if layer == "bronze" else gate_silver
    result = look(lambda: spark, settings, "benchmark")
    assert result.passed and result.rules, result.failures


def _aggregate(spark: SparkSession, settings: Settings, contract: Table) -> None:
    rows = spark.read.format("delta").load(tables.table_path(settings, contract.full_name))
    rules = [F.count_if(rule.broken) for rule in contract_rules(contract)]
    keys = F.count_distinct(*contract.key)
    (found,) = rows.agg(F.count(F.lit(1)), keys, *rules).collect()
    assert list(found) == [EVENTS, EVENTS] + [0] * len(rules), found


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {layer: round(each, 2) for layer, each in seconds.items()}


def _seconds(step: Callable[[], None]) -> float:
    step()
    started = time.monotonic()
    step()
    return time.monotonic() - started


if __name__ == "__main__":
    raise SystemExit(main())
