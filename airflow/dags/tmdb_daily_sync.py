"""TMDB's movies: what changed every day, everything every week."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from cinelake_tasks import (
    DEFAULT_ARGUMENTS,
    MOVIE_TOPIC,
    CinelakeOperator,
    tell_failure,
    tell_success,
)

HOW = (
    "\n\n*Repeatable*: a sync that was cut off goes on where it ended, and a movie that has not changed is not published"
    " again."
)

for name, schedule, command, what in (
    ("tmdb_daily_sync", "0 3 * * *", "tmdb sync", "the movies that TMDB lists as changed"),
    ("tmdb_weekly_sync", "0 4 * * 0", "tmdb sync --full", "every movie of TMDB's daily id file"),
):
    with DAG(
        name,
        description=f"Fetches {what} into MongoDB and Kafka.",
        doc_md=f"Fetches {what} into MongoDB and the topic `movie`; `medallion_refresh` runs when it has. See `docs/tmdb.md`.",
        schedule=CronTriggerTimetable(schedule, timezone="UTC"),
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULT_ARGUMENTS
        | {"on_failure_callback": tell_failure, "execution_timeout": timedelta(hours=12)},
        on_success_callback=tell_success,
        tags=["cinelake", "tmdb"],
    ):
        CinelakeOperator(
            task_id="sync",
            command=command,
            doc_md=f"Fetches {what}.{HOW}",
            outlets=[MOVIE_TOPIC],
        )
