"""gunicorn's worker of threads, in which a thread stays for a moment with a client that it has answered."""

import select
import socket
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_MS = 10
"""Milliseconds. Whoever sends without a pause is back sooner, and a thread is soon free again for others."""
AT_ONCE = 1000
"""Requests for which a thread stays with one client: then it is the turn of those who wait."""
ANSWER_SECONDS = 15
"""What a client may take to read an answer, so that one that reads nothing holds no thread. Reads of a body end before it."""


class LingeringWorker(ThreadWorker):  # type: ignore[misc]
    """Takes the next request of a connection in the same thread when it comes at once.

    To give each connection back to the thread that watches all of them, and from there to another thread of the pool,
    takes a dozen calls of the system and four changes of thread: longer than to take an event.
    """

    def handle(self, conn: Any) -> object:
        """Answer a request, and those that follow at once; as in gunicorn, True when another one may come later."""
        for _ in range(AT_ONCE):
            kept = super().handle(conn)
            if kept is not True or not self.alive or not _is_readable(conn.sock):
                break
        return kept

    def handle_request(self, req: Any, conn: Any) -> object:
        """Answer one; a client that does not read the answer in time is let go."""
        # Of `sendall` as a whole, however often it sends a part.
        conn.sock.settimeout(ANSWER_SECONDS)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            # So gunicorn ends a connection of which nothing more is to be said.
            raise StopIteration from None


def _is_readable(connection: socket.socket) -> bool:
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(LINGER_MS))
