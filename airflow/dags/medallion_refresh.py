"""The medallion refresh: Kafka to bronze, silver, PostgreSQL and gold, each layer gated, gold swapped in at the end."""

import json
import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import (
    DAG,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    DeadlineAlert,
    DeadlineReference,
    Param,
    SyncCallback,
    TaskGroup,
    TriggerRule,
    get_parsing_context,
)
from cinelake_tasks import (
    BRONZE,
    COMMON,
    GOLD,
    MOVIE_TOPIC,
    SILVER,
    SILVER_IN_POSTGRES,
    SPARK_POOL,
    CinelakeOperator,
    tell_deadline,
)
from cosmos import (
    DbtTaskGroup,
    ExecutionConfig,
    ExecutionMode,
    InvocationMode,
    LoadMode,
    ProfileConfig,
    ProjectConfig,
    RenderConfig,
    TestBehavior,
)
from cosmos.constants import PRODUCER_WATCHER_TASK_ID

PROJECT = Path(os.environ.get("CINELAKE_DBT_PROJECT", Path(__file__).parents[2] / "dbt_project"))
DBT = os.environ.get("CINELAKE_DBT", "dbt")
MANIFEST = os.environ.get("CINELAKE_DBT_MANIFEST", str(PROJECT / "target" / "manifest.json"))
# Staging's views change only with the project: `gold prepare` makes them then. To exclude them would leave out the tests
# that also read one of them.
WHAT_DBT_BUILDS = ["path:models/intermediate", "path:models/marts", "resource_type:test"]
STAGES = os.environ.get("CINELAKE_STAGES", str(PROJECT / "target" / "stages.json"))
"""What `cinelake stages --json` says: a task a stage, but for dbt's, which has a task a model."""
PARAMETERS = {
    "publish": "{% for table in params.tables %} --table {{ table }}{% endfor %}"
    "{% if params.from_version is not none %} --from-version {{ params.from_version }}{% endif %}",
    "gold prepare": "{% if params.full_refresh %} --full-refresh{% endif %}",
}
"""What a run's parameters add to the command of a stage."""
OUTLETS = {
    "bronze": [BRONZE],
    "silver events": [SILVER],
    "publish": [SILVER_IN_POSTGRES],
    "swap": [GOLD],
}
"""The assets that a stage brings up to date."""
DEFAULT_POOL = "default_pool"
DEADLINE_MINUTES = int(os.environ.get("CINELAKE_REFRESH_DEADLINE_MINUTES", "60"))


def _task(stage: dict[str, Any]) -> CinelakeOperator:
    """The task of a stage that `cinelake stages` shows."""
    name = stage["name"]
    return CinelakeOperator(
        task_id=name.replace(" ", "_"),
        command=stage["command"] + PARAMETERS.get(name, "") + " --json",
        doc_md=f"{stage['does']}\n\n*Repeatable*: {stage['repeatable']}.",
        outlets=OUTLETS.get(name, []),
        skip_unless="is_due" if stage["decides"] else None,
        pool=SPARK_POOL if stage["takes_cores"] else DEFAULT_POOL,
        trigger_rule=TriggerRule.NONE_FAILED if stage["is_last"] else TriggerRule.ALL_SUCCESS,
    )


def _gold_next(task_id: str | None) -> TaskGroup:
    """The models of dbt, each with its tests after it.

    A task parses this file anew, and to lay out all models takes longer than most models: who watches one lays out that
    one, and who has to do with none lays out none.

    Args:
        task_id: The task that this process is about to run; None when it wants the graph.
    """
    match (task_id or "gold_next").split("."):
        case ["gold_next", model, "run" | "test"]:
            return _models([model])
        case ["gold_next", *_]:
            return _models(WHAT_DBT_BUILDS)
        case _:
            return TaskGroup("gold_next")


def _models(select: list[str]) -> DbtTaskGroup:
    models = DbtTaskGroup(
        group_id="gold_next",
        project_config=ProjectConfig(
            dbt_project_path=PROJECT, manifest_path=MANIFEST, install_dbt_deps=False
        ),
        profile_config=ProfileConfig(
            profile_name="cinelake",
            target_name="next",
            profiles_yml_filepath=PROJECT / "env_profile" / "profiles.yml",
        ),
        execution_config=ExecutionConfig(
            # One dbt for all models, watched by a task a model: to start dbt for each takes longer than most models.
            execution_mode=ExecutionMode.WATCHER,
            invocation_mode=InvocationMode.SUBPROCESS,
            dbt_executable_path=DBT,
            setup_operator_args={"pool": SPARK_POOL},
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.AFTER_EACH,
            emit_datasets=False,
            select=select,
            exclude=["resource_type:unit_test"],
        ),
        operator_args={
            "append_env": True,
            "full_refresh": "{{ params.full_refresh }}",
            "should_store_compiled_sql": False,
            # A task a model waits in its slot for the seconds that dbt needs: handed to the triggerer, it would have to
            # start twice, and a start takes longer than most models.
            "deferrable": False,
            # Each look asks Airflow three things, and takes from dbt the cores that it needs.
            "poke_interval": 2,
        },
        default_args={
            # A model that failed is built by the next run, in its place among the others.
            "retries": 0,
            "doc_md": "dbt builds this model in `gold_next`, then its tests.\n\n*Repeatable*: a table is made anew, an"
            " incremental one takes what changed since its own lake version.",
        },
    )
    _count_each_test_once(models)
    return models


def _count_each_test_once(models: DbtTaskGroup) -> None:
    """Give each test to the last of the models it reads.

    Cosmos gives it to all of them: a dimension, which each fact is compared with, would then have passed its tests when
    dbt is at its end, and whatever comes after the dimension would wait as long.
    """
    producer = models.children[f"{models.group_id}.{PRODUCER_WATCHER_TASK_ID}"]
    tests_of = producer.tests_per_model
    last_of = {
        test: model
        for model in sorted(tests_of, key=partial(_ancestors, models))
        for test in tests_of[model]
    }
    producer.tests_per_model = {
        model: [test for test in tests if last_of[test] == model]
        for model, tests in tests_of.items()
    }


def _ancestors(models: DbtTaskGroup, model: str) -> int:
    """How many tasks come before a model: more than before each of those that it reads."""
    group = models.children[f"{models.group_id}.{model.rpartition('.')[2]}"]
    return len(group.children[f"{group.group_id}.run"].get_flat_relative_ids(upstream=True))


with DAG(
    "medallion_refresh",
    description="Kafka to bronze, silver, PostgreSQL and gold; every layer gated, gold swapped in at the end.",
    doc_md="""
Brings everything up to date, as `cinelake refresh` does, with a task a stage. Runs every quarter of an hour, and whenever
movies came from TMDB; never twice at once.

**When a task fails**, analysts go on with the gold they see: nothing reaches them before the swap, the last task but two.
Mend the cause (the log names it and the next step; `docs/runbook.md` has an entry for each error) and clear the task, or
wait for the next run, which begins where this one ended.

A manual run takes `full_refresh` (build gold from scratch), `tables` (publish only these tables of silver) and
`from_version` (publish again what changed in this version of the lake and later).
""",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"), assets=[MOVIE_TOPIC]
    ),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=DEADLINE_MINUTES),
        callback=SyncCallback(
            tell_deadline, kwargs={"dag_id": "medallion_refresh", "minutes": DEADLINE_MINUTES}
        ),
    ),
    params={
        "full_refresh": Param(False, type="boolean", description="Build gold from scratch."),
        "tables": Param(
            [],
            type="array",
            items={"type": "string", "pattern": r"^silver\.[a-z_]+$"},
            description="Publish only these tables of silver; empty for all.",
        ),
        "from_version": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            description="Publish again what changed in this version of the lake and later.",
        ),
    },
    tags=["cinelake", "medallion"],
    **COMMON,
):
    tasks: dict[str, CinelakeOperator | TaskGroup] = {}
    for stage in json.loads(Path(STAGES).read_text(encoding="utf-8")):
        name = stage["name"]
        tasks[name] = (
            _task(stage) if stage["command"] else _gold_next(get_parsing_context().task_id)
        )
        for need in stage["needs"]:
            tasks[need] >> tasks[name]
    assert {*PARAMETERS, *OUTLETS} <= tasks.keys(), "a stage has another name"
    tasks["swap"] >> CinelakeOperator(
        task_id="docs",
        command="docs build",
        doc_md="Builds the docs site of what was published.\n\n*Repeatable*: the site is replaced as a whole.",
        trigger_rule=TriggerRule.NONE_FAILED,
    )
