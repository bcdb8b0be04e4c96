"""The docs site's server: files of one folder, on loopback only. Run as `python -m docs_site.serve`."""

import argparse
import os
import signal
import socketserver
import sys
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from cinelake.errors import ServiceError
from cinelake.log import configure_logging, get_logger
from cinelake.settings import get_settings
from cinelake.stack.ports import HOST
from docs_site.policy import FRAMED_BY, META_WITHIN, OWN, policy_of

UTF_8 = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}

log = get_logger("site")


class SiteHandler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD with a file of the folder, or 404.

    Args:
        directory: The folder; may be a link that comes to point elsewhere while the server runs.
    """

    server_version = "Cinelake"
    sys_version = ""
    timeout = 30
    """Seconds for which a silent client may hold a thread."""
    policy = OWN
    extensions_map = SimpleHTTPRequestHandler.extensions_map | UTF_8

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Send the headers of the answer.

        Returns:
            The file to send as the body, None when there is none to send.
        """
        # Once a request, so that a whole request sees one version of the site.
        self.directory = os.path.realpath(self.directory)
        if not self._is_inside():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        self.policy = self._policy()
        # The stdlib compares whole seconds: a page rebuilt within one would be taken for unchanged.
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def _is_inside(self) -> bool:
        try:
            file = Path(self.translate_path(self.path)).resolve()
        except (OSError, ValueError):  # a loop of links, a NUL byte
            return False
        return file.is_relative_to(self.directory)

    def _policy(self) -> str:
        """The policy of the page that is asked for; that of the site's own for what is no page."""
        file = Path(self.translate_path(self.path))
        try:
            page = file / "index.html" if file.is_dir() else file
            if page.suffix != ".html":
                return OWN
            with page.open(encoding="utf-8", errors="replace") as text:
                return policy_of(text.read(META_WITHIN))
        except OSError:  # no such page, or a name that cannot be one
            return OWN

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """Answer 404: a folder without an `index.html` does not say what is in it.

        Args:
            path: The folder.
        """
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """End the headers, with those that every answer carries."""
        # Ask again each time: a rebuilt site shows at once.
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", f"{self.policy}; {FRAMED_BY}")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: requests of one reader on their own machine are not worth a line each."""


class SiteServer(ThreadingHTTPServer):
    """A thread a request, none of which keeps the process from ending.

    Args:
        port: The port on 127.0.0.1; 0 for any that is free.
        directory: The folder to serve, looked up anew at each request.
    """

    daemon_threads = True

    def __init__(self, port: int, directory: Path) -> None:
        super().__init__((HOST, port), partial(SiteHandler, directory=str(directory)))

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, which takes seconds where DNS is slow."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong in a request; a reader who left is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("request failed", exc_info=error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, then end with 0.

    Args:
        arguments: `--port` and `--directory`; those of the process when None.

    Raises:
        SystemExit: At the end, with 0; with `ServiceError`'s code when the port is taken.
        SettingError: A setting is malformed.
    """
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    options = _parser().parse_args(arguments)
    configure_logging(get_settings())
    try:
        server = SiteServer(options.port, options.directory)
    except OSError as error:
        log.error("the site cannot be served", port=options.port, error=str(error))
        raise SystemExit(ServiceError.exit_code) from error
    with server:
        log.info(
            "serving", url=f"http://{HOST}:{server.server_port}", directory=str(options.directory)
        )
        server.serve_forever()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m docs_site.serve", description="Serve the docs site on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, required=True, help="0 for any free one")
    # Not resolved: each build points the link at a new folder.
    parser.add_argument("--directory", type=Path, required=True, help="the site's folder")
    return parser


def _end(_signal: int, _frame: FrameType | None) -> None:
    # Not `shutdown()`: called from the thread that serves, it would wait for itself.
    raise SystemExit(0)


if __name__ == "__main__":
    main()
