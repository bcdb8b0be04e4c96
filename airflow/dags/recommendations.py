"""Recommendations anew every week: a model is trained and gated, and everybody is scored with the published one."""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param
from cinelake_tasks import COMMON, SPARK_POOL, CinelakeOperator

with DAG(
    "recommendations",
    description="Trains a model of recommendations; one that is worse than the published one is refused.",
    doc_md="Trains a model of recommendations on what silver holds, and scores everybody with it; the next"
    " `medallion_refresh` brings the scores to gold. A model that is worse than the published one fails the first task:"
    " the published one and its recommendations stay. See `docs/recommendations.md`.",
    schedule=CronTriggerTimetable("30 4 * * 1", timezone="UTC"),
    params={
        "seconds": Param(
            600, type="integer", minimum=0, description="Begin no further candidate after so long."
        )
    },
    tags=["cinelake", "recommendations"],
    **COMMON,
):
    CinelakeOperator(
        task_id="train",
        command="recommend train --seconds {{ params.seconds }} --json",
        doc_md="Tunes, measures and gates a model.\n\n*Repeatable*: the same parameters on the same data are the same model.",
        pool=SPARK_POOL,
        execution_timeout=timedelta(hours=6),
    ) >> CinelakeOperator(
        task_id="score",
        command="recommend score --json",
        doc_md="Writes what the published model recommends to silver.\n\n*Repeatable*: equal rows are not written again.",
        pool=SPARK_POOL,
    )
