"""Airflow as a process: `airflow standalone` from an environment of its own, with its database in the stack's PostgreSQL."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

import psycopg

from cinelake.errors import ServiceError, SettingError
from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack import health
from cinelake.stack.dbt_profile import dbt_environment
from cinelake.stack.ports import HOST
from cinelake.stack.process import Launch, tail
from cinelake.stack.service import Service, settings_environment
from cinelake.stack.state import StackState, load_state, save_state, stack_folder, write_private

ENVIRONMENT = PROJECT_ROOT / ".venv-airflow"
DAGS = PROJECT_ROOT / "airflow" / "dags"
CONFIG = PROJECT_ROOT / "airflow" / "config"
POOLS = PROJECT_ROOT / "airflow" / "pools.json"
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
DATABASE = "airflow"
USER = "admin"
PARSE_INTERVAL_SECONDS = 300
"""How often a DAG file is parsed. The DAGs change with the project alone, and to parse them takes cores that the commands
need. It is also how late, at most, Airflow calls back the DAG of a run that ends just while its file is parsed."""
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def prepare(settings: Settings, state: StackState) -> Launch:
    """Make the database, the password and the pools, and say how to start Airflow.

    Raises:
        SettingError: Its environment is not installed.
        ServiceError: PostgreSQL is down, or Airflow cannot migrate its database.
    """
    program = _program()
    passwords(settings)
    _ensure_database(settings)
    environment = _environment(settings, state)
    for arguments in (("db", "migrate"), ("pools", "import", str(POOLS))):
        _call(settings, [str(program), *arguments], environment)
    return Launch(
        [str(program), "standalone"],
        log=AIRFLOW.log(stack_folder(settings.home)),
        folder=PROJECT_ROOT,
        environment=environment,
    )


def run(settings: Settings) -> NoReturn:
    """Become Airflow, in the foreground, as a container or a service manager wants it.

    Raises:
        SettingError: As for `prepare`.
        ServiceError: As for `prepare`.
    """
    state = load_state(settings.home)
    launch = prepare(settings, state)
    save_state(settings.home, state)
    _become(settings, state, launch.command[1:])


def call(settings: Settings, arguments: Sequence[str]) -> NoReturn:
    """Become Airflow's own command line, on the Airflow that `cinelake airflow up` has made.

    Raises:
        SettingError: Its environment is not installed.
    """
    _become(settings, load_state(settings.home), arguments)


def _become(settings: Settings, state: StackState, arguments: Sequence[str]) -> NoReturn:
    program = str(_program())
    sys.stdout.flush()
    os.chdir(PROJECT_ROOT)
    os.execve(program, [program, *arguments], os.environ | _environment(settings, state))  # noqa: S606


def _program() -> Path:
    program = ENVIRONMENT / "bin" / "airflow"
    if not program.exists():
        raise SettingError("Airflow is not installed.", "Run `make airflow`, which does that.")
    return program


def endpoint(settings: Settings) -> str:
    """The address of Airflow; empty when it was never started."""
    port = load_state(settings.home).ports.get("airflow")
    return f"http://{HOST}:{port}" if port else ""


def problem(settings: Settings) -> str | None:
    """What is wrong with Airflow, None when each of its components says that it is well."""
    port = load_state(settings.home).ports.get("airflow")
    answer, wrong = health.ask(port, "/api/v2/monitor/health", timeout=10)
    if wrong:
        return wrong
    said = json.loads(answer)
    ill = [name for name in COMPONENTS if said.get(name, {}).get("status") != "healthy"]
    return f"not healthy: {', '.join(ill)}" if ill else None


def passwords(settings: Settings) -> dict[str, str]:
    """The password of each user of Airflow; made up the first time, and kept in a file of its owner's alone."""
    path = folder(settings) / "passwords.json"
    if not path.exists():
        write_private(path, json.dumps({USER: secrets.token_urlsafe(18)}))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def folder(settings: Settings) -> Path:
    """Airflow's home: its configuration and the logs of tasks."""
    return settings.home / "airflow"


def dbt_manifest(settings: Settings) -> Path:
    """What dbt parsed of the project, of which the DAG takes its models."""
    return settings.home / "dbt" / "next" / "target" / "manifest.json"


def stages_file(settings: Settings) -> Path:
    """The stages of a refresh, of which the DAG takes its other tasks."""
    return folder(settings) / "stages.json"


def _environment(settings: Settings, state: StackState) -> dict[str, str]:
    """Ours, but what the environment says of Airflow itself wins."""
    chosen = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW__")}
    return _own_environment(settings, state) | chosen


def _own_environment(settings: Settings, state: StackState) -> dict[str, str]:
    port = state.port("airflow")
    address = f"http://{HOST}:{port}"
    home = folder(settings)
    search = [str(ENVIRONMENT / "bin"), os.environ.get("PATH", "")]
    return {
        **settings_environment(settings),
        **dbt_environment(settings),
        # It looks for its own components there.
        "PATH": os.pathsep.join(search),
        # Callbacks are found there by their names, and what Airflow imports when it starts.
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(DAGS), str(CONFIG), os.environ.get("PYTHONPATH", "")])
        ),
        "CINELAKE_COMMAND": str(PROJECT_ROOT / ".venv" / "bin" / "cinelake"),
        "CINELAKE_DBT": str(PROJECT_ROOT / ".venv" / "bin" / "dbt"),
        "CINELAKE_DBT_PROJECT": str(DBT_PROJECT),
        "CINELAKE_DBT_MANIFEST": str(dbt_manifest(settings)),
        "CINELAKE_STAGES": str(stages_file(settings)),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # More than there are cores: most tasks only wait for dbt to reach their model.
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": str(PARSE_INTERVAL_SECONDS),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _database(settings),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(state.port("airflow worker logs")),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(state.port("airflow trigger logs")),
        # By default it opens the logs of tasks to its group and to all.
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__COSMOS__CACHE_DIR": str(home / "cosmos"),
        # What dbt knows of the project since the manifest was made; Cosmos runs it in a copy, which knows nothing.
        "DBT_PARTIAL_PARSE_FILE_PATH": str(
            dbt_manifest(settings).with_name("partial_parse.msgpack")
        ),
        "AIRFLOW__COSMOS__ENABLE_ORJSON_PARSER": "True",
        # For a producer that is tried again, which ours is not: it would write down all it has told at each thing it tells,
        # and read no further in what dbt says meanwhile.
        "AIRFLOW__COSMOS__ENABLE_WATCHER_RELIABLE_RETRY": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__OPENLINEAGE__DISABLED": "True",
    }


def _database(settings: Settings) -> str:
    """Where Airflow keeps its state, as SQLAlchemy writes it: a database beside ours."""
    ours = urlsplit(settings.postgres)
    return urlunsplit(ours._replace(scheme="postgresql+psycopg2", path=f"/{DATABASE}"))


def _ensure_database(settings: Settings) -> None:
    if "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in os.environ:
        return
    try:
        with psycopg.connect(settings.postgres, autocommit=True, connect_timeout=10) as connection:
            known = connection.execute(
                "select from pg_database where datname = %s", [DATABASE]
            ).fetchone()
            if known is None:
                connection.execute(f"create database {DATABASE}".encode())
                # As `bootstrap.sql` does with those that it finds.
                connection.execute(
                    f"revoke connect, temporary on database {DATABASE} from public".encode()
                )
    except psycopg.Error as error:
        raise ServiceError(
            f"Airflow's database cannot be made: {str(error).strip()}",
            "Run `cinelake up`; or make a database for Airflow and name it in AIRFLOW__DATABASE__SQL_ALCHEMY_CONN.",
        ) from error


def _call(settings: Settings, command: list[str], environment: dict[str, str]) -> None:
    log = AIRFLOW.log(stack_folder(settings.home))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            env=os.environ | environment,
            cwd=PROJECT_ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise ServiceError(
            f"airflow {' '.join(command[1:3])} failed.\n{tail(log)}", f"Its log is {log}."
        )


AIRFLOW = Service(
    name="airflow",
    variable=None,
    ports=("airflow", "airflow worker logs", "airflow trigger logs"),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
    # What Ctrl-C sends: to anything else it leaves its components behind.
    stop_signal=signal.SIGINT,
)
