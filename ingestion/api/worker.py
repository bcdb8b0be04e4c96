"""gunicorn's worker of threads, in which a thread stays for a moment with a client that it has answered."""

import select
import socket
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_MS = 10
"""Milliseconds. Whoever sends without a pause is back sooner, and a thread is soon free again for others."""


class LingeringWorker(ThreadWorker):  # type: ignore[misc]
    """Takes the next request of a connection in the same thread when it comes at once.

    To give each connection back to the thread that watches all of them, and from there to another thread of the pool,
    takes a dozen calls of the system and four changes of thread: longer than to take an event.
    """

    def handle(self, conn: Any) -> object:
        """Answer a request, and those that follow at once; as in gunicorn, True when another one may come later."""
        while (kept := super().handle(conn)) is True and self.alive and _is_readable(conn.sock):
            continue
        return kept


def _is_readable(connection: socket.socket) -> bool:
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(LINGER_MS))
