"""TMDB's movies: what changed every day, everything every week."""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from cinelake_tasks import COMMON, MOVIE_TOPIC, CinelakeOperator

HOW = (
    "\n\n*Repeatable*: a sync that was cut off goes on where it ended, and a movie that has not changed is not published"
    " again."
)

for name, schedule, command, what in (
    (
        "tmdb_daily_sync",
        "0 3 * * *",
        "tmdb sync --changes",
        "the movies that TMDB lists as changed",
    ),
    ("tmdb_weekly_sync", "0 4 * * 0", "tmdb sync --full", "every movie of TMDB's daily id file"),
):
    with DAG(
        name,
        description=f"Fetches {what} into MongoDB and Kafka.",
        doc_md=f"Fetches {what} into MongoDB and the topic `movie`; `medallion_refresh` runs when it has. See `docs/tmdb.md`.",
        schedule=CronTriggerTimetable(schedule, timezone="UTC"),
        tags=["cinelake", "tmdb"],
        **COMMON,
    ):
        CinelakeOperator(
            task_id="sync",
            command=command,
            doc_md=f"Fetches {what}.{HOW}",
            execution_timeout=timedelta(hours=12),
            outlets=[MOVIE_TOPIC],
        )
