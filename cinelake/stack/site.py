"""The docs site as a process: a small static server over `$CINELAKE_HOME/site`."""

import sys

from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack import health
from cinelake.stack.ports import HOST
from cinelake.stack.process import Launch
from cinelake.stack.service import Service
from cinelake.stack.state import StackState, load_state, stack_folder

PLACEHOLDER = "<!doctype html><title>Cinelake</title><p>No refresh has built the site yet: run <code>make demo</code>."


def prepare(settings: Settings, state: StackState) -> Launch:
    """Say how to start the server; until a refresh builds the site, it shows a line that says so."""
    folder = settings.home / "site"
    if not folder.exists():
        # A link whose target was removed by hand is not there, but in the way.
        folder.unlink(missing_ok=True)
        folder.mkdir(parents=True)
        (folder / "index.html").write_text(PLACEHOLDER)
    stack = stack_folder(settings.home)
    return Launch(
        [
            *(sys.executable, "-m", "docs_site.serve"),
            *("--port", str(state.port("site")), "--directory", str(folder)),
        ],
        log=SITE.log(stack),
        folder=PROJECT_ROOT,
    )


def endpoint(settings: Settings) -> str:
    """The address of the site; empty when it was never started."""
    port = load_state(settings.home).ports.get("site")
    return f"http://{HOST}:{port}" if port else ""


def problem(settings: Settings) -> str | None:
    """What is wrong with the site's server, None when it answers 200."""
    return health.ask(load_state(settings.home).ports.get("site"), "/")[1]


SITE = Service(
    name="site",
    variable=None,
    ports=("site",),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
)
