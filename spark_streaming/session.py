"""The one SparkSession of a process."""

import os
import sys
from pathlib import Path

import pyspark
import structlog
from pyspark.sql import SparkSession

from cinelake.log import get_logger
from cinelake.owner_only import UMASK
from cinelake.settings import Settings
from cinelake.stack.jars import jars_folder, java_build, spark_jars
from cinelake.stack.ports import HOST

LOG_CONFIG = {
    "console": Path(__file__).with_name("log4j2.properties"),
    "json": Path(__file__).with_name("log4j2-json.properties"),
}
LOG_TEMPLATE = Path(__file__).with_name("log4j2-template.json")
SHUFFLE_PARTITIONS = 2
"""Few on purpose: an increment is small, and each partition costs a task and a file in each table it changes."""

STACK = "-Xss4m"
"""The plan of an iterative fit is as deep as it is long, and reading it in a task would overflow the JVM's stack of 1 MB."""

KAFKA_SOURCE = "org.apache.spark.sql.kafka010.KafkaSourceProvider"
"""Read through Spark's older interface for sources.

In Spark 4.1.1 the newer one fails each query that goes on after a crash in the middle of a batch, when it reports the
progress of the repeated batch (SPARK-57438: https://github.com/apache/spark/pull/56526).
"""

log = get_logger("spark")


def build_session(settings: Settings, app_name: str = "cinelake") -> SparkSession:
    """Start Spark with Delta Lake and the Kafka connector, or return the session that runs already.

    Args:
        settings: `spark_master`, `spark_memory`, `spark_java_options`, `spark_ui_port` and `home` (for scratch files) are used.
        app_name: Name shown in Spark's own logs.

    Returns:
        A session whose time zone is UTC.
    """
    scratch = settings.home / "spark"
    scratch.mkdir(parents=True, exist_ok=True)
    # Spark's Python workers would otherwise be whatever `python3` is on the path, without our libraries.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = _with_ui(SparkSession.builder, settings.spark_ui_port)
    if _is_local(settings.spark_master):
        # Its driver listens for executors, of which there are none: who is none of its own has no say, and no secret is to be set.
        builder.config("spark.authenticate", "true")
    spark = (
        builder.appName(app_name)
        .master(settings.spark_master)
        .config(*_libraries(settings.spark_master))
        .config("spark.driver.memory", settings.spark_memory)
        .config("spark.driver.bindAddress", HOST)
        .config("spark.driver.host", HOST)
        .config("spark.driver.extraJavaOptions", _java_options(settings, scratch))
        .config("spark.executor.extraJavaOptions", STACK)
        .config("spark.local.dir", str(scratch))
        # Hadoop sets the mode of some files itself, by an umask of its own.
        .config("spark.hadoop.fs.permissions.umask-mode", f"{UMASK:03o}")
        .config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", SHUFFLE_PARTITIONS)
        # Replanning each stage of a plan by what the last one gave costs a small increment more than it saves.
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.python.daemon.module", "spark_streaming.python_daemon")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config(
            "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        )
        # Noting the line of Python that made a column costs ten times what the column costs.
        .config("spark.python.sql.dataFrameDebugging.enabled", "false")
        # Delta replays each table's log with this many tasks; its default of 50 costs seconds on small tables.
        .config("spark.databricks.delta.snapshotPartitions", 1)
        .config("spark.databricks.delta.merge.repartitionBeforeWrite.enabled", "true")
        # A key combined with a pad of HMAC would look so in a plan, which holds none: a second net.
        .config("spark.sql.redaction.string.regex", "[0-9A-Fa-f]{128}")
        # Spark compiles classes for each plan and keeps 100 of them: too few for the next refresh to find its own there.
        .config("spark.sql.codegen.cache.maxEntries", 1000)
        # Each hash table takes a page at once, one that is sent to the tasks until it is collected: 16 MB each by Spark's
        # reckoning from a heap of 1 GB, for a few hundred rows. A larger row gets a page of its own.
        .config("spark.buffer.pageSize", "1m")
        .config("spark.sql.streaming.disabledV2MicroBatchReaders", KAFKA_SOURCE)
        .getOrCreate()
    )
    if page := spark.sparkContext.uiWebUrl:
        log.info("Spark's page", address=page)
    return spark


def class_archive() -> Path:
    """Where the archive of this Spark's classes is, if it was made; it goes when other jars are fetched.

    The build of Java is part of its name: one of another build Java does not use, nor its own instead.
    """
    return jars_folder() / f"spark-{pyspark.__version__}-java-{java_build()}.jsa"


def _is_local(master: str) -> bool:
    """Whether Spark is one process."""
    return master.partition("[")[0] == "local"


def _libraries(master: str) -> tuple[str, str]:
    """The setting that tells Spark of the jars beside its own, and its value."""
    jars = [str(jar) for jar in spark_jars()]
    if _is_local(master):
        # On the class path their classes are in the archive too, and nothing is copied to executors that are not there.
        return "spark.driver.extraClassPath", os.pathsep.join(jars)
    return "spark.jars", ",".join(jars)


def _with_ui(builder: SparkSession.Builder, port: int | None) -> SparkSession.Builder:
    """Spark's web interface on this port or, where that is taken, on one of the next; off without a port."""
    if port is None:
        # Nobody looks at the plans and jobs that it would keep.
        return (
            builder.config("spark.ui.enabled", "false")
            .config("spark.sql.ui.retainedExecutions", 10)
            .config("spark.ui.retainedJobs", 10)
            .config("spark.ui.retainedStages", 10)
            .config("spark.ui.retainedTasks", 100)
        )
    # The interface listens wherever this says, and else on every address of the machine.
    os.environ.setdefault("SPARK_LOCAL_IP", HOST)
    return (
        builder.config("spark.ui.enabled", "true")
        .config("spark.ui.port", port)
        # Whoever has an account on the machine can reach it, and is to look, not to stop a run.
        .config("spark.ui.killEnabled", "false")
    )


def _java_options(settings: Settings, scratch: Path) -> str:
    """JVM flags: scratch files stay under the project's home, UTC whatever the machine's zone is, our own log, and one's own."""
    flags = {
        "java.io.tmpdir": scratch,
        "derby.system.home": scratch,
        "user.timezone": "UTC",
        "log4j2.configurationFile": LOG_CONFIG[settings.log_format].as_uri(),
        "cinelake.log_template": LOG_TEMPLATE,
        "cinelake.run_id": structlog.contextvars.get_contextvars().get("run_id", ""),
    }
    ours = ["-XX:-UsePerfData", STACK, *(f"-D{name}={value}" for name, value in flags.items())]
    # What Java leaves out of an archive, or that one is another Java's, is no reason for lines in each log.
    ours += ["-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    if class_archive().is_file():
        ours.append(f"-XX:SharedArchiveFile={class_archive()}")
    return " ".join([*ours, settings.spark_java_options]).strip()
