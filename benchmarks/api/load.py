"""Load from a process of its own: connections that are kept alive, requests that are made beforehand."""

import http.client
import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
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
        requests: Requests answered as expected.
        seconds: How long it took.
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

    Args:
        url: The API's root, on loopback.
        requests: What to send.
        key: The API key.
        connections: Connections that send at the same time.
        rate: Requests a second over all connections; None for as fast as they are answered.

    Raises:
        RuntimeError: A request was not answered as expected.
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
    started = time.perf_counter()

    def send(offset: int) -> None:
        host = urlsplit(url)
        connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=60)
        headers = {"Content-Type": "application/json", "X-API-Key": key}
        for number in range(offset, len(requests), n):
            request = requests[number]
            if rate:
                time.sleep(max(started + number / rate - time.perf_counter(), 0))
            asked = time.perf_counter()
            method = "GET" if request.body is None else "POST"
            connection.request(method, request.path, request.body, headers)
            answer = connection.getresponse()
            text = answer.read()
            latencies.append(time.perf_counter() - asked)
            if answer.status != request.expected:
                failures.append(f"{answer.status}: {text[:200]!r}")
                return
        connection.close()

    threads = [threading.Thread(target=send, args=(offset,)) for offset in range(n)]
    for thread in threads:
        thread.start()
        # As clients come, one after another under the load of those before. All at once, whichever worker wakes up
        # first would take nearly all of them, keep them, and leave the other one idle.
        time.sleep(CONNECT_SECONDS)
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    result = failures[0] if failures else Load(len(latencies), seconds, sorted(latencies))
    pipe.send(result)  # type: ignore[attr-defined]
