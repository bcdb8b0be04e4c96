"""Commands of the local stack: start it, stop it, look at it, and ask gold in SQL."""

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cinelake.commands import keys, watching
from cinelake.commands.shared import ledger_facts, show_ledger, start_stack
from cinelake.commands.values import Json, write_json
from cinelake.console import counts_table, out
from cinelake.errors import DamagedDataError, ServiceError, SettingError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from cinelake.settings import Settings
    from cinelake.stack.analyst import Analyst


def up() -> None:
    """Start Kafka, PostgreSQL, MongoDB, the API and the site, or bring back what has stopped."""
    settings = start_stack()
    for name, service in _services(settings).items():
        out.print(f"{name:9} {service['endpoint']}", highlight=False)


def down() -> None:
    """Stop every service of the local stack; its data stays."""
    from cinelake.stack import local

    local.down(get_settings())
    out.print("stopped")


def serve() -> None:
    """Start the events API (gunicorn), or say where it runs already."""
    from cinelake.stack import api, local

    settings = get_settings()
    local.start_api(settings)
    get_settings.cache_clear()
    out.print(api.endpoint(get_settings()), highlight=False)


def status(
    as_json: Json = False,
    is_live: Annotated[
        bool, typer.Option("--watch", help="Stay, and show how everything is until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.5, metavar="SECONDS", help="How often --watch looks.")
    ] = 5,
) -> None:
    """Show services, addresses and the ledger, and whether its counts add up; exit code 5 when one is down, 6 when data is damaged."""
    if is_live:
        watching.watch(every)
        return
    facts = _status(get_settings())
    if as_json:
        write_json(facts)
    else:
        _show_status(facts)
    if not all(service["healthy"] for service in facts["services"].values()):
        raise typer.Exit(ServiceError.exit_code)
    if facts["damaged"]:
        raise typer.Exit(DamagedDataError.exit_code)


def sql(
    arguments: Annotated[list[str] | None, typer.Argument(help="Handed to psql.")] = None,
    pii: Annotated[
        bool, typer.Option("--pii", help="As analyst_pii, who reads names and birth years too.")
    ] = False,
) -> None:
    """Open psql on gold as the read-only analyst: `cinelake sql -- -Atc "select 1"`."""
    from cinelake.stack.postgres import analyst_secret, endpoint, psql_binary

    role: Analyst = "analyst_pii" if pii else "analyst"
    settings, psql = get_settings(), str(psql_binary())
    # Everybody on the machine sees the arguments of a process, the account itself alone its variables.
    environment = os.environ | {"PGPASSWORD": analyst_secret(settings, role)}
    sys.stdout.flush()
    os.execve(psql, [psql, endpoint(settings, role), *(arguments or [])], environment)  # noqa: S606


def _services(settings: "Settings") -> dict[str, dict[str, Any]]:
    from cinelake.stack import local

    return {
        name: {
            "healthy": service.healthy,
            "problem": service.problem,
            "endpoint": service.endpoint,
            "pid": service.pid,
            "memory_bytes": service.rss_bytes,
        }
        for name, service in local.status(settings).items()
    }


def _status(settings: "Settings") -> dict[str, Any]:
    from cinelake.stack import api, site
    from cinelake.stack.postgres import analyst_uri
    from lakehouse import inspection

    is_up = settings.postgres_uri is not None and settings.analyst_password is not None
    return {
        "api_url": api.endpoint(settings),
        "site_url": site.endpoint(settings),
        "kafka_bootstrap_servers": settings.kafka_bootstrap_servers or "",
        "postgres_uri": analyst_uri(settings) if is_up else "",
        "mongo_uri": settings.mongo_uri or "",
        "lake_uri": settings.lake_uri,
        "services": _services(settings),
        "damaged": inspection.damaged(settings),
        "ledger": ledger_facts(settings),
        "gold": _gold(settings),
        "warnings": _warnings(settings),
    }


def _gold(settings: "Settings") -> dict[str, Any] | None:
    """The version of gold that analysts see; None before the first, or while nobody can tell."""
    from pipeline import gold_versions

    try:
        version = gold_versions.current(settings)
    except (ServiceError, SettingError):
        return None
    return json.loads(json.dumps(asdict(version), default=str)) if version else None


def _warnings(settings: "Settings") -> list[str]:
    """What works and should not stay so; nothing while PostgreSQL is away."""
    from ingestion.api.keys import list_keys

    try:
        return [keys.too_wide(key) for key in list_keys(settings) if key.is_wide]
    except (ServiceError, SettingError):
        return []


def _show_status(facts: dict[str, Any]) -> None:
    rows = [
        (name, f"{'healthy' if service['healthy'] else service['problem']}  {service['endpoint']}")
        for name, service in facts["services"].items()
    ]
    out.print(counts_table("Services", rows, "state"))
    for name, problems in facts["damaged"].items():
        for problem in problems:
            damaged = Text.assemble((f"{name} is damaged:", "red"), " ", problem)
            out.print(damaged, soft_wrap=True)
    if facts["ledger"]:
        show_ledger(facts["ledger"])
    if gold := facts["gold"]:
        came = "came back" if gold["is_rollback"] else "was published"
        out.print(f"Gold {came} at {gold['swapped_at']} by run {gold['run_id']}.", highlight=False)
        if refusal := gold["refusal"]:
            out.print(f"Run {refusal['run_id']} brought no newer one:", style="yellow")
            out.print(refusal["reason"], highlight=False)
    for warning in facts["warnings"]:
        out.print(warning, style="yellow", highlight=False, soft_wrap=True)
