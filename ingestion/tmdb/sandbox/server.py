"""The sandbox's HTTP server: keys, the limiter, faults, and what tests and people do to it under `/sandbox`."""

import hmac
import socketserver
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from cinelake.log import get_logger
from cinelake.stack.ports import HOST
from ingestion.tmdb.sandbox.answers import Parameters, Reply, answer, refusal
from ingestion.tmdb.sandbox.catalogue import Catalogue, Rendered
from ingestion.tmdb.sandbox.faults import Fault, FaultRates, Faults
from ingestion.tmdb.sandbox.limiter import Limiter

KEY = "5a4db0c5a4db0c5a4db0c5a4db0c5a4d"
"""The v3 key that the sandbox takes; it opens nothing else."""
TOKEN = "sandbox.read.token"  # noqa: S105 - it opens nothing else
"""The v4 token that the sandbox takes."""
CEILING = 40
"""TMDB names "the 40 requests per second range"."""

log = get_logger("sandbox")


@dataclass(frozen=True)
class Mood:
    """How the sandbox treats its callers.

    Args:
        ceiling: Requests in any one second before it answers 429.
        faults: How often what goes wrong.
        seed: Of the faults.
        retry_after: Seconds that an injected 429 asks to wait.
        slow_seconds: How late a slow answer is.
    """

    ceiling: int = CEILING
    faults: FaultRates = field(default_factory=FaultRates)
    seed: int = 1
    retry_after: int = 1
    slow_seconds: float = 1.0


class Sandbox(ThreadingHTTPServer):
    """TMDB's stand-in on 127.0.0.1. Start it with `serve_forever`, in a thread or not.

    Args:
        catalogue: The movies.
        mood: How it treats its callers.
        port: 0 for any that is free.
    """

    daemon_threads = True
    # A client's threads connect all at once; the default of 5 makes some of them wait a second.
    request_queue_size = 128

    def __init__(self, catalogue: Catalogue, mood: Mood | None = None, port: int = 0) -> None:
        self.catalogue = catalogue
        self.mood = mood = mood or Mood()
        self.limiter = Limiter(mood.ceiling)
        self.faults = Faults(mood.faults, mood.seed)
        self.replies: Counter[str] = Counter()
        """How often each kind of answer was given, for example `movie 200`."""
        self.delivered: Counter[int] = Counter()
        """How often each movie's answer was sent whole, 304 included."""
        self._lock = threading.Lock()
        super().__init__((HOST, port), partial(SandboxHandler, sandbox=self))

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self.server_port}"

    def count(self, reply: Reply, status: int) -> None:
        """Take note of an answer that was sent whole."""
        with self._lock:
            self.replies[f"{reply.kind} {status}"] += 1
            if reply.movie_id is not None and status in (200, 304, 404):
                self.delivered[reply.movie_id] += 1

    def stats(self) -> dict[str, Any]:
        """What came in and what went out since the start."""
        with self._lock:
            return {
                "movies": len(self.catalogue),
                "requests": self.limiter.total,
                "seconds": round(self.limiter.seconds, 3),
                "replies": dict(sorted(self.replies.items())),
                "faults": dict(self.faults.drawn),
                "ceiling": self.limiter.ceiling,
                "peak_per_second": self.limiter.peak,
                "over_ceiling": self.limiter.over,
                "delivered": sum(self.delivered.values()),
                "delivered_again": sum(n - 1 for n in self.delivered.values()),
            }

    def edit_every(self, seconds: float, count: int) -> None:
        """Edit movies again and again, in a thread, as long as the process lives."""

        def edit() -> None:
            while True:
                time.sleep(seconds)
                self.catalogue.edit(count)

        threading.Thread(target=edit, name="sandbox-edits", daemon=True).start()

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, which takes seconds where DNS is slow."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong in a request; a caller who left is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("request failed", exc_info=error)


class SandboxHandler(BaseHTTPRequestHandler):
    """One connection to the sandbox."""

    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    timeout = 60
    # Head and body leave together, and do not wait for the other side's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, *args: Any, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer as TMDB does, or with the sandbox's own figures."""
        path, parameters = self._asked()
        if path == "/sandbox/stats":
            self._send_json(self.sandbox.stats())
            return
        is_within = self.sandbox.limiter.admit()
        fault = self.sandbox.faults.draw() if is_within else None
        if not is_within:
            self._send(refusal("over", 25), {"Retry-After": "1"})
        elif fault in ("too_many", "server_error"):
            self._refuse(fault)
        elif not path.startswith("/p/") and not self._has_key(parameters):
            self._send(refusal("key", 7))
        else:
            if fault == "slow":
                time.sleep(self.sandbox.mood.slow_seconds)
            self._send(answer(self.sandbox.catalogue, path, parameters), fault=fault)

    def do_POST(self) -> None:
        """Edit or remove movies: `/sandbox/edit?count=50&day=2026-01-01`, `/sandbox/remove?count=1`."""
        path, parameters = self._asked()
        actions = {
            "/sandbox/edit": self.sandbox.catalogue.edit,
            "/sandbox/remove": self.sandbox.catalogue.remove,
        }
        try:
            day = date.fromisoformat(parameters["day"]) if "day" in parameters else None
            self._send_json({"ids": actions[path](int(parameters.get("count", "1")), day)})
        except (KeyError, ValueError):
            self._send(refusal("nothing", 34))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: an address may hold a key, and the figures are at `/sandbox/stats`."""

    def _asked(self) -> tuple[str, Parameters]:
        url = urlsplit(self.path)
        return unquote(url.path), dict(parse_qsl(url.query))

    def _has_key(self, parameters: Parameters) -> bool:
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(
            parameters.get("api_key", "").encode(), KEY.encode()
        ) or hmac.compare_digest(bearer.encode(), TOKEN.encode())

    def _refuse(self, fault: Fault) -> None:
        if fault == "too_many":
            reply = refusal("fault", 25)
            headers = {"Retry-After": str(self.sandbox.mood.retry_after)}
        else:
            # A gateway's own page, or TMDB's error: clients meet both.
            status = self.sandbox.faults.server_error()
            page = b"<html><body>Bad gateway</body></html>"
            reply = refusal("fault", 11) if status == 500 else Reply("fault", status, page)
            headers = {}
        self._send(reply, headers, fault)

    def _send_json(self, content: Any) -> None:
        self._write(200, orjson.dumps(content), {"Content-Type": "application/json"})

    def _send(
        self, reply: Reply, extra: dict[str, str] | None = None, fault: Fault | None = None
    ) -> None:
        headers = dict(extra or {})
        status, body = reply.status, reply.content
        if isinstance(body, Rendered):
            headers["Content-Type"] = "application/json;charset=utf-8"
            headers["Vary"] = "Accept-Encoding"
            if status == 200:
                headers["ETag"] = body.etag
                if self.headers.get("If-None-Match") == body.etag:
                    status = 304
            zips = "gzip" in self.headers.get("Accept-Encoding", "") and status != 304
            if zips:
                headers["Content-Encoding"] = "gzip"
            content = body.zipped if zips else body.body
        else:
            headers["Content-Type"] = "application/octet-stream"
            content = body
        if fault == "malformed" and status == 200:
            headers.pop("Content-Encoding", None)
            content = b'{"id": 550, "title": Fight'
        is_whole = fault not in ("truncated", "malformed", "too_many", "server_error")
        if is_whole or status == 304:
            self.sandbox.count(reply, status)
        self._write(status, content, headers, is_cut=fault == "truncated" and status == 200)

    def _write(
        self, status: int, content: bytes, headers: dict[str, str], is_cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 304:
            self.wfile.write(content[: len(content) // 2] if is_cut else content)
        self.wfile.flush()
        self.close_connection = self.close_connection or is_cut
