"""Commands of the API's keys."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from cinelake.console import err, out
from cinelake.settings import get_settings

NEVER = "never"


def create(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When it ends, UTC."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Requests a second, in place of the default.")
    ] = None,
) -> None:
    """Make a key that may send events; it is shown this once, alone on the last line."""
    from ingestion.api import keys

    expires_at = expires.replace(tzinfo=UTC) if expires else None
    key = keys.create_key(get_settings(), name, expires_at, rate)
    err.print("Keep it: only its digest is stored. Send it as `Authorization: Bearer KEY`.")
    out.print(key, highlight=False, markup=False, soft_wrap=True)


def list_all() -> None:
    """List the keys: who has them, and whether they are still good."""
    from ingestion.api import keys

    table = Table()
    for heading in ("id", "name", "scope", "state", "created", "expires", "requests/s"):
        table.add_column(heading)
    for key in keys.list_keys(get_settings()):
        rate = f"{key.requests_per_second:g}" if key.requests_per_second else "default"
        times = (_day(key.created_at), _day(key.expires_at))
        table.add_row(key.key_id, key.name, key.scope, key.state, *times, rate)
    out.print(table)


def revoke(
    name_or_id: Annotated[str, typer.Argument(help="As `cinelake keys list` shows it.")],
) -> None:
    """Revoke a key; the API refuses it within seconds."""
    from ingestion.api import keys

    revoked = keys.revoke_key(get_settings(), name_or_id)
    out.print(f"revoked {', '.join(revoked)}" if revoked else "it was revoked already")


def _day(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else NEVER
