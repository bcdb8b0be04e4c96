"""The docs site: the page shows the facts and nothing but text; a rebuild is seen whole; the server gives files only."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cinelake.errors import ServiceError
from cinelake.settings import PROJECT_ROOT, Settings, load_settings
from cinelake.stack import site as site_service
from cinelake.stack.state import StackState
from docs_site.build import SiteFacts, build_site, render_page

FACTS = SiteFacts(
    generated_at=datetime(2026, 2, 1, 12, 30, 5, tzinfo=UTC),
    ledger=[
        ("accepted", 1_234_567),
        ("rejected", 4_321),
        ("bronze", 1_234_566),
        ("duplicates", 2_001),
        ("quarantined", 3_002),
        ("silver", 1_229_563),
        ("published", 1_229_562),
        ("facts", 1_229_561),
    ],
    balanced=True,
    differences=[],
    stages=[("bronze", 10.04), ("silver", 1_000.5)],
    gates=[("silver", "silver.events", 17, 0), ("gold", "gold_next.ratings", 19, 3)],
    gold_rows=[("fact_user_event", 7_654_321), ("dim_movie", 4_803)],
    quarantine=[("rating_in_range", 2_999), ("known_movie", 3)],
)
SERVE = [sys.executable, "-m", "docs_site.serve"]
EMPTY = SiteFacts(FACTS.generated_at, [], True, [], [], [], [], [])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    return load_settings(CINELAKE_HOME=str(home))


@pytest.fixture
def docs(tmp_path: Path) -> tuple[Path, Path]:
    """Data Docs as a folder and dbt docs as a file."""
    data_docs = tmp_path / "made" / "data_docs"
    (data_docs / "validations").mkdir(parents=True)
    (data_docs / "index.html").write_text("<p>data docs</p>")
    (data_docs / "validations" / "first.html").write_text("<p>first</p>")
    dbt_docs = tmp_path / "made" / "static_index.html"
    dbt_docs.write_text("<p>dbt docs</p>")
    return data_docs, dbt_docs


class Outline(HTMLParser):
    """The tags of a page and its texts, as a browser would see them; a `<wbr>` does not cut a text in two."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.goes_on = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.goes_on = tag == "wbr"

    def handle_endtag(self, tag: str) -> None:
        self.goes_on = False

    def handle_data(self, data: str) -> None:
        before = self.texts.pop() if self.goes_on else ""
        self.texts.append(before + data.strip())

    def values(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]


# --- The page ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        {"ledger": [("{}", 1)]},
        {"differences": ["{}"]},
        {"stages": [("{}", 1.0)]},
        {"gates": [("{}", "{}", 1, 0)]},
        {"gold_rows": [("{}", 1)]},
        {"quarantine": [("{}", 1)]},
    ],
    ids=lambda field: next(iter(field)),
)
def test_markup_in_a_name_is_shown_as_text(field: dict[str, list[object]]) -> None:
    hostile = "\"'><script>alert(1)</script>"
    ((name, rows),) = field.items()
    filled = [
        hostile if isinstance(row, str) else tuple(hostile if p == "{}" else p for p in row)  # type: ignore[attr-defined]
        for row in rows
    ]
    outline = Outline(render_page(replace(FACTS, **{name: filled})))  # type: ignore[arg-type]
    assert hostile in outline.texts
    assert "script" not in [tag for tag, _ in outline.tags]


def test_every_figure_is_on_the_page() -> None:
    texts = Outline(render_page(FACTS)).texts
    counted = [*FACTS.ledger, *FACTS.gold_rows, *FACTS.quarantine]
    for name, rows in counted:
        assert name in texts
        assert f"{rows:,}" in texts
    for text in ("10.0", "1,000.5", "1,010.5", "silver.events", "17", "19", "3"):
        assert text in texts
    assert "1 February 2026, 12:30:05 UTC" in texts


def test_the_verdict_comes_before_everything_else_in_main() -> None:
    page = render_page(FACTS)
    first = re.search(r"<main>.*?<h2[^>]*>(.*?)</h2>", page, re.DOTALL)
    assert first is not None
    assert first.group(1) == "The ledger adds up."


def test_differences_take_the_place_of_the_verdict() -> None:
    sentences = ["1 of 1,234,567 in accepted have not reached bronze", "facts counts 3 more"]
    texts = Outline(render_page(replace(FACTS, balanced=False, differences=sentences))).texts
    assert "The ledger adds up." not in texts
    assert set(sentences) <= set(texts)


def test_side_branches_hang_at_the_hop_where_events_leave() -> None:
    page = render_page(FACTS)
    asides = dict(re.findall(r'aria-label="Set aside at (\w+)">(.*?)</ul>', page, re.DOTALL))
    assert set(asides) == {"accepted", "silver"}
    assert "4,321" in asides["accepted"]
    assert "2,001" in asides["silver"]
    assert "3,002" in asides["silver"]


def test_a_hop_that_the_page_does_not_know_is_shown_all_the_same() -> None:
    texts = Outline(render_page(replace(FACTS, ledger=[("duplicates", 7), ("attic", 8)]))).texts
    assert {"duplicates", "7", "attic", "8"} <= set(texts)


def test_the_state_of_a_gate_is_said_in_words() -> None:
    gates = [("silver", "a", 5, 0), ("silver", "b", 5, 1), ("silver", "c", 0, 0)]
    texts = Outline(render_page(replace(FACTS, gates=gates))).texts
    assert [text for text in texts if text in {"passed", "failed", "not checked"}] == [
        "passed",
        "failed",
        "not checked",
    ]


def test_the_longest_bar_is_full_and_the_others_are_their_share() -> None:
    page = render_page(replace(FACTS, stages=[("bronze", 1.0), ("silver", 4.0), ("gold", 0.0)]))
    assert re.findall(r"width: ([\d.]+)%", page) == ["25.0", "100.0", "0.0"]
    assert re.findall(r"width: ([\d.]+)%", render_page(replace(FACTS, stages=[("b", 0.0)]))) == [
        "0"
    ]


def test_without_any_run_the_page_says_so_and_has_no_empty_table() -> None:
    outline = Outline(render_page(EMPTY))
    for sentence in (
        "Nothing has been counted yet.",
        "No run has been recorded yet.",
        "No gate has been recorded for the last run.",
        "Gold has no tables yet.",
        "Nothing is in quarantine.",
    ):
        assert sentence in outline.texts
    assert "The ledger adds up." not in outline.texts
    assert not {"table", "ol"} & {tag for tag, _ in outline.tags}


def test_the_time_is_shown_in_utc_whatever_zone_it_came_in() -> None:
    local = FACTS.generated_at.astimezone(timezone(timedelta(hours=9)))
    assert render_page(replace(FACTS, generated_at=local)) == render_page(FACTS)


def test_the_page_has_landmarks_captions_and_labels_that_exist() -> None:
    outline = Outline(render_page(FACTS))
    tags = [tag for tag, _ in outline.tags]
    for landmark in ("header", "main", "nav", "footer", "h1"):
        assert tags.count(landmark) == 1
    assert tags.count("caption") == tags.count("table") == 4
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    assert set(outline.values("aria-labelledby")) <= set(ids)


def test_the_page_needs_no_network_and_no_script(
    settings: Settings, docs: tuple[Path, Path]
) -> None:
    page = build_site(settings, FACTS, *docs)
    style = (page.parent / "assets" / "site.css").read_text()
    assert not re.search(r"url\(|@import", style)
    assert not re.search(r"<script|\w+://", page.read_text())


# --- The build -----------------------------------------------------------------------------------


def test_every_link_leads_to_a_file_of_the_site(
    settings: Settings, docs: tuple[Path, Path]
) -> None:
    page = build_site(settings, FACTS, *docs)
    assert page == settings.home / "site" / "index.html"
    outline = Outline(page.read_text())
    links = outline.values("href") + outline.values("src")
    assert {"data-docs/index.html", "dbt-docs/index.html"} <= set(links)
    for link in links:
        assert not link.startswith("/")
        assert (page.parent / link).is_file(), link


def test_a_rebuild_leaves_nothing_of_the_old_pages(
    settings: Settings, docs: tuple[Path, Path]
) -> None:
    page = build_site(settings, FACTS, *docs)
    old = page.parent / "data-docs" / "validations" / "first.html"
    assert old.is_file()
    (docs[0] / "validations" / "first.html").rename(docs[0] / "validations" / "second.html")
    build_site(settings, replace(FACTS, gold_rows=[("calendar", 366)]), *docs)
    texts = Outline(page.read_text()).texts
    assert "calendar" in texts
    assert "dim_movie" not in texts
    assert not old.exists()
    assert old.with_name("second.html").is_file()


def test_old_versions_do_not_pile_up(settings: Settings, docs: tuple[Path, Path]) -> None:
    for _ in range(4):
        build_site(settings, FACTS, *docs)
    # The one that is shown, and the one before it, which a request may still be reading.
    assert len(list((settings.home / "sites").iterdir())) == 2


def test_the_first_build_takes_the_place_of_the_placeholder(
    settings: Settings, docs: tuple[Path, Path]
) -> None:
    placeholder = settings.home / "site" / "index.html"
    placeholder.parent.mkdir()
    placeholder.write_text(site_service.PLACEHOLDER)
    assert build_site(settings, FACTS, *docs) == placeholder
    assert "The ledger adds up." in placeholder.read_text()


def test_a_home_that_was_moved_still_has_its_site(
    settings: Settings, docs: tuple[Path, Path]
) -> None:
    build_site(settings, FACTS, *docs)
    moved = settings.home.rename(settings.home.with_name("elsewhere"))
    assert "The ledger adds up." in (moved / "site" / "index.html").read_text()


def test_a_build_that_breaks_off_leaves_the_old_site(
    settings: Settings, docs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = build_site(settings, FACTS, *docs)
    before = page.read_text()
    later = replace(FACTS, gold_rows=[("calendar", 366)])

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    for step in ("copytree", "copyfile"):
        with monkeypatch.context() as patch:
            patch.setattr(f"docs_site.build.shutil.{step}", full)
            with pytest.raises(OSError, match="No space left"):
                build_site(settings, later, *docs)
        assert page.read_text() == before
        assert (page.parent / "data-docs" / "index.html").is_file()
    build_site(settings, later, *docs)
    assert "calendar" in page.read_text()


@pytest.mark.parametrize("missing", [0, 1], ids=["data docs", "dbt docs"])
def test_docs_that_are_missing_are_named_and_the_old_site_stays(
    settings: Settings, docs: tuple[Path, Path], missing: int
) -> None:
    page = build_site(settings, FACTS, *docs)
    gone = (docs[0] / "index.html", docs[1])[missing]
    gone.unlink()
    with pytest.raises(ServiceError, match=re.escape(str(gone))):
        build_site(settings, EMPTY, *docs)
    assert "The ledger adds up." in page.read_text()


# --- The server ----------------------------------------------------------------------------------


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
    import psutil

    (listening,) = psutil.Process(server.process.pid).net_connections("inet")
    assert (listening.laddr.ip, listening.laddr.port) == ("127.0.0.1", server.port)


def test_a_running_server_shows_each_new_build_and_never_a_gap(
    settings: Settings, docs: tuple[Path, Path]
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
        build_site(settings, FACTS, *docs)
        with ThreadPoolExecutor() as pool:
            reader = pool.submit(read)
            try:
                for number in range(10):
                    build_site(settings, replace(FACTS, gold_rows=[(f"version{number}", 1)]), *docs)
                    assert f"version{number}" in server.get("/")[1]
            finally:
                done.set()
            reader.result()
    finally:
        server.end()
    assert len(answers) > 10
    assert {status for status, _ in answers} == {200}
    assert all(body.rstrip().endswith("</html>") for _, body in answers)


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
