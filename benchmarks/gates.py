"""The silver gate against one plain Spark aggregate of the same figures: `python -m benchmarks.gates`.

Fills the lake with generated events, which the gate then checks as an increment: with pandas, as it does with up to a
million rows, and with Spark, as with more. The peer reads the same table and counts in one aggregate, per rule of the
contract, the rows that break it, and the keys. Each is timed after one run that is not; it ends with 1 when the gate takes
more than 1.3 times the aggregate.
"""

import json
import sys
import time
from collections.abc import Callable

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks import lake
from benchmarks.gold import silver
from benchmarks.home import own_home
from cinelake.settings import Settings
from cinelake.stack.postgres import POSTGRES
from lakehouse import tables
from lakehouse.contract import table
from lakehouse.quarantine import contract_rules
from pipeline.gates import gate_silver
from spark_streaming.session import build_session

EVENTS = 500_000
RATIO_LIMIT = 1.3
CONTRACT = table("silver.events")


def main() -> int:
    """Measure and print."""
    with own_home((POSTGRES,)) as settings:
        return measure(settings)


def measure(settings: Settings) -> int:
    """Fill the lake and time the three; 1 when the limit is passed."""
    silver.fill(settings, EVENTS)
    lake.fill(settings)
    spark = build_session(settings)
    on_spark = settings.model_copy(update={"gate_pandas_rows": 0})
    aggregate = _seconds(lambda: _aggregate(spark, settings))
    gate = _seconds(lambda: _gate(spark, settings))
    spark_gate = _seconds(lambda: _gate(spark, on_spark))
    rules = len(contract_rules(CONTRACT))
    spark.stop()
    figures = {
        "events": EVENTS,
        "rules": rules,
        "aggregate_seconds": round(aggregate, 2),
        "gate_seconds": round(gate, 2),
        "ratio": round(gate / aggregate, 2),
        "gate_on_spark_seconds": round(spark_gate, 2),
        "ratio_on_spark": round(spark_gate / aggregate, 2),
        "ratio_limit": RATIO_LIMIT,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(gate > RATIO_LIMIT * aggregate)


def _gate(spark: SparkSession, settings: Settings) -> None:
    result = gate_silver(lambda: spark, settings, "benchmark")
    assert result.passed, result.failures


def _aggregate(spark: SparkSession, settings: Settings) -> None:
    events = spark.read.format("delta").load(tables.table_path(settings, CONTRACT.full_name))
    rules = [F.count_if(rule.broken) for rule in contract_rules(CONTRACT)]
    keys = F.count_distinct(*CONTRACT.key)
    (found,) = events.agg(F.count(F.lit(1)), keys, *rules).collect()
    assert list(found) == [EVENTS, EVENTS] + [0] * len(rules), found


def _seconds(step: Callable[[], None]) -> float:
    step()
    started = time.monotonic()
    step()
    return time.monotonic() - started


if __name__ == "__main__":
    raise SystemExit(main())
