"""An alert's mail has the headers that we give it, whatever its title holds; one that cannot be written fails its channel alone."""

import random
import smtplib
from email.errors import MessageError
from email.message import EmailMessage
from typing import Any, Self

import pytest

from cinelake.settings import Settings, load_settings
from pipeline import alerts

FORGED = "=?utf-8?q?a=0ABcc:_x@y.org?="
PARTS = (
    *("=", "?", "=?utf-8?q?", "?=", "=?", "=0D=0A", "Bcc:", "_x@y.org", "QmNjOiB4QHkub3Jn", "utf-8", "b", "q", "\r\n"),
    *(" ", "\t", "\x1b", "\u2028", "é", "🎬", "<", '"', "(", "\\", ";", "x" * 80),
)  # fmt: skip


class _Server:
    """In place of an SMTP server: writes each mail as it would be sent."""

    sent: list[bytes]

    def __init__(self, *_: object, **__: object) -> None:
        """As `smtplib.SMTP` is made."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def ehlo(self) -> None: ...

    def has_extn(self, _: str) -> bool:
        return False

    def send_message(self, message: EmailMessage) -> None:
        self.sent.append(message.as_bytes())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    _Server.sent = []
    monkeypatch.setattr(smtplib, "SMTP", _Server)
    return _Server.sent


@pytest.fixture
def told(tmp_path: Any) -> Settings:
    return load_settings(
        CINELAKE_HOME=str(tmp_path),
        CINELAKE_SMTP_URI="smtp://localhost:25",
        CINELAKE_ALERT_RECIPIENTS="data@movies.example",
    )


def headers(mail: bytes) -> list[bytes]:
    head, _, _ = mail.partition(b"\n\n")
    return sorted(line.split(b":")[0] for line in head.splitlines() if line[:1] not in b" \t")


def test_no_title_puts_a_header_of_its_own_into_a_mail(told: Settings, sent: list[bytes]) -> None:
    chance = random.Random(1)
    titles = [FORGED, *("".join(chance.choices(PARTS, k=30)) for _ in range(1000))]
    for title in titles:
        assert alerts.send_text(told, f"Cinelake: problem: {title}", title) == {"e-mail": ""}
    assert len(sent) == len(titles)
    expected = [b"Content-Transfer-Encoding", b"Content-Type", b"From", b"MIME-Version", b"Subject", b"To"]  # fmt: skip
    assert {tuple(headers(mail)) for mail in sent} == {tuple(expected)}
    assert b"Subject: Cinelake: problem: = ?utf-8?q?a=0ABcc:_x@y.org?=\n" in sent[0]


def test_a_mail_that_cannot_be_written_is_a_channel_that_failed_and_no_run(
    told: Settings, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MessageError("folded header contains newline")

    monkeypatch.setattr(_Server, "send_message", refuse)
    assert alerts.send_text(told, "a", "b") == {"e-mail": "folded header contains newline"}
    alerts.after_run(told, "one", ValueError("no table"))
    (problem,) = alerts.open_problems(told)
    assert problem.told == set()
    monkeypatch.undo()
    monkeypatch.setattr(smtplib, "SMTP", _Server)
    alerts.after_run(told, "two", ValueError("no table"))
    assert len(sent) == 1
