"""gunicorn's worker of threads, which stays for a moment with a client that it has answered, and lets go of slow ones."""

import fcntl
import select
import socket
import struct
import sys
import termios
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors
from gunicorn.util import close_graceful, write_error
from gunicorn.workers.gthread import ThreadWorker

from ingestion.api.reading import MAX_BODY_BYTES
from ingestion.api.slow_reads import watch

LINGER_MS = 10
"""Milliseconds. Whoever sends without a pause is back sooner, and a thread is soon free again for others."""
AT_ONCE = 1000
"""Requests for which a thread stays with one client: then it is the turn of those who wait."""
ANSWER_SECONDS = 15
"""What a client may take to read an answer, so that one that reads nothing holds no thread. Reads of it end before."""
PART_SECONDS = 2.0
"""What a client that has its answer may take to hang up."""
RESET = struct.pack("ii", 1, 0)
"""On, and no second: to close the socket of a connection that still stands resets it."""
STATUSES = {
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}
"""What is answered to a request that is none, where it is not 400."""
OURS = (errors.ConfigurationProblem, errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
"""Errors of gunicorn's parser that no client can make."""


class LingeringWorker(ThreadWorker):  # type: ignore[misc]
    """Takes the next request of a connection in the same thread when it comes at once.

    To give each connection back to the thread that watches all of them, and from there to another thread of the pool,
    takes a dozen calls of the system and four changes of thread: longer than to take an event.
    """

    def init_process(self) -> None:
        """Make what the threads share after the fork and before there are any; then work until the end."""
        watch()
        super().init_process()

    def handle(self, conn: Any) -> object:
        """Answer a request, and those that follow at once; as in gunicorn, True when another one may come later."""
        for _ in range(AT_ONCE):
            # gunicorn waits for a head as long as it takes.
            watch().begin(conn.sock)
            try:
                kept = super().handle(conn)
            finally:
                watch().end(conn.sock)
            if kept is not True or not self.alive or not _is_readable(conn.sock):
                break
        if kept is False:
            part(conn.sock)
        return kept

    def handle_request(self, req: Any, conn: Any) -> object:
        """Answer one, whose head is there; a client that does not read the answer in time is let go."""
        if watch().end(conn.sock):
            raise StopIteration
        if getattr(req.body.reader, "length", 0) > MAX_BODY_BYTES:
            # It is not read to its end, and the answer says that no other request can follow.
            req.force_close()
        # Of `sendall` as a whole, however often it sends a part.
        conn.sock.settimeout(ANSWER_SECONDS)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            # So gunicorn ends a connection of which nothing more is to be said.
            raise StopIteration from None

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Whether what was not read of an answered request could be passed over, within gunicorn's limits."""
        try:
            return bool(super()._keepalive_after(conn, keepalive))
        except errors.ParseException:
            # It is answered; a second answer would be taken for that of the next request.
            return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no request with its kind alone: gunicorn's words quote what came, which may be a body."""
        if not isinstance(exc, errors.ParseException) or isinstance(exc, OURS):
            super().handle_error(req, client, addr, exc)
            return
        kinds = (status for kind, status in STATUSES.items() if isinstance(exc, kind))
        status = next(kinds, HTTPStatus.BAD_REQUEST)
        with suppress(OSError):
            write_error(client, status.value, status.phrase, type(exc).__name__)


def _is_readable(connection: socket.socket) -> bool:
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(LINGER_MS))


def part(connection: socket.socket) -> None:
    """Say that nothing more is to come, and give the client a moment to take what came and to hang up.

    gunicorn would do that in the one thread that takes connections for all others, `PART_SECONDS` for each client that stays.
    """
    with suppress(OSError):
        # Also of a long body it sends the rest, and then reads why it was refused.
        close_graceful(connection.dup(), PART_SECONDS, sys.maxsize)
        # One that waits for room to send is told by a reset, and would else wait until its own patience ends. A reset also
        # takes back what is on its way: an answer that did not arrive yet is left to arrive.
        if _has_arrived(connection):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # So that gunicorn finds the end of it at once.
        connection.shutdown(socket.SHUT_RD)


def _has_arrived(connection: socket.socket) -> bool:
    """Whether the client's system has confirmed all that was sent (Linux, tcp(7): SIOCOUTQ); OSError where none can tell."""
    waiting = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
    return not any(waiting)
