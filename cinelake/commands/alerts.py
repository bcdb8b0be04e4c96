"""The commands of alerts."""

import typer

from cinelake.console import out
from cinelake.errors import ServiceError, SettingError
from cinelake.settings import get_settings

alerts_app = typer.Typer(
    help="Problems that were told to people, and a trial.", no_args_is_help=True
)


@alerts_app.command("list")
def list_all() -> None:
    """Show the problems that are not over."""
    from pipeline.alerts import open_problems

    for problem in open_problems(get_settings()):
        out.print(f"{problem.since:%Y-%m-%d %H:%M}  {problem.name}", markup=False, highlight=False)
        out.print(problem.text, markup=False, highlight=False)


@alerts_app.command()
def test() -> None:
    """Send a trial over every channel that is configured."""
    from pipeline.alerts import send_test

    sent = send_test(get_settings())
    if not sent:
        raise SettingError(
            "No channel is configured.",
            "Set CINELAKE_ALERT_WEBHOOK, or CINELAKE_SMTP_URI and CINELAKE_ALERT_RECIPIENTS.",
        )
    for name, problem in sent.items():
        out.print(f"{name}: {problem or 'sent'}", markup=False, highlight=False)
    if any(sent.values()):
        raise ServiceError("A channel could not be reached.", "Correct its setting and try again.")
