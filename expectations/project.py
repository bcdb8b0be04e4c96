"""The one project of Great Expectations, a file context under `<home>/gx`, which keeps suites, results and Data Docs.

It holds no password: the address of PostgreSQL reaches it as a variable of the running process.
"""

import great_expectations as gx
from great_expectations.data_context.data_context.file_data_context import FileDataContext
from great_expectations.data_context.types.base import ProgressBarsConfig
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import URL

from cinelake.settings import Settings

POSTGRES_VARIABLE = "CINELAKE_GATE_POSTGRES_URI"
"""What the data source's address says instead of the address, so that no file holds the password."""


def open_project(settings: Settings) -> FileDataContext:
    """The project, made at the first use.

    Args:
        settings: `home` is used, and `postgres` where it is set.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    is_new = not (settings.home / "gx").exists()
    variables = {POSTGRES_VARIABLE: _sqlalchemy_uri(settings)} if settings.postgres_uri else {}
    context = gx.get_context(
        mode="file", project_root_dir=settings.home, runtime_environment=variables
    )
    if context.variables.analytics_enabled is not False:
        context.enable_analytics(enable=False)
    # A gate says what it does by itself; bars of metrics would fall between the lines of the log.
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    if is_new:
        # Its file of variables is read hundreds of times a gate, mostly for the long comment that it comes with. What is
        # saved replaces all of it.
        context.save_config_variable("instance_id", context.instance_id)
    return context


def _sqlalchemy_uri(settings: Settings) -> str:
    """POSTGRES_URI for psycopg2, acting as the role that owns `gold_next`."""
    parts = {name: str(value) for name, value in conninfo_to_dict(settings.postgres).items()}
    known = {"host", "port", "user", "password", "dbname"}
    url = URL.create(
        "postgresql+psycopg2",
        username=parts.get("user"),
        password=parts.get("password"),
        host=parts.get("host"),
        port=int(parts["port"]) if "port" in parts else None,
        database=parts.get("dbname"),
        query={
            **{name: value for name, value in parts.items() if name not in known},
            "options": f"{parts.get('options', '')} -c role=transformer".strip(),
        },
    )
    return url.render_as_string(hide_password=False)
