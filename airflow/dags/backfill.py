"""Events of a range of dates, from the raw backup once more through the whole way."""

from datetime import date, timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, task
from cinelake_tasks import COMMON, CinelakeOperator

with DAG(
    "backfill",
    description="Publishes a range of the raw backup to Kafka again, a chunk after the other, and refreshes.",
    doc_md="""
Publishes the events of a range of dates (by Kafka's clock, UTC) from the raw backup in MongoDB to Kafka again, a chunk after
the other, then runs `medallion_refresh`. Events that silver has already count as duplicates, so that a range may be taken
twice, and a range that overlaps another changes nothing.

**Resumable**: clear the chunk that failed, and only that is taken again.
""",
    schedule=None,
    params={
        "first_day": Param("2025-01-01", type="string", format="date"),
        "last_day": Param("2025-01-01", type="string", format="date"),
        "days_a_chunk": Param(1, type="integer", minimum=1, maximum=366),
    },
    tags=["cinelake", "backfill"],
    **COMMON,
):

    @task(
        doc_md="Splits the range into chunks.\n\n*Repeatable*: the same range gives the same chunks."
    )
    def chunks(params: dict[str, str | int] | None = None) -> list[str]:
        """The command of each chunk.

        Raises:
            ValueError: The last day is before the first.
        """
        assert params is not None
        first, last = (date.fromisoformat(str(params[name])) for name in ("first_day", "last_day"))
        if last < first:
            raise ValueError(f"The last day, {last}, is before the first, {first}.")
        end, step = last + timedelta(days=1), timedelta(days=int(params["days_a_chunk"]))
        starts = [first + number * step for number in range(-((first - end) // step))]
        return [f"backup restore --from {start} --to {min(start + step, end)}" for start in starts]

    restore = CinelakeOperator.partial(
        task_id="restore",
        doc_md="Publishes one chunk of the backup to Kafka again.\n\n*Repeatable*: silver counts what it has as duplicates.",
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.command }}",
    ).expand(command=chunks())
    restore >> TriggerDagRunOperator(
        task_id="refresh",
        trigger_dag_id="medallion_refresh",
        wait_for_completion=True,
        deferrable=True,
        poke_interval=5,
        doc_md="Runs `medallion_refresh` and waits for it.\n\n*Repeatable*: a refresh takes what is still to be taken.",
    )
