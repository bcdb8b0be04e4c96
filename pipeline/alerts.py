"""Alerts: a problem is noted, told once over every channel that is configured, and once more when it is over.

What ended a run is over when one goes through; what a gate warned of is over when the gate looked again and the rule held.
What was told is kept in a file of the home, as PostgreSQL may be what the problem is about. A channel that cannot be
reached never fails a run: what it does not know yet is told after the next one.
"""

import smtplib
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage
from html import escape
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import requests
from pydantic import BaseModel, Field

from cinelake.errors import CinelakeError, SettingError, message_of
from cinelake.harmless import harmless
from cinelake.log import get_logger
from cinelake.settings import Settings
from cinelake.stack.lock import file_lock
from cinelake.whole_file import whole_file
from expectations.advice import ADVICE, owner_of
from expectations.results import GateResult, RuleResult

TIMEOUT_SECONDS = 10
SMTP_PORTS = {"smtp": 25, "smtps": 465}

log = get_logger("alerts")


class Problem(BaseModel):
    """Something a person has to know of.

    Args:
        name: What tells it from other problems: the error's message up to its first colon; of a warning its table and rule.
        message: What happened, in full.
        hint: The next step.
        run_id: The run that noticed it first.
        since: When that was, UTC.
        table: Of a warning the table that is unusual; empty of what ended a run.
        raised_by: Who told of it by `raise_problem` and has to settle it; empty of what runs and gates notice.
        is_over: A run went through since then, or the rule that warned held.
        told: The channels that know of it; of one that is over, those that do not know that yet.
    """

    name: str
    message: str
    hint: str
    run_id: str
    since: datetime
    table: str = ""
    raised_by: str = ""
    is_over: bool = False
    told: set[str] = Field(default_factory=set)

    @property
    def title(self) -> str:
        """One line."""
        kind = "warning" if self.table else "problem"
        return f"Cinelake: {'over' if self.is_over else kind}: {self.name}"

    @property
    def text(self) -> str:
        """The whole of it."""
        noticed = f"Noticed by run {self.run_id} at {self.since:%Y-%m-%d %H:%M} UTC on {socket.gethostname()}."
        if self.is_over:
            again = "The rule holds" if self.table else f"{self.raised_by or 'A run'} went through"
            return f"{again} again.\n{noticed}"
        return "\n".join(filter(None, (self.message, self.hint, noticed)))


class _Told(BaseModel):
    """The file: problems that are not over, and those of which some channel has to be told that they are."""

    problems: list[Problem] = Field(default_factory=list)


class Channel(Protocol):
    """A way to tell people."""

    def send(self, title: str, text: str) -> None:
        """Tell them, or raise `OSError` or `MessageError`."""


class Webhook:
    """Posts JSON as Slack's incoming webhooks take it, and those of Mattermost, Rocket.Chat and Discord's `/slack`.

    https://api.slack.com/messaging/webhooks

    Args:
        url: The address, which is a secret.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, title: str, text: str) -> None:
        """Post it; the error tells the status, never the address."""
        # Else it could call everybody of a channel, or show a link under other words:
        # https://docs.slack.dev/messaging/formatting-message-text/#escaping
        told = escape(f"*{title}*\n{text}", quote=False)
        try:
            answer = requests.post(self._url, json={"text": told}, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise OSError(type(error).__name__) from None
        if not answer.ok:
            raise OSError(f"the webhook answered {answer.status_code}")


class Email:
    """Sends an e-mail over SMTP, encrypted wherever the server offers it.

    Args:
        server: `smtp://` or `smtps://`, with user and password where it wants them.
        sender: The address it comes from.
        recipients: Addresses, separated by commas.
    """

    def __init__(self, server: str, sender: str, recipients: str) -> None:
        self._server = urlsplit(server)
        self._sender = sender
        self._recipients = recipients

    def send(self, title: str, text: str) -> None:
        """Hand it to the server."""
        message = EmailMessage()
        # An encoded word would be decoded before it is written, and may hold the end of the line and a header of its own:
        # https://www.rfc-editor.org/rfc/rfc2047#section-2
        message["Subject"] = title.replace("=?", "= ?")
        message["From"] = self._sender
        message["To"] = self._recipients
        message.set_content(text)
        server = self._server
        kind = smtplib.SMTP_SSL if server.scheme == "smtps" else smtplib.SMTP
        port = server.port or SMTP_PORTS[server.scheme]
        with kind(server.hostname or "", port, timeout=TIMEOUT_SECONDS) as connection:
            connection.ehlo()
            if server.scheme == "smtp" and connection.has_extn("starttls"):
                connection.starttls()
            if server.username:
                connection.login(unquote(server.username), unquote(server.password or ""))
            connection.send_message(message)


def channels(settings: Settings) -> dict[str, Channel]:
    """The channels that are configured, by name."""
    found: dict[str, Channel] = {}
    if settings.alert_webhook:
        found["webhook"] = Webhook(settings.alert_webhook.get_secret_value())
    if settings.smtp_uri and settings.alert_recipients:
        server = settings.smtp_uri.get_secret_value()
        found["e-mail"] = Email(server, settings.alert_sender, settings.alert_recipients)
    return found


def after_run(
    settings: Settings, run_id: str, error: Exception | None, gates: Sequence[GateResult] = ()
) -> None:
    """Tell of what ended a run, or what gates warned of in one that went through, and of what is over since.

    Args:
        settings: The channels, and `home`.
        run_id: The run.
        error: What ended it; None when it went through.
        gates: The results of the gates that it got to.
    """
    with _known_problems(settings) as problems:
        for problem in problems:
            problem.is_over |= _has_ended(problem, error, gates)
        for new in _noticed(run_id, error, gates):
            _note(problems, new)


def raise_problem(
    settings: Settings,
    raised_by: str,
    message: str,
    hint: str,
    run_id: str,
    state: str = "failed",
) -> None:
    """Tell of a problem that something outside of a run has, for example a job of an orchestrator.

    Args:
        settings: The channels, and `home`.
        raised_by: What has it.
        message: What happened.
        hint: The next step.
        run_id: The run that noticed it.
        state: What it is, in a word or two; people are told once of each state that it is in.
    """
    new = Problem(
        name=f"{raised_by} {state}",
        message=message,
        hint=hint,
        run_id=run_id,
        since=datetime.now(UTC),
        raised_by=raised_by,
    )
    with _known_problems(settings) as problems:
        _note(problems, new)


def settle_problem(settings: Settings, raised_by: str) -> None:
    """Tell that all that `raise_problem` told of is over; nothing is told when there was nothing."""
    with _known_problems(settings) as problems:
        for problem in problems:
            problem.is_over |= problem.raised_by == raised_by


def open_problems(settings: Settings) -> list[Problem]:
    """Problems that are not over, oldest first."""
    return [each for each in _read(settings.home / "alerts.json") if not each.is_over]


def send_text(settings: Settings, title: str, text: str) -> dict[str, str]:
    """Send a text over every channel; by its name what went wrong, empty where nothing did.

    Raises:
        SettingError: No channel is configured.
    """
    configured = channels(settings)
    if not configured:
        raise SettingError(
            "No channel is configured.",
            "Set CINELAKE_ALERT_WEBHOOK, or CINELAKE_SMTP_URI and CINELAKE_ALERT_RECIPIENTS.",
        )
    return {name: _send(name, channel, title, text) for name, channel in configured.items()}


@contextmanager
def _known_problems(settings: Settings) -> Iterator[list[Problem]]:
    """The problems of the file, to change; at the end people are told of what is new and what is over."""
    path = settings.home / "alerts.json"
    # Kept also while there is no channel: `alerts list`, the metrics and the first channel to come tell of them.
    configured = channels(settings)
    with file_lock(path.with_suffix(".lock")):
        problems = _read(path)
        yield problems
        left = [problem for problem in problems if not _tell(problem, configured)]
        with whole_file(path) as file:
            file.write(_Told(problems=left).model_dump_json(indent=2).encode())


def _read(path: Path) -> list[Problem]:
    return _Told.model_validate_json(path.read_bytes()).problems if path.exists() else []


def _problem(error: Exception, run_id: str) -> Problem:
    message = message_of(error)
    return Problem(
        name=message.partition(":")[0],
        message=message,
        hint=error.hint if isinstance(error, CinelakeError) else "",
        run_id=run_id,
        since=datetime.now(UTC),
    )


def _warning(rule: RuleResult, run_id: str) -> Problem:
    return Problem(
        name=_warning_name(rule),
        message=f"Observed: {rule.observed}\nExpected: {rule.expected}\nOwner: {owner_of(rule.table)}",
        hint=ADVICE[rule.rule],
        run_id=run_id,
        since=datetime.now(UTC),
        table=rule.table,
    )


def _warning_name(rule: RuleResult) -> str:
    return f"{rule.table}: {rule.rule} is unusual"


def _has_ended(problem: Problem, error: Exception | None, gates: Iterable[GateResult]) -> bool:
    """Whether a run shows that a problem of before is over.

    A warning outlives a run that did not get to its gate, and a gate that had no rows of its table to look at.
    """
    if problem.raised_by:
        return False
    if not problem.table:
        return error is None
    looked_at = [rule for gate in gates for rule in gate.rules if rule.table == problem.table]
    broken = {_warning_name(rule) for rule in looked_at if not rule.success}
    return bool(looked_at) and problem.name not in broken


def _noticed(
    run_id: str, error: Exception | None, gates: Iterable[GateResult]
) -> Iterator[Problem]:
    """What people have to know of a run: what ended it, and else what its gates warned of."""
    if error is not None:
        yield _problem(error, run_id)
    else:
        yield from (_warning(rule, run_id) for gate in gates for rule in gate.warnings)


def _note(problems: list[Problem], new: Problem) -> None:
    """Add a problem that is not known; one that comes back before its end was told everywhere never ended."""
    for problem in problems:
        if problem.name == new.name:
            problem.is_over = False
            return
    problems.append(new)


def _tell(problem: Problem, configured: Mapping[str, Channel]) -> bool:
    """Tell whom it concerns; whether it may be forgotten, as it is over and everybody knows."""
    for name, channel in configured.items():
        if (name in problem.told) is problem.is_over and not _send(
            name, channel, problem.title, problem.text
        ):
            problem.told ^= {name}
    # A channel that is configured no more need not be told.
    return problem.is_over and not problem.told & set(configured)


def _send(name: str, channel: Channel, title: str, text: str) -> str:
    title, text = harmless(title, kept=""), harmless(text)
    try:
        channel.send(title, text)
    except (OSError, MessageError) as error:
        log.warning("alert_not_sent", channel=name, reason=str(error))
        return str(error) or type(error).__name__
    log.info("alert_sent", channel=name, title=title)
    return ""
