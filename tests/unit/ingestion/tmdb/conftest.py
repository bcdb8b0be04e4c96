"""A sandbox, a server that answers by a script, and a client for either, over real HTTP on 127.0.0.1."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cinelake.settings import Settings, load_settings
from ingestion.generated_catalog import generated_movies
from ingestion.tmdb.client import TmdbClient
from ingestion.tmdb.sandbox.catalogue import Catalogue
from ingestion.tmdb.sandbox.server import KEY, Mood, Sandbox

MakeSandbox = Callable[..., Sandbox]
MakeClient = Callable[..., TmdbClient]


@contextmanager
def served(sandbox: Sandbox) -> Iterator[Sandbox]:
    thread = threading.Thread(target=sandbox.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield sandbox
    finally:
        sandbox.shutdown()
        thread.join()
        sandbox.server_close()


@pytest.fixture
def make_sandbox() -> Iterator[MakeSandbox]:
    """Start sandboxes that end with the test."""
    with ExitStack() as stack:

        def make(movies: int = 30, mood: Mood | None = None) -> Sandbox:
            return stack.enter_context(served(Sandbox(Catalogue(generated_movies(movies)), mood)))

        yield make


@dataclass(frozen=True)
class Scripted:
    """One answer of a script.

    Args:
        status: HTTP; 0 resets the connection instead.
        body: Of the answer.
        headers: Of the answer; a `Content-Length` here wins over the body's.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


class ScriptedServer(ThreadingHTTPServer):
    """Gives its answers one after the other, the last one for ever, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, *script: Scripted) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _ScriptHandler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client hangs up on purpose."""


class _ScriptHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        script = self.server.script
        reply = script.pop(0) if len(script) > 1 else script[0]
        self.close_connection = True
        if reply.status == 0:
            # Leaving at once with SO_LINGER makes it a reset and no orderly end.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            return
        self.send_response(reply.status)
        fixed = {"Content-Length": str(len(reply.body)), "Connection": "close"}
        for name, value in (fixed | dict(reply.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if reply.status != 304:
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Start servers that answer by a script and end with the test."""
    with ExitStack() as stack:

        def make(*script: Scripted) -> ScriptedServer:
            server = ScriptedServer(*script)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield make


def settings_for(address: str, key: str = KEY, per_second: int = 1000) -> Settings:
    return load_settings(
        TMDB_BASE_URL=f"{address}/3",
        TMDB_API_KEY=key,
        CINELAKE_TMDB_REQUESTS_PER_SECOND=str(per_second),
    )


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Make clients that close with the test."""
    with ExitStack() as stack:

        def make(
            address: str, key: str = KEY, per_second: int = 1000, attempts: int = 8
        ) -> TmdbClient:
            settings = settings_for(address, key, per_second)
            return stack.enter_context(closing(TmdbClient(settings, attempts)))

        yield make
