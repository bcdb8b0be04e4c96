"""Where alerts arrive: a real HTTP server, as a webhook is one, and a real SMTP server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from cinelake.stack import ports


@dataclass
class Inbox:
    """What both servers were sent, and how the HTTP server answers."""

    posted: list[dict[str, Any]] = field(default_factory=list)
    mailed: list[Any] = field(default_factory=list)
    status: int = 200
    webhook: str = ""
    smtp: str = ""

    def titles(self) -> tuple[list[str], list[str]]:
        """First lines of what was posted, and subjects of what was mailed."""
        posted = [body["text"].splitlines()[0].strip("*") for body in self.posted]
        return posted, [str(mail["Subject"]) for mail in self.mailed]

    def posts_about(self, what: str) -> list[str]:
        """What was posted that has these words in it, in its order."""
        return [body["text"] for body in self.posted if what in body["text"]]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by the SMTP server for each mail."""
        self.mailed.append(message_from_bytes(envelope.original_content or b""))
        return "250 OK"


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """Both servers, on free ports of loopback, until the block ends."""
    found = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.status == 200:
                found.posted.append(json.loads(body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    web = ThreadingHTTPServer((ports.HOST, 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    mail = Controller(found, hostname=ports.HOST, port=ports.choose([web.server_port]))
    mail.start()
    found.webhook = f"http://{ports.HOST}:{web.server_port}/services/secret-part"
    found.smtp = f"smtp://{mail.hostname}:{mail.port}"
    try:
        yield found
    finally:
        mail.stop()
        web.shutdown()
        web.server_close()
