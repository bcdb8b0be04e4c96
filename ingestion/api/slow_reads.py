"""Ends the reads of clients that take too long to send a request's head, or its body."""

import socket
import threading
import time
from functools import lru_cache

READ_SECONDS = 10.0
"""How long a head may take, and how long a body. A body of 1 MiB then needs a link of 1 Mbit/s."""


class Watch:
    """Ends the reads of connections that take too long.

    A time-out of the socket would not do: it starts again with every byte. One thread looks at all connections, so
    that a request in time pays for an entry in a dictionary and not for a timer.
    """

    def __init__(self) -> None:
        self._deadlines: dict[socket.socket, float] = {}
        self._ended: set[socket.socket] = set()
        threading.Thread(target=self._run, name="slow-reads", daemon=True).start()

    def begin(self, connection: socket.socket) -> None:
        """From now on a connection has `READ_SECONDS`; then its reads end, as if the client had hung up."""
        self._deadlines[connection] = time.monotonic() + READ_SECONDS

    def end(self, connection: socket.socket) -> bool:
        """Forget a connection; whether its time was over."""
        self._deadlines.pop(connection, None)
        if connection not in self._ended:
            return False
        self._ended.discard(connection)
        return True

    def _run(self) -> None:
        while True:
            time.sleep(READ_SECONDS / 10)
            now = time.monotonic()
            for connection, deadline in list(self._deadlines.items()):
                if deadline < now and self._deadlines.pop(connection, 0.0):
                    self._ended.add(connection)
                    try:
                        connection.shutdown(socket.SHUT_RD)
                    except OSError:
                        continue


@lru_cache(maxsize=1)
def watch() -> Watch:
    """The watch of this process, which the first call makes: threads do not survive a fork."""
    return Watch()
