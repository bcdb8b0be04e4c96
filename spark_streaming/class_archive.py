"""An archive of Spark's classes, which a JVM maps into its memory in place of reading, checking and linking each of them.

`python -m spark_streaming.class_archive` makes it, once for an environment; without it all works the same, and each
command that needs Spark takes some seconds longer. It is Java's own class data sharing (JEP 350). An archive that another
Java has made is not used: after an update of Java, run this again.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cinelake.errors import CinelakeError, ServiceError
from cinelake.settings import load_settings
from spark_streaming.session import build_session, class_archive

EXIT_SECONDS = 300


def make_archive() -> bool:
    """Make the archive unless it is there: start Spark, use what a refresh uses, and have Java write what it loaded.

    Returns:
        True when it was made.

    Raises:
        ServiceError: Java wrote none.
    """
    if class_archive().is_file():
        return False
    with tempfile.TemporaryDirectory(prefix="classes-", dir=class_archive().parent) as scratch:
        made = Path(scratch) / class_archive().name
        settings = load_settings(
            CINELAKE_HOME=scratch,
            SPARK_MASTER="local[2]",
            CINELAKE_SPARK_JAVA_OPTIONS=f"-XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit={made}",
        )
        session = build_session(settings, "class archive")
        java = session.sparkContext._gateway.proc  # type: ignore[union-attr]
        _use_delta(session, Path(scratch))
        session.stop()
        # Java ends with its standard input, and writes the archive then.
        java.stdin.close()
        try:
            java.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            java.kill()
            made.unlink(missing_ok=True)
        if not made.is_file():
            raise ServiceError(
                "Java wrote no archive of Spark's classes.",
                "All works without it, commands only start more slowly. Run this again to try again.",
            )
        made.replace(class_archive())
    for other in class_archive().parent.glob("spark-*.jsa"):
        if other != class_archive():
            other.unlink()
    return True


def _use_delta(spark: SparkSession, folder: Path) -> None:
    """What every refresh does: make tables, merge into them, and read one as a stream."""
    table, copy = str(folder / "table"), str(folder / "copy")
    rows = spark.range(10).select("id", F.col("id").cast("string").alias("name"))
    rows.write.format("delta").save(table)
    held = DeltaTable.forPath(spark, table).alias("held")
    merge = held.merge(rows.alias("new"), "held.id = new.id")
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    stream = spark.readStream.format("delta").option("ignoreChanges", "true").load(table)
    writer = stream.writeStream.format("delta").option("checkpointLocation", f"{copy}-checkpoint")
    writer.trigger(availableNow=True).start(copy).awaitTermination()


def main() -> int:
    """Make the archive and say in one line what was done."""
    try:
        done = "made" if make_archive() else "there already"
    except CinelakeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"Archive of Spark's classes: {done} ({class_archive()})\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
