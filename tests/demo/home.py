"""What a person with access to a home's lake could do."""

from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from cinelake.settings import load_settings
from lakehouse.tables import table_path


def set_rating(spark: SparkSession, home: Path, user: str, rating: float) -> None:
    """Change a user's rows of `silver.ratings`."""
    path = table_path(load_settings(CINELAKE_HOME=str(home)), "silver.ratings")
    DeltaTable.forPath(spark, path).update(f"user_id = '{user}'", {"rating": f"{rating}D"})
