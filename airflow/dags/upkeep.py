"""What keeps the lakehouse in shape and tells whether it is: compaction, quarantine, streams, ledger."""

from airflow.sdk import DAG, CronTriggerTimetable, Param
from cinelake_tasks import COMMON, SPARK_POOL, CinelakeOperator

with DAG(
    "log_compaction",
    description="Puts small files of the lake together, and takes away what no reader needs.",
    doc_md="Puts small files of the lake together, takes away files that no reader needs, and, when `backup_days` is set,"
    " raw backups that are older and that bronze has. See `docs/operations.md`.",
    schedule=CronTriggerTimetable("30 2 * * *", timezone="UTC"),
    params={
        "backup_days": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Take raw backups of events away after so many days; empty keeps them for ever.",
        )
    },
    tags=["cinelake", "upkeep"],
    **COMMON,
):
    CinelakeOperator(
        task_id="maintain",
        command="maintain --json",
        doc_md="Compacts and vacuums every table.\n\n*Repeatable*: a table that has nothing to do is passed over.",
        pool=SPARK_POOL,
    ) >> CinelakeOperator(
        task_id="prune_backup",
        command="{% if params.backup_days %}backup prune --older-than {{ params.backup_days }}"
        "{% else %}backup{% endif %}",
        doc_md="Brings the raw backup up to date and, when `backup_days` is set, takes old messages out of it.\n\n"
        "*Repeatable*: what is in the backup is not added again, and what is gone is not missed.",
    )

with DAG(
    "quarantine_digest",
    description="Tells people what is in quarantine, and what is new there.",
    doc_md="Tells people, over the channels of `docs/operations.md`, what is in quarantine and what is new there.",
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC"),
    tags=["cinelake", "upkeep"],
    **COMMON,
):
    CinelakeOperator(
        task_id="digest",
        command="quarantine digest",
        doc_md="Counts the messages in quarantine by topic and rule, and sends the counts.\n\n*Repeatable*: it only reads; a"
        " repetition sends the same counts again.",
    )

with DAG(
    "streaming_watchdog",
    description="Starts streaming daemons again that have ended by themselves, and tells of their lag.",
    doc_md="For those who stream (`cinelake streams up`): starts daemons again that have ended by themselves, and fails, which"
    " people are told, when a stage has more than `max_lag` messages still to take.",
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    params={"max_lag": Param(10_000, type="integer", minimum=0)},
    tags=["cinelake", "streaming"],
    **COMMON,
):
    CinelakeOperator(
        task_id="watch",
        command="streams watch --max-lag {{ params.max_lag }} --json",
        doc_md="Looks at the daemons and at how far they are behind.\n\n*Repeatable*: a daemon that runs is left alone.",
        # The next look is five minutes away.
        retries=0,
    )

with DAG(
    "reconcile",
    description="Fails loudly when the ledger does not add up.",
    doc_md="Counts the events at every hop, from the API to gold, and fails when one was lost or counted twice. See"
    " `docs/runbook.md`.",
    schedule=CronTriggerTimetable("0 1 * * *", timezone="UTC"),
    tags=["cinelake", "upkeep"],
    **COMMON,
):
    CinelakeOperator(
        task_id="reconcile",
        command="reconcile --json",
        doc_md="Counts the events at every hop.\n\n*Repeatable*: it only counts.",
        # Not while a refresh is between two hops.
        pool=SPARK_POOL,
    )
