"""The DAGs under a real `airflow standalone`, on the home's real stack: what a run does, and what it never does."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser
from pyspark.sql import SparkSession

from cinelake.settings import PROJECT_ROOT, load_settings
from cinelake.stack import airflow as airflow_service
from ingestion.generated_catalog import generate_catalog
from pipeline.stages import STAGES
from tests.airflow_client import OVER_SECONDS, AirflowClient
from tests.demo.home import set_rating
from tests.demo.secrets_of import files_that_tell
from tests.integration.conftest import CommandLine, not_installed, open_to_others
from tests.integration.inbox import Inbox, open_inbox
from tests.integration.tmdb_sandbox import sandbox_process
from tests.kafka_events import messages_of_movies
from tests.waiting import eventually

MEDALLION = "medallion_refresh"
DAGS = {
    MEDALLION,
    "tmdb_daily_sync",
    "tmdb_weekly_sync",
    "log_compaction",
    "quarantine_digest",
    "streaming_watchdog",
    "reconcile",
    "recommendations",
    "backfill",
}
DBT = "gold_next.dbt_producer_watcher"
RUN_SECONDS = 1800
ALERT_SECONDS = 120
MOVIES_OF_TMDB = 30
HISTORIES = ("int_event_places", "int_play_places")
"""Tables that also know where rows were before, which a full refresh forgets; private to gold."""
MAPPED = "backfill.restore"
"""The task that is mapped, of which Airflow's API tells neither timeout nor docs."""
MODELS = {
    path.stem
    for folder in ("intermediate", "marts")
    for path in (PROJECT_ROOT / "dbt_project" / "models" / folder).rglob("*.sql")
}


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """Where people are told of what fails under Airflow."""
    with open_inbox() as found:
        yield found


@pytest.fixture(scope="module")
def orchestrated(lakehouse: CommandLine, inbox: Inbox) -> Iterator[CommandLine]:
    """The command line of a home in which Airflow runs, and starts nothing by the clock."""
    own = CommandLine(
        lakehouse.environment
        | {
            "CINELAKE_ALERT_WEBHOOK": inbox.webhook,
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            # Seen sooner than by a person, who would not mind to wait.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        }
    )
    if not airflow_service.ENVIRONMENT.exists():
        not_installed("Airflow is not installed: `make install-airflow`.")
    yield own
    own.run("airflow", "down")


@pytest.fixture(scope="module")
def airflow(orchestrated: CommandLine) -> AirflowClient:
    """Airflow's API, with the password that `cinelake airflow up` printed."""
    return AirflowClient.from_output(orchestrated.run("airflow", "up").stdout)


def rows_of_gold(home: Path) -> dict[str, tuple[int, str]]:
    """Rows and a digest of each table of gold."""
    settings = load_settings(CINELAKE_HOME=str(home))
    with psycopg.connect(settings.postgres) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema = 'gold' and table_type = 'BASE TABLE'"
        ).fetchall()
        digests = {}
        for (name,) in names:
            row = connection.execute(
                "select count(*), md5(coalesce(string_agg(t::text, '|' order by t::text), ''))"
                f" from gold.{name} as t".encode()
            ).fetchone()
            assert row is not None
            digests[name] = (row[0], row[1])
        return digests


def rows_of_histories(home: Path) -> set[tuple[str, str]]:
    """The rows of each table of gold that remembers, as texts, with the table's name."""
    settings = load_settings(CINELAKE_HOME=str(home))
    with psycopg.connect(settings.postgres) as connection:
        return {
            (name, text)
            for name in HISTORIES
            for (text,) in connection.execute(f"select t::text from gold.{name} as t".encode())
        }


def test_every_dag_is_whole(airflow: AirflowClient) -> None:
    assert airflow.ask("GET", "/importErrors")["import_errors"] == []
    dags = {dag["dag_id"]: dag for dag in airflow.ask("GET", "/dags")["dags"]}
    assert set(dags) == DAGS
    for name, dag in dags.items():
        assert dag["is_paused"], name
        assert {tag["name"] for tag in dag["tags"]} >= {"cinelake"}, name
        assert dag["max_active_runs"] == 1, name
        assert airflow.ask("GET", f"/dags/{name}/details")["catchup"] is False, name
        for task in airflow.ask("GET", f"/dags/{name}/tasks")["tasks"]:
            place = f"{name}.{task['task_id']}"
            assert task["owner"] != "airflow", place
            if place == MAPPED:
                continue
            assert task["execution_timeout"], place
            assert task["doc_md"], place
            if not task["task_id"].endswith("producer_watcher_done"):
                assert "*Repeatable*" in task["doc_md"], place


def test_the_graph_has_a_task_a_model_with_its_tests_after_it(airflow: AirflowClient) -> None:
    tasks = {
        task["task_id"]: task for task in airflow.ask("GET", f"/dags/{MEDALLION}/tasks")["tasks"]
    }
    built = {name.split(".")[1].removesuffix("_run") for name in tasks if name.endswith("run")}
    assert built == MODELS
    tested = tasks["gold_next.fact_user_event.run"]["downstream_task_ids"]
    assert "gold_next.fact_user_event.test" in tested
    assert {name for name, task in tasks.items() if task["pool"] == "spark"} >= {
        "bronze",
        "silver_movies",
        "silver_events",
        "publish",
        DBT,
    }


@pytest.fixture(scope="module")
def run_id(airflow: AirflowClient, orchestrated: CommandLine) -> str:
    """A run that was triggered through the REST API after events had come, and has ended."""
    orchestrated.here("simulate", "--users", "20", "--days", "2", "--seed", "4711")
    run_id = airflow.trigger(MEDALLION)
    airflow.succeed(MEDALLION, run_id, RUN_SECONDS)
    return run_id


def test_a_run_without_news_builds_no_gold_and_is_over(
    airflow: AirflowClient, orchestrated: CommandLine, home: Path, run_id: str
) -> None:
    before = rows_of_gold(home)
    again = airflow.trigger(MEDALLION)
    states = airflow.wait(MEDALLION, again, RUN_SECONDS)
    skipped = {name for name, state in states.items() if state == "skipped"}
    assert {"gold_prepare", DBT, "gold_gate", "swap"} <= skipped
    assert {name for name, state in states.items() if state == "success"} >= {"reconcile", "docs"}
    assert set(states.values()) == {"success", "skipped"}
    assert rows_of_gold(home) == before
    # `cinelake refresh` knows as well what Airflow has built.
    assert "Nothing to do" in orchestrated.run("refresh").stdout


def test_a_run_brings_what_the_same_refresh_by_command_line_would(
    spark: SparkSession,
    airflow: AirflowClient,
    orchestrated: CommandLine,
    home: Path,
    run_id: str,
) -> None:
    ledger = orchestrated.status()["ledger"]
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})
    orchestrated_gold, remembered = rows_of_gold(home), rows_of_histories(home)
    assert orchestrated_gold["fact_user_event"][0] == ledger["facts"]
    orchestrated.here("refresh", "--full-refresh")
    anew, places_of_now = rows_of_gold(home), rows_of_histories(home)
    for name in HISTORIES:
        del anew[name], orchestrated_gold[name]
    assert anew == orchestrated_gold
    assert places_of_now <= remembered


def test_a_run_is_in_cinelakes_own_history_under_one_id(
    airflow: AirflowClient, orchestrated: CommandLine, home: Path, run_id: str
) -> None:
    settings = load_settings(CINELAKE_HOME=str(home))
    with psycopg.connect(settings.postgres) as connection:
        row = connection.execute(
            "select run_id, outcome, stages from ops.runs where run_id like 'medallion_refresh-%'"
            " order by finished_at limit 1"
        ).fetchone()
        assert row is not None
        gates = connection.execute(
            "select distinct gate from ops.gate_results where run_id = %s", [row[0]]
        ).fetchall()
    assert row[1] == "published"
    # dbt's own work is no command of ours.
    assert [name for name, _ in row[2]] == [
        stage.name for stage in STAGES if stage.command and not stage.is_last
    ]
    assert {gate for (gate,) in gates} == {"bronze", "silver", "gold"}
    assert row[0] in airflow.log(MEDALLION, run_id, "silver_events")


def test_a_dimension_has_passed_before_dbt_has_built_the_facts_that_read_it(
    airflow: AirflowClient, run_id: str
) -> None:
    dimension, fact = (
        airflow.told_at(MEDALLION, run_id, DBT, f"model__cinelake__{model}_tests_status")
        for model in ("dim_date", "fact_user_event")
    )
    assert dimension < fact


def test_dbt_knows_the_project_from_the_last_time(airflow: AirflowClient, run_id: str) -> None:
    said = airflow.log(MEDALLION, run_id, DBT)
    assert "Completed successfully" in said
    assert "Unable to do partial parsing" not in said


@pytest.mark.usefixtures("run_id")
def test_nobody_but_its_owner_reads_what_airflow_writes(home: Path) -> None:
    assert len(list((home / "airflow").rglob("*.log"))) > 10
    assert open_to_others(home / "airflow") == []


@pytest.mark.usefixtures("run_id")
def test_no_file_that_airflow_leaves_tells_a_secret(home: Path) -> None:
    assert files_that_tell(home) == []


def test_row_counts_are_in_xcom(airflow: AirflowClient, home: Path, run_id: str) -> None:
    assert airflow.xcom(MEDALLION, run_id, "bronze")["bronze.user_logs"] > 0
    assert airflow.xcom(MEDALLION, run_id, "publish")["silver.events"] > 0
    ledger = airflow.xcom(MEDALLION, run_id, "reconcile")
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})
    assert airflow.xcom(MEDALLION, run_id, "swap")["fact_user_event"] > 0


def test_the_page_shows_the_graph_with_the_models(
    airflow: AirflowClient, chromium: Browser, run_id: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = chromium.new_page(viewport={"width": 2400, "height": 1500})
    page.goto(f"{airflow.url}/auth/login")
    page.get_by_label("Username").fill(airflow.user)
    page.get_by_label("Password", exact=True).fill(airflow.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{airflow.url}/")
    page.goto(f"{airflow.url}/dags/{MEDALLION}/runs/{run_id}")
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Expand all task groups").click()
    for model in MODELS:
        page.locator(".react-flow__node", has_text=model).first.wait_for(timeout=30_000)
    page.screenshot(path=tmp_path_factory.mktemp("screenshots") / "airflow.png")
    page.close()


def test_a_gate_that_fails_ends_the_run_before_gold_and_the_next_run_repairs_it(
    full_scale: None,
    spark: SparkSession,
    airflow: AirflowClient,
    orchestrated: CommandLine,
    home: Path,
    inbox: Inbox,
    run_id: str,
) -> None:
    before = rows_of_gold(home)
    user = orchestrated.sql(
        "select ratings.user_id from ratings where ratings.user_id is not null limit 1"
    )[0][0]
    set_rating(spark, home, user, 99.0)
    broken = airflow.trigger(MEDALLION)
    states = airflow.wait(MEDALLION, broken, RUN_SECONDS)
    assert states["silver_gate"] == "failed"
    assert {states[name] for name in ("publish", "gold_prepare", "swap")} == {"upstream_failed"}
    attempts = {
        task["task_id"]: task["try_number"] for task in airflow.instances(MEDALLION, broken)
    }
    # No retry mends a broken row.
    assert attempts["silver_gate"] == 1
    assert "silver.ratings" in airflow.log(MEDALLION, broken, "silver_gate")
    assert rows_of_gold(home) == before
    assert orchestrated.status()["gold"]["refusal"]["reason"].startswith("The silver gate refused")
    told = "Task silver_gate failed: cinelake gates check silver"
    eventually(lambda: inbox.posts_about(told), ALERT_SECONDS)
    (alert,) = inbox.posts_about(told)
    assert "The silver gate refused the data" in alert
    # The table of rules is in the log: it would be unreadable in a chat.
    assert "│" not in alert
    set_rating(spark, home, user, 8.0)
    repaired = airflow.trigger(MEDALLION)
    airflow.succeed(MEDALLION, repaired, RUN_SECONDS)
    assert orchestrated.status()["gold"]["refusal"] is None
    over = f"Cinelake: over: Airflow DAG {MEDALLION} failed"
    eventually(lambda: over in inbox.titles()[0], OVER_SECONDS)


def run_alone(cinelake: CommandLine, dag_id: str, parameters: str = "{}") -> tuple[int, str]:
    """Run a DAG in a process of its own; its exit code, and what it printed."""
    tried = cinelake.run(
        *("airflow", "cli", "dags", "test", "--conf", parameters, dag_id), check=False
    )
    return tried.returncode, tried.stdout + tried.stderr


def run_twice(cinelake: CommandLine, dag_id: str) -> None:
    """Run a DAG in a process of its own, and once more."""
    for _ in range(2):
        code, said = run_alone(cinelake, dag_id)
        assert code == 0, said[-4000:]
        assert "state=success" in said, said[-4000:]


@pytest.mark.parametrize(
    "dag_id", ["log_compaction", "quarantine_digest", "streaming_watchdog", "reconcile"]
)
def test_a_dag_of_upkeep_runs_twice_in_its_own_process(
    full_scale: None, airflow: AirflowClient, orchestrated: CommandLine, dag_id: str, run_id: str
) -> None:
    run_twice(orchestrated, dag_id)


def test_the_dag_of_recommendations_publishes_no_model_that_is_worse_than_the_most_liked_movies(
    full_scale: None, airflow: AirflowClient, orchestrated: CommandLine
) -> None:
    """One candidate knows little of what generated people like: the DAG says so, however often it is asked."""
    query = "select count(*), min(model_id) from movie_recommendations"
    before = orchestrated.sql(query)
    for _ in range(2):
        code, said = run_alone(orchestrated, "recommendations", '{"seconds": 0}')
        assert code == 1, said[-4000:]
        assert "The model was refused: NDCG@10" in said, said[-4000:]
        assert "state=failed" in said, said[-4000:]
    assert orchestrated.sql(query) == before


def test_the_dags_of_tmdb_publish_each_movie_once_however_often_they_run(
    full_scale: None, airflow: AirflowClient, orchestrated: CommandLine, home: Path, tmp_path: Path
) -> None:
    """What TMDB has now, and of the movies that the home has, and TMDB does not, that they are gone."""
    settings = load_settings(CINELAKE_HOME=str(home))
    before = messages_of_movies(settings)
    generate_catalog(tmp_path / "movies.jsonl", MOVIES_OF_TMDB)
    with sandbox_process(tmp_path / "movies.jsonl") as sandbox:
        own = CommandLine(orchestrated.environment | sandbox.environment)
        # Changes are asked for since the last sync of everything.
        run_twice(own, "tmdb_weekly_sync")
        run_twice(own, "tmdb_daily_sync")
    told = messages_of_movies(settings) - before
    assert len(before) > MOVIES_OF_TMDB
    assert told == Counter(dict.fromkeys(before, 1))


def test_a_backfill_takes_its_chunks_one_by_one_and_counts_nothing_twice(
    full_scale: None, airflow: AirflowClient, orchestrated: CommandLine, run_id: str
) -> None:
    before = orchestrated.status()["ledger"]
    orchestrated.run("backup")
    today = orchestrated.sql("select current_date")[0][0]
    yesterday = orchestrated.sql("select current_date - 1")[0][0]
    airflow.ask("PATCH", f"/dags/{MEDALLION}", json={"is_paused": False})
    backfill = airflow.trigger("backfill", first_day=yesterday, last_day=today, days_a_chunk=1)
    airflow.succeed("backfill", backfill, RUN_SECONDS)
    restored = [
        task for task in airflow.instances("backfill", backfill) if task["task_id"] == "restore"
    ]
    assert {task["rendered_map_index"] for task in restored} == {
        f"backup restore --from {yesterday} --to {today}",
        f"backup restore --from {today} --to {orchestrated.sql('select current_date + 1')[0][0]}",
    }
    after = orchestrated.status()["ledger"]
    assert after["accepted"] > before["accepted"]
    assert after["facts"] == before["facts"]
    assert (after["balanced"], after["waiting"]) == (True, {})
