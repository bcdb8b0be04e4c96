"""A real Chromium, and one origin that serves the tracker's pages and passes its events on to the real API."""

import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from flask import Flask, Response, request, send_from_directory
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack.api import endpoint
from tests.integration.conftest import not_installed, stack  # noqa: F401 - the fixture, for this folder too
from tests.unit.ingestion.recording_publisher import serving

STATIC = PROJECT_ROOT / "ingestion" / "static"
KEY = "a browser's key & more"
"""Has characters that a URL has to escape."""


@dataclass(frozen=True)
class Sent:
    """A request of the tracker, and what it was answered."""

    at: float
    ids: list[str]
    status: int
    is_beacon: bool


@dataclass
class Site:
    """The origin that the browser sees."""

    api_url: str
    api_key: str
    url: str = ""
    answers: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    """Answers given in place of the API's, each once: status and headers, of which `X-Body` is also the body."""
    is_away: bool = False
    """Whether every request is answered 503."""
    sent: list[Sent] = field(default_factory=list)

    def ids(self, *statuses: int) -> list[str]:
        """The events that were answered so, in order, repetitions included."""
        return [
            event_id
            for sent in self.sent
            if sent.status in (statuses or (202,))
            for event_id in sent.ids
        ]

    def wait_for(self, page: Page, *event_ids: str, seconds: float = 15) -> None:
        """Wait until the API has accepted these events."""
        deadline = time.monotonic() + seconds
        while not set(event_ids) <= set(self.ids()):
            assert time.monotonic() < deadline, f"{event_ids} are not among {self.sent}"
            page.wait_for_timeout(50)

    def take(self) -> Response:
        """POST /v1/events: as the browser sends it, turned into what the API takes."""
        ids = [event["event_id"] for event in request.get_json(force=True)["events"]]
        answer = self._answer()
        # Only a beacon asks without CORS, and so without ever seeing the answer.
        is_beacon = request.headers["Sec-Fetch-Mode"] == "no-cors"
        self.sent.append(Sent(time.monotonic(), ids, answer.status_code, is_beacon))
        return answer

    def _answer(self) -> Response:
        if self.is_away:
            return Response(status=503)
        if self.answers:
            status, headers = self.answers.popleft()
            return Response(headers.get("X-Body"), status, headers)
        if request.args.get("key") != KEY or request.mimetype != "text/plain":
            return Response(status=401)
        answer = requests.post(
            f"{self.api_url}/v1/events",
            params={"key": self.api_key},
            data=request.get_data(),
            headers={
                "Content-Type": request.headers["Content-Type"],
                "User-Agent": request.headers["User-Agent"],
            },
            timeout=30,
        )
        return Response(answer.content, answer.status_code, mimetype=answer.headers["Content-Type"])


@pytest.fixture(scope="module")
def api_url(stack: Settings) -> str:  # noqa: F811
    """The real API, on the real Kafka."""
    return endpoint(stack)


@pytest.fixture
def site(api_url: str, stack: Settings) -> Iterator[Site]:  # noqa: F811
    """The site of one test."""
    site = Site(api_url, stack.api_secret)
    app = Flask("site", static_folder=None)
    app.post("/v1/events")(site.take)

    @app.get("/static/<path:name>")
    def static(name: str) -> Response:
        return send_from_directory(STATIC, name)

    @app.get("/empty")
    def empty() -> str:
        return "<!doctype html><title>A page without the tracker</title>"

    @app.get("/<path:_>")
    def any_page(_: str) -> str:
        return PAGE

    with serving(app) as site.url:
        yield site


PAGE = f"""<!doctype html>
<title>A page</title>
<script src="/static/cinelake.js"></script>
<script>cinelake.init({{url: location.origin, key: "{KEY}", app_version: "web-7"}})</script>
"""


BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def browser_path() -> str | None:
    """The browser of `CHROME_BIN`, else the first that is installed."""
    named = os.environ.get("CHROME_BIN")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    path = browser_path()
    if path is None:
        not_installed(
            "There is no Chromium or Chrome on the PATH or in CHROME_BIN."
            " Debian: 'apt-get install chromium'."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--autoplay-policy=no-user-gesture-required"]
        )
        yield browser
        browser.close()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    """A new visitor: empty storage, a known language. A page's uncaught error fails the test."""
    context = chromium.new_context(locale="en-GB", screen={"width": 1280, "height": 720})
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    assert context.cookies() == []
    context.close()
    assert errors == []


@pytest.fixture
def page(visitor: BrowserContext, site: Site) -> Page:
    """A page that uses the tracker, not yet opened."""
    page = visitor.new_page()
    page.set_default_timeout(15_000)
    return page


@pytest.fixture
def screenshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a test keeps what it saw."""
    return tmp_path_factory.mktemp("screenshots") / "demo.png"
