"""The commands of alerts."""

import socket
from typing import Annotated

import typer

from cinelake.commands.help import App
from cinelake.console import out
from cinelake.errors import ServiceError
from cinelake.log import current_run_id
from cinelake.settings import get_settings

alerts_app = App(help="Problems that were told to people, and a trial.", no_args_is_help=True)

Source = Annotated[
    str, typer.Argument(help="What has the problem, for example a job of an orchestrator.")
]


@alerts_app.command("list")
def list_all() -> None:
    """Show the problems that are not over."""
    from pipeline.alerts import open_problems

    for problem in open_problems(get_settings()):
        out.print(f"{problem.since:%Y-%m-%d %H:%M}  {problem.name}", highlight=False)
        out.print(problem.text, highlight=False)


@alerts_app.command("raise")
def raise_one(
    source: Source,
    message: Annotated[str, typer.Option(help="What happened.")],
    hint: Annotated[str, typer.Option(help="The next step.")] = "",
    state: Annotated[str, typer.Option(help="What it is; each state is told once.")] = "failed",
) -> None:
    """Tell people of a problem, once until it is settled."""
    from pipeline.alerts import raise_problem

    raise_problem(get_settings(), source, message, hint, current_run_id(), state)


@alerts_app.command()
def settle(source: Source) -> None:
    """Tell people that all that `alerts raise` told of is over; nothing is told when there was none."""
    from pipeline.alerts import settle_problem

    settle_problem(get_settings(), source)


@alerts_app.command()
def test() -> None:
    """Send a trial over every channel that is configured."""
    text = f"A trial from {socket.gethostname()}: alerts of failed runs will come this way."
    send("Cinelake: trial", text)


def send(title: str, text: str) -> None:
    """Send a text over every channel, and say how that went.

    Raises:
        ServiceError: A channel could not be reached.
        SettingError: None is configured.
    """
    from pipeline.alerts import send_text

    sent = send_text(get_settings(), title, text)
    for name, problem in sent.items():
        out.print(f"{name}: {problem or 'sent'}", highlight=False)
    if any(sent.values()):
        raise ServiceError("A channel could not be reached.", "Correct its setting and try again.")
