"""`silver.recoveries`: which messages left quarantine for silver, and the mapping that mended each.

Bronze keeps a message as it was sent. So that whoever reads it again, a micro-batch that is repeated after a crash or a
late answer that needs a movie's history, finds what silver holds, the recorded mapping is applied to it each time.
"""

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from cinelake.settings import Settings
from lakehouse import changes, mapping, tables
from lakehouse.contract import table
from lakehouse.quarantine import COORDINATES

RECOVERIES = "silver.recoveries"
_PLACE = ["topic", "partition", "offset"]
"""The coordinates of a message as bronze names them."""


def as_recovered(spark: SparkSession, settings: Settings, messages: DataFrame) -> DataFrame:
    """The same messages, each that was recovered with a mapping in its mended form.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        messages: Rows of `bronze.user_logs` or `bronze.movie`.
    """
    if not changes.count_rows(settings, RECOVERIES, "mapping is not null"):
        return messages
    recovered = (
        tables.read(spark, settings, RECOVERIES)
        .where("mapping is not null")
        .select(*(F.col(name).alias(to) for name, to in _renamed()), F.col("mapping"))
    )
    mended = messages.join(F.broadcast(recovered), _PLACE).withColumn(
        "value", mended_value("value", "mapping")
    )
    if mended.isEmpty():
        return messages
    others = messages.join(F.broadcast(recovered.select(*_PLACE)), _PLACE, "left_anti")
    return others.select(*messages.columns).unionByName(mended.select(*messages.columns))


def mended_value(value: str, steps: str) -> Column:
    """The bytes in a column with the mapping in another applied, a text as `Mapping.canonical` gives it.

    Either may be null; a message without a mapping stays as it is.
    """
    # Spark's stubs ask for the kind of UDF, which Spark itself reads off the type hints.
    mend = arrow_udf(_mend, "binary")  # type: ignore[call-overload]
    mended: Column = mend(F.col(value), F.col(steps))
    return mended


def _mend(values: pa.Array, steps: pa.Array) -> pa.Array:
    read: dict[str, mapping.Mapping] = {}
    mended = []
    for value, text in zip(values.to_pylist(), steps.to_pylist(), strict=True):
        if value is None or text is None:
            mended.append(value)
            continue
        if text not in read:
            read[text] = mapping.Mapping.model_validate_json(text)
        mended.append(mapping.apply(read[text], value))
    return pa.array(mended, pa.binary())


def record(spark: SparkSession, settings: Settings, recovered: DataFrame, run_id: str) -> None:
    """Note what was recovered; doing it again adds nothing.

    Args:
        spark: The session.
        settings: Tells where the lake is.
        recovered: Columns `kafka_topic`, `kafka_partition`, `kafka_offset`, `event_id`, `rule` and `mapping`.
        run_id: The run that did it.
    """
    rows = recovered.select(
        *COORDINATES,
        "event_id",
        "rule",
        "mapping",
        F.current_timestamp().alias("recovered_at"),
        F.lit(run_id).alias("run_id"),
    )
    tables.insert_new(spark, settings, table(RECOVERIES), rows)


def take_back(spark: SparkSession, settings: Settings) -> bool:
    """Forget the recoveries of messages that are in quarantine, because stricter rules set them aside again.

    Returns:
        Whether there were any.
    """
    noted, held = (
        tables.read(spark, settings, name).select(*COORDINATES)
        for name in (RECOVERIES, "silver.quarantine")
    )
    again = tables.computed(noted.join(held, COORDINATES, "left_semi"))
    if again.isEmpty():
        return False
    nothing = tables.read(spark, settings, RECOVERIES).limit(0)
    tables.replace(spark, settings, table(RECOVERIES), nothing, again)
    return True


def _renamed() -> list[tuple[str, str]]:
    return list(zip(COORDINATES, _PLACE, strict=True))
