"""The process that Spark forks its Python workers from, with what they need loaded once: `spark.python.daemon.module`.

A worker ends after a minute without work, and loading pandas, Arrow and our functions takes the next one longer than most
batches do.
"""

import pandas as pd  # noqa: F401
import pyspark.sql.pandas.serializers  # noqa: F401
from pyspark import daemon

import lakehouse.pseudonym
import lakehouse.recoveries
import lakehouse.silver.answers
import lakehouse.silver.devices  # noqa: F401

if __name__ == "__main__":
    daemon.manager()  # type: ignore[no-untyped-call]
