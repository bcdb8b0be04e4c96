"""How the JVM of Spark is started."""

import sys
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf

from spark_streaming.session import _libraries, class_archive


@pytest.mark.skipif(sys.platform != "linux", reason="what a process maps is in /proc")
def test_spark_maps_the_archive_that_the_installation_made(spark: SparkSession) -> None:
    java = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    assert str(class_archive()) in Path(f"/proc/{java.pid}/maps").read_text()


@pytest.mark.parametrize(
    ("master", "setting", "between"),
    [
        ("local[2]", "spark.driver.extraClassPath", ":"),
        ("local", "spark.driver.extraClassPath", ":"),
        ("local-cluster[2,1,1024]", "spark.jars", ","),
        ("spark://one:7077", "spark.jars", ","),
    ],
)
def test_executors_of_a_cluster_are_sent_the_jars(master: str, setting: str, between: str) -> None:
    name, jars = _libraries(master)
    assert name == setting
    assert any("delta-spark" in jar for jar in jars.split(between))


def test_columns_are_made_without_a_note_of_their_line(spark: SparkSession) -> None:
    assert spark.conf.get("spark.python.sql.dataFrameDebugging.enabled") == "false"


def test_what_looks_like_a_key_of_a_pseudonym_is_shown_in_no_plan(spark: SparkSession) -> None:
    pad = "36" * 64
    execution = spark.sql(f"select concat(unhex('{pad}'), unhex(hex(id))) from range(1)")._jdf
    told = execution.queryExecution().toString().lower()
    assert "redacted" in told
    assert pad not in told


def test_spark_has_no_page_unless_asked_for(spark: SparkSession) -> None:
    assert spark.sparkContext.uiWebUrl is None


def test_who_is_none_of_its_own_has_no_say_at_sparks_ports(spark: SparkSession) -> None:
    jvm = spark._jvm
    assert jvm is not None
    settings = jvm.org.apache.spark.SparkConf(False)
    manager = jvm.org.apache.spark.SecurityManager
    nothing = jvm.scala.Option.empty()
    unknown = manager(settings, nothing, getattr(manager, "$lessinit$greater$default$3")())
    stranger = jvm.org.apache.spark.rpc.RpcEnv.create(
        "stranger", "127.0.0.1", "127.0.0.1", 0, settings, unknown, 1, True
    )
    driver = jvm.org.apache.spark.rpc.RpcAddress(
        "127.0.0.1", int(spark.sparkContext.getConf().get("spark.driver.port") or 0)
    )
    try:
        with pytest.raises(Py4JJavaError, match="Expected SaslMessage"):
            stranger.setupEndpointRef(driver, "MapOutputTracker")
    finally:
        stranger.shutdown()


def test_a_worker_of_python_has_our_functions_and_their_libraries_before_it_is_asked(
    spark: SparkSession,
) -> None:
    @udf("array<string>")
    def loaded() -> list[str]:
        return [name for name in sys.modules if name in NEEDED]

    rows = spark.range(1).select(loaded().alias("names")).collect()
    assert set(rows[0]["names"]) == set(NEEDED)


NEEDED = ("pandas", "pyarrow", "lakehouse.pseudonym", "lakehouse.silver.devices")
