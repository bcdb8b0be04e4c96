"""The commands of the docs site."""

from pathlib import Path
from typing import Annotated

import typer

from cinelake.commands.help import App
from cinelake.console import out, progress_bar
from cinelake.errors import ServiceError
from cinelake.settings import get_settings

docs_app = App(
    help="The docs site: can the data be trusted, charts, catalogue, lineage, runbook.",
    no_args_is_help=True,
)


@docs_app.command()
def build() -> None:
    """Build the site from what stands in the lake and in PostgreSQL now, and print its first page."""
    from pipeline import docs as docs_stage

    with progress_bar("docs site", docs_stage.STEPS) as done:
        page = docs_stage.build(get_settings(), done)
    out.print(str(page), highlight=False, soft_wrap=True)


@docs_app.command()
def serve(
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 takes any free one.")] = 0,
    directory: Annotated[
        Path | None, typer.Option(help="A site's folder; without it, the one that was built last.")
    ] = None,
) -> None:
    """Serve the site until Ctrl-C. `cinelake up` serves it as well, for as long as the stack runs."""
    from docs_site import serve as server

    folder = directory or get_settings().home / "site"
    if not (folder / "index.html").is_file():
        raise ServiceError(f"There is no site in {folder}.", "Run `cinelake docs build` first.")
    server.main(["--port", str(port), "--directory", str(folder)])
