"""Load from a process of its own: connections that are kept alive, requests that are made beforehand.

It shares the cores with what it measures, so it does next to nothing: `http.client` would take a tenth of them.
"""

import itertools
import multiprocessing
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

CONNECT_SECONDS = 0.03
"""Between one connection and the next."""


@dataclass(frozen=True)
class Request:
    """What to ask.

    Args:
        path: Below the API's root.
        body: What to post there; None to get it.
        expected: The status of the answer.
    """

    path: str
    body: bytes | None = None
    expected: int = 200


@dataclass(frozen=True)
class Load:
    """What one run of load saw.

    Args:
        requests: Requests that were answered once all connections were there.
        seconds: How long that took.
        latencies: Seconds from sending each request to its whole answer, sorted.
    """

    requests: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that `share` of the requests stay below, in seconds."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)]


def run_load(
    url: str,
    requests: Sequence[Request],
    *,
    key: str,
    connections: int,
    rate: float | None = None,
) -> Load:
    """Send each request once, over several connections at a time.

    They come one after another; what is answered before the last of them has come is not counted in the rate.

    Args:
        url: The API's root, on loopback.
        requests: What to send.
        key: The API key.
        connections: Connections that send at the same time.
        rate: Requests a second over all connections; None for as fast as they are answered.

    Raises:
        RuntimeError: A request was not answered as expected, or all were before all connections were there.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (sender, url, requests, key, connections, rate)
    process = context.Process(target=_send_all, args=arguments)
    process.start()
    result: Load | str = receiver.recv()
    process.join()
    if isinstance(result, str):
        raise RuntimeError(result)
    return result


def _send_all(
    pipe: object, url: str, requests: Sequence[Request], key: str, n: int, rate: float | None
) -> None:
    latencies: list[float] = []
    failures: list[str] = []
    # A step of this iterator is atomic: whichever connection is free takes the next request, so all end together.
    numbers = itertools.count()
    started = time.perf_counter()

    def send() -> None:
        try:
            with _Connection(url, key) as connection:
                while (number := next(numbers)) < len(requests) and not failures:
                    request = requests[number]
                    if rate:
                        time.sleep(max(started + number / rate - time.perf_counter(), 0))
                    asked = time.perf_counter()
                    status, answer = connection.ask(request)
                    latencies.append(time.perf_counter() - asked)
                    if status != request.expected:
                        failures.append(f"{status}: {answer[:500]!r}")
        except OSError as error:
            failures.append(f"A connection broke: {error}")

    threads = [threading.Thread(target=send) for _ in range(n)]
    for thread in threads:
        # As clients come, one after another under the load of those before. All at once, whichever worker wakes up
        # first would take nearly all of them, keep them, and leave the other one idle.
        time.sleep(CONNECT_SECONDS)
        thread.start()
    all_there, before = time.perf_counter(), len(latencies)
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - all_there
    counted = len(latencies) - before
    if not counted:
        failures.append(f"{len(requests)} requests were answered before {n} connections were there")
    result = failures[0] if failures else Load(counted, seconds, sorted(latencies))
    pipe.send(result)  # type: ignore[attr-defined]


class _Connection:
    """A connection that is kept alive, for answers that say how long they are."""

    def __init__(self, url: str, key: str) -> None:
        host = urlsplit(url)
        self._socket = socket.create_connection((str(host.hostname), host.port or 80), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = f"Host: {host.netloc}\r\nContent-Type: application/json\r\nX-API-Key: {key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: Request) -> tuple[int, bytes]:
        """The status of the answer to a request, and the answer with its headers."""
        method, body = ("GET", b"") if request.body is None else ("POST", request.body)
        head = f"{method} {request.path} HTTP/1.1\r\n{self._headers}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        answer = b""
        while not _is_whole(answer):
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError(f"the server hung up after {answer[:500]!r}")
            answer += received
        return int(answer[9:12]), answer


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length)
