"""Recovery as a stage: alone in silver while it moves messages."""

from contextlib import nullcontext

from pyspark.sql import SparkSession

from cinelake.log import current_run_id
from cinelake.settings import Settings
from lakehouse import checkpoints, tables
from lakehouse.recover import OnStage, Outcome, Selection, recover
from pipeline.locks import only_one


def run_recover(
    spark: SparkSession,
    settings: Settings,
    selection: Selection,
    is_applied: bool,
    on_stage: OnStage = lambda stage: None,
) -> list[Outcome]:
    """Judge messages in quarantine anew.

    Args:
        spark: The session.
        settings: All of them.
        selection: Which messages, and how they are mended.
        is_applied: Move those that pass; else only count them.
        on_stage: Called with the name of each step when it starts.

    Raises:
        CheckpointMismatchError: Silver was lost, so that there is nothing to recover.
        ServiceError: Another process, perhaps a daemon, is in silver and stays there.
    """
    with only_one(settings, "silver") if is_applied else nullcontext():
        checkpoints.require_silver(settings)
        tables.ensure_layer(lambda: spark, settings, "silver")
        run_id = current_run_id() if is_applied else None
        return recover(spark, settings, selection, run_id, on_stage)
