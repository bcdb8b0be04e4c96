"""The site's server gives files of one folder only, and shows each new build at once."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cinelake.errors import ServiceError
from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack import site as site_service
from cinelake.stack.state import StackState
from docs_site.policy import FRAMED_BY, OWN, of_tool, with_policy
from tests.unit.docs_site.conftest import Docs

SERVE = [sys.executable, "-m", "docs_site.serve"]


class Server:
    """`python -m docs_site.serve` as `cinelake up` starts it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process = subprocess.Popen(
            [*SERVE, "--port", str(self.port), "--directory", str(folder)],
            cwd=PROJECT_ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.first_line = self.process.stderr.readline()

    def get(self, path: str, **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def end(self) -> tuple[int, str]:
        """Ask it to end; its exit code and all it said since it started."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=10)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a folder that has no page, and a secret beside it."""
    base = tmp_path_factory.mktemp("served")
    (base / "secret.txt").write_text("secret")
    (base / "site-two").mkdir()
    (base / "site-two" / "secret.txt").write_text("secret")
    folder = base / "site"
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "site.css").write_text("p { color: red }")
    (folder / "data-docs").mkdir()
    (folder / "data-docs" / "index.html").write_text("<p>data docs</p>")
    (folder / "index.html").write_text("<p>Überschrift")
    (folder / "out.txt").symlink_to(base / "secret.txt")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.end()


def test_a_page_is_served_with_its_type_and_is_asked_for_each_time(server: Server) -> None:
    status, body, headers = server.get("/")
    assert (status, body) == (200, "<p>Überschrift")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Python" not in headers["Server"]
    assert server.get("/assets/site.css")[2]["Content-Type"].startswith("text/css")
    assert server.get("/data-docs/index.html?x=1")[1] == "<p>data docs</p>"


def test_a_page_that_is_not_there_is_404_with_the_same_headers(server: Server) -> None:
    status, _, headers = server.get("/nothing.html")
    assert status == 404
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_each_answer_says_what_the_browser_may_run(server: Server, folder: Path) -> None:
    own = f"{OWN}; {FRAMED_BY}"
    for path in ("/", "/assets/site.css", "/nothing.html", "/data-docs/index.html"):
        assert server.get(path)[2]["Content-Security-Policy"] == own, path
    policy = of_tool(["inline()"])
    tool = folder / "tool"
    tool.mkdir()
    (tool / "index.html").write_text(with_policy("<head></head>", policy))
    for path in ("/tool/", "/tool/index.html"):
        assert server.get(path)[2]["Content-Security-Policy"] == f"{policy}; {FRAMED_BY}", path


def test_a_folder_without_a_page_is_not_listed(server: Server) -> None:
    status, body, _ = server.get("/assets/")
    assert status == 404
    assert "site.css" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsite-two/secret.txt",
        "/..\\secret.txt",
        "//../secret.txt",
        "/out.txt",
        "/index.html%00.txt",
        "/" + "a" * 5_000,
    ],
)
def test_nothing_outside_the_folder_is_served(server: Server, path: str) -> None:
    status, body, _ = server.get(path)
    assert status == 404
    assert "secret" not in body


def test_nothing_can_be_sent_to_the_server(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for method in ("POST", "PUT", "DELETE"):
        connection.request(method, "/", body=b"x")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 501
    connection.close()


def test_a_page_rebuilt_within_the_second_is_never_taken_for_unchanged(server: Server) -> None:
    seen = server.get("/")[2]["Last-Modified"]
    assert server.get("/", **{"If-Modified-Since": seen})[0] == 200


def test_the_server_listens_on_loopback_only(server: Server) -> None:
    # A connection that it has just answered may still be there, and is no listener.
    listening = [
        connection.laddr
        for connection in psutil.Process(server.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == [("127.0.0.1", server.port)]


def test_a_running_server_shows_each_new_build_and_never_a_gap(
    settings: Settings, docs: Docs
) -> None:
    site_service.prepare(settings, StackState(ports={"site": 1}))
    server = Server(settings.home / "site")
    answers: list[tuple[int, str]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            answers.append(server.get("/")[:2])

    try:
        assert "No refresh has built the site yet" in server.get("/")[1]
        docs.build(settings, "first")
        with ThreadPoolExecutor() as pool:
            reader = pool.submit(read)
            try:
                for number in range(10):
                    docs.build(settings, f"version{number}")
                    assert f"version{number}" in server.get("/")[1]
            finally:
                done.set()
            reader.result()
    finally:
        server.end()
    assert len(answers) > 10
    assert {status for status, _ in answers} == {200}
    assert all(body.rstrip().endswith("</p>") for _, body in answers)


def test_sigterm_ends_the_server_at_once_even_while_a_reader_hangs(folder: Path) -> None:
    server = Server(folder)
    assert f"127.0.0.1:{server.port}" in server.first_line
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(b"GET / HT")
        for path in ("/", "/nothing.html", "/index.html%00"):
            server.get(path)
        before = time.monotonic()
        code, said = server.end()
    assert code == 0
    assert time.monotonic() - before < 5
    assert said == ""
    with pytest.raises(ConnectionRefusedError):
        server.get("/")


def test_a_port_that_is_taken_is_said_in_one_line(server: Server, folder: Path) -> None:
    done = subprocess.run(
        [*SERVE, "--port", str(server.port), "--directory", str(folder)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == ServiceError.exit_code
    assert str(server.port) in done.stderr
    assert "Traceback" not in done.stderr
