"""How the JVM of Spark is started."""

import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

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
