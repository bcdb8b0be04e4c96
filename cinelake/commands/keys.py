"""Commands of the API's keys."""

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cinelake.console import err, out
from cinelake.settings import LEAST_RATE, get_settings
from ingestion.api.scopes import Scope

if TYPE_CHECKING:
    from ingestion.api.keys import ApiKey

NEVER = "never"
NameOrId = Annotated[str, typer.Argument(help="As `cinelake keys list` shows it.")]


def create(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When it ends, UTC."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=LEAST_RATE, help="Requests a second, in place of the default."),
    ] = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do, again for each further scope. Default: send events."),
    ] = None,
) -> None:
    """Make a key that may send events; it is shown this once, alone on the last line."""
    from ingestion.api import keys

    expires_at = expires.replace(tzinfo=UTC) if expires else None
    key = keys.create_key(get_settings(), name, expires_at, rate, scope or [Scope.WRITE])
    err.print("Keep it: only its digest is stored. Send it as `Authorization: Bearer KEY`.")
    out.print(key, highlight=False, soft_wrap=True)


def list_all() -> None:
    """List the keys: who has them, what they may do, and whether they are still good."""
    from ingestion.api import keys

    table = Table()
    table.add_column("id", no_wrap=True)
    for heading in ("name", "scopes", "state", "created", "expires", "requests/s"):
        table.add_column(heading, overflow="fold")
    every_key = keys.list_keys(get_settings())
    for key in every_key:
        rate = f"{key.requests_per_second:g}" if key.requests_per_second else "default"
        times = (_day(key.created_at), _day(key.expires_at))
        scopes = "\n".join(key.scopes)
        table.add_row(key.key_id, key.name, scopes, key.state, *times, rate)
    out.print(table)
    for key in every_key:
        if key.is_wide:
            err.print(too_wide(key), style="yellow", highlight=False, soft_wrap=True)


def scope(
    name_or_id: NameOrId,
    scopes: Annotated[list[Scope], typer.Argument(help="All that it may do from now on.")],
) -> None:
    """Say what a key may do; the API keeps to it within seconds."""
    from ingestion.api import keys

    changed = keys.set_scopes(get_settings(), name_or_id, scopes)
    said = f"{', '.join(changed)} may {', '.join(scopes)}" if changed else "it is revoked"
    out.print(said, highlight=False)


def revoke(name_or_id: NameOrId) -> None:
    """Revoke a key; the API refuses it within seconds."""
    from ingestion.api import keys

    revoked = keys.revoke_key(get_settings(), name_or_id)
    out.print(f"revoked {', '.join(revoked)}" if revoked else "it was revoked already")


def too_wide(key: "ApiKey") -> str:
    """The warning about a key that may do everything."""
    return (
        f"The key {key.name} may send events and read recommendations;"
        f" `cinelake keys scope {shlex.quote(key.name)} {Scope.WRITE}` leaves it the first alone."
    )


def _day(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else NEVER
