"""Free loopback ports, below those the system hands out to outgoing connections."""

import random
import socket
from collections.abc import Collection

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cinelake.errors import ServiceError

HOST = "127.0.0.1"
# An ephemeral port would, sooner or later, be taken by somebody's outgoing connection while the stack is down.
CHOICE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on that loopback port now."""
    with socket.socket() as probe:
        # As servers do it: a closed connection that lingers does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def becomes_free(port: int, patience: float = 5.0) -> bool:
    """Whether the port is free, or gets so soon: children of a killed server hold it for a moment."""
    retrying = Retrying(
        stop=stop_after_delay(patience),
        wait=wait_fixed(0.1),
        retry=retry_if_result(lambda free: not free),
        retry_error_callback=lambda _: False,
    )
    return bool(retrying(is_free, port))


def choose(taken: Collection[int]) -> int:
    """A free port that is not among those already given away.

    Raises:
        ServiceError: There is none left.
    """
    for port in random.sample(CHOICE, len(CHOICE)):
        if port not in taken and is_free(port):
            return port
    raise ServiceError("No loopback port is free.", "Stop a few servers on this machine.")
