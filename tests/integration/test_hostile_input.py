"""What no client should send, sent to the real API: an honest refusal, and the worker still serves."""

import gzip
import json
import os
import re
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPResponse
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import psutil
import pytest
import requests
from pyspark.sql import SparkSession

from cinelake.settings import Settings
from cinelake.stack.api import API, endpoint
from cinelake.stack.state import load_state, stack_folder
from ingestion.api import gunicorn_conf, keys
from ingestion.api.slow_reads import READ_SECONDS
from ingestion.api.worker import ANSWER_SECONDS, LINGER_MS
from ingestion.events import is_placeholder
from ingestion.topics import USER_LOGS, USER_LOGS_REJECTED, topic_end_offsets
from lakehouse import changes
from pipeline.streams import run_bronze
from tests.kafka_events import events_in

DOCUMENTS = 200
"""Of those, the buffers of a connection take a few."""
STATUS_OF_SLOW = {"slow body": b" 408 ", "stays": b" 200 "}
"""What is answered to slow clients before their connection ends."""


@pytest.fixture(scope="module")
def key(stack: Settings) -> str:
    return keys.create_key(stack, "hostile", requests_per_second=100_000)


@pytest.fixture
def api(stack: Settings, key: str) -> Iterator[requests.Session]:
    """A session with the key; after each test the same workers serve, and a good event is taken."""
    before = _workers(stack)
    with requests.Session() as session:
        session.headers.update({"X-API-Key": key, "Content-Type": "application/json"})
        yield session
        answer = session.post(
            f"{endpoint(stack)}/v1/events", data=orjson.dumps(_event()), timeout=30
        )
    assert answer.status_code == 202
    assert _workers(stack) == before


def _head(key: str, length: int) -> bytes:
    """A request up to its body, which is to be so long."""
    return (
        f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _workers(stack: Settings) -> set[int]:
    master = psutil.Process(load_state(stack.home).processes["api"].pid)
    return {child.pid for child in master.children()}


def _event(**fields: object) -> dict[str, object]:
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": "page_view",
        "occurred_at": "2026-01-01T12:00:00Z",
        "anonymous_id": "a",
        **fields,
    }


def _post(stack: Settings, api: requests.Session, body: bytes, **headers: str) -> requests.Response:
    return api.post(f"{endpoint(stack)}/v1/events", data=body, headers=headers, timeout=30)


def test_every_json_file_that_breaks_parsers_gets_the_right_answer(
    stack: Settings, api: requests.Session, real_files: Path
) -> None:
    files = sorted((real_files / "naughty" / "json").glob("*.json"))
    assert len(files) > 300
    expected = {"y": {202, 422}, "n": {400}, "i": {202, 400, 422}}
    wrong = {}
    for file in files:
        answer = _post(stack, api, file.read_bytes())
        if answer.status_code not in expected[file.name[0]]:
            wrong[file.name] = answer.status_code
    assert wrong == {}


STRING_FIELDS = ("user_id", "anonymous_id", "session_id", "locale", "referrer", "app_version")
STRING_FIELDS += ("screen", "path", "title", "unknown_property", "a_name")


def _with_string(text: str, field: str) -> dict[str, object]:
    match field:
        case "user_id" | "anonymous_id" | "session_id":
            return _event(**{field: text})
        case "locale" | "referrer" | "app_version" | "screen":
            return _event(context={field: text})
        case "a_name":
            return _event(properties={text: 1})
        case _:
            return _event(properties={field: text})


def test_every_string_that_breaks_software_is_refused_or_comes_back_as_it_was(
    stack: Settings,
    api: requests.Session,
    real_files: Path,
    tmp_path: Path,
    spark: SparkSession,
) -> None:
    strings = json.loads((real_files / "naughty" / "blns.json").read_text("utf-8"))
    strings += ["a\0b", "\ud800", "\udfff half", "\ufeff", "\u2028", "e\u0301"]
    assert len(strings) >= 500
    sent: dict[str, dict[str, object]] = {}
    refused: list[tuple[str, str]] = []
    for field in STRING_FIELDS:
        events = [_with_string(text, field) for text in strings]
        for start in range(0, len(events), 100):
            batch = events[start : start + 100]
            answer = _post(stack, api, json.dumps(batch).encode())
            assert answer.status_code in (202, 422), answer.text
            bad = {error["index"]: error["reason"] for error in answer.json()["errors"]}
            assert all(bad.values())
            sent |= {str(e["event_id"]): e for i, e in enumerate(batch) if i not in bad}
            refused += [(field, strings[start + i]) for i in bad]
    unstorable = [text for _, text in refused if "\0" in text or any(map(_is_surrogate, text))]
    assert len(unstorable) == 3 * len(STRING_FIELDS)
    assert len(sent) > 5_000
    assert len(sent) + len(refused) == len(strings) * len(STRING_FIELDS)

    lake = stack.model_copy(update={"lake": str(tmp_path / "lake")})
    run_bronze(lambda: spark, lake)
    landed = changes.query(lake, "bronze.user_logs", "select value from t").column("value")
    found = {event["event_id"]: event for event in events_in(landed.to_pylist())}
    for event_id, event in sent.items():
        landed_event = found[event_id]
        for name, value in event.items():
            if name == "context":
                assert isinstance(value, dict)
                assert {n: landed_event["context"][n] for n in value} == value
            elif name in ("user_id", "anonymous_id", "session_id") and is_placeholder(str(value)):
                assert landed_event[name] is None
            elif name != "occurred_at":
                assert landed_event[name] == value


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"[" * 100_000, {400}),
        (b"[" * 100_000 + b"]" * 100_000, {400, 422}),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, {400, 422}),
        (b'{"event_id":1,"event_id":"x"}', {422}),
        (b'{"a":' + b"9" * 500_000 + b"}", {422}),
        (b'{"a":1e99999}', {422}),
        (b'{"a":NaN}', {400}),
        (b'{"a":-Infinity}', {400}),
        (b"\x00" * 1000, {400}),
    ],
)
def test_hostile_json_is_refused(
    stack: Settings, api: requests.Session, body: bytes, statuses: set[int]
) -> None:
    assert _post(stack, api, body).status_code in statuses


def test_a_body_of_100_mebibytes_is_refused_without_being_kept(
    stack: Settings, api: requests.Session
) -> None:
    before = _memory(stack)

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1024 * 1024

    for body in (b" " * 100 * 1024 * 1024, chunks()):
        try:
            answer = api.post(f"{endpoint(stack)}/v1/events", data=body, timeout=60)
            assert answer.status_code == 413
        except requests.ConnectionError:
            # The API has answered and closed while the client was still sending: as good a refusal.
            continue
    assert _memory(stack) - before < 64 * 1024 * 1024


def test_whoever_sends_too_much_is_told_so_at_once(stack: Settings, api: requests.Session) -> None:
    """Also where the API closed while the client waited for room to send: by the tenth or so, it once did."""
    for _ in range(60):
        body = b" " * 2 * 1024 * 1024
        answer = api.post(f"{endpoint(stack)}/v1/events", data=body, timeout=ANSWER_SECONDS)
        assert answer.status_code == 413


def _memory(stack: Settings) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in _workers(stack))


def test_a_gzip_bomb_is_refused(stack: Settings, api: requests.Session) -> None:
    bomb = gzip.compress(b" " * 500 * 1024 * 1024)
    before = _memory(stack)
    assert _post(stack, api, bomb, **{"Content-Encoding": "gzip"}).status_code == 413
    assert _memory(stack) - before < 64 * 1024 * 1024


def _slow_clients(stack: Settings, key: str, count: int) -> Iterator[tuple[str, socket.socket]]:
    """Connections of clients that send nothing, send slowly, do not read or do not hang up, as many of each."""
    host = urlsplit(endpoint(stack))
    document = b"GET /openapi/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    begun = {
        "silent": b"",
        "slow head": b"POST /v1/events HT",
        "slow body": _head(key, 1000),
        "reads nothing": document * DOCUMENTS,
        "stays": b"GET /healthz HTTP/1.0\r\n\r\n",
    }
    for _, (kind, sent) in zip(range(count), cycle(begun.items()), strict=False):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host.hostname, host.port))
        connection.settimeout(ANSWER_SECONDS)
        connection.sendall(sent)
        yield kind, connection


def _seconds_of_an_event(stack: Settings, api: requests.Session) -> float:
    started = time.monotonic()
    assert _post(stack, api, orjson.dumps(_event())).status_code == 202
    return time.monotonic() - started


def test_slow_clients_in_a_number_of_a_workers_threads_keep_nobody_from_being_served_for_long(
    stack: Settings, api: requests.Session, key: str
) -> None:
    document = len(requests.get(f"{endpoint(stack)}/openapi/openapi.json", timeout=15).content)
    log = API.log(stack_folder(stack.home))
    before = log.read_text()
    threads = gunicorn_conf.threads
    with ExitStack() as closed_at_the_end:
        slow = list(_slow_clients(stack, key, threads - 1))
        # However they fell on the workers, each has a thread left; the first of the others is let go after 5 s.
        assert max(_seconds_of_an_event(stack, api) for _ in range(20)) < 4
        slow += _slow_clients(stack, key, (len(_workers(stack)) - 1) * threads + 1)
        for _, connection in slow:
            closed_at_the_end.enter_context(connection)
        started = time.monotonic()
        # Of those that fell on a worker whose threads were all taken, the last begins when the first is let go.
        while time.monotonic() - started < READ_SECONDS + ANSWER_SECONDS + 2:
            # By now there may be none.
            assert _seconds_of_an_event(stack, api) < READ_SECONDS + 5
            for kind, connection in slow:
                if kind in ("slow head", "slow body"):
                    with suppress(OSError):
                        connection.sendall(b" ")
            time.sleep(0.5)
        assert _seconds_of_an_event(stack, api) < 4
        for kind, connection in slow:
            if kind == "reads nothing":
                assert _all_of(connection) < DOCUMENTS * document
            elif kind == "slow head":
                assert _all_of(connection) == 0
            elif kind != "silent":
                assert STATUS_OF_SLOW[kind] in _first_line(connection)
    assert log.read_text() == before


def _all_of(connection: socket.socket) -> int:
    """The bytes that still come until the other side ends the connection."""
    read = 0
    with suppress(ConnectionResetError):
        while part := connection.recv(1024 * 1024):
            read += len(part)
    return read


def _first_line(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096).partition(b"\r\n")[0]
    except ConnectionResetError:
        pytest.fail("the connection was reset before its answer could be read")


def test_ten_thousand_headers_are_refused(stack: Settings, api: requests.Session) -> None:
    host = urlsplit(endpoint(stack))
    connection = HTTPConnection(str(host.hostname), host.port, timeout=30)
    try:
        connection.putrequest("POST", "/v1/events")
        for number in range(10_000):
            connection.putheader(f"X-{number}", "x")
        connection.endheaders()
        response: HTTPResponse = connection.getresponse()
        assert 400 <= response.status < 500
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("parameter", "header", "status"), [("a" * 4096, "", 414), ("", "a" * 8192, 431)]
)
def test_a_long_address_and_a_long_header_are_refused_as_the_document_says(
    stack: Settings, api: requests.Session, parameter: str, header: str, status: int
) -> None:
    document = api.get(f"{endpoint(stack)}/openapi/openapi.json", timeout=30).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            address = endpoint(stack) + re.sub(r"\{\w+\}", "1", path)
            answer = api.request(
                method, address, params={"long": parameter}, headers={"X-Long": header}, timeout=30
            )
            assert answer.status_code == status
            assert answer.headers["Content-Type"] in operation["responses"][str(status)]["content"]


@pytest.mark.parametrize(
    "content_type", ["text/xml", "multipart/form-data", "application/x-gzip", ""]
)
def test_a_wrong_content_type_is_refused(
    stack: Settings, api: requests.Session, content_type: str
) -> None:
    answer = _post(stack, api, orjson.dumps(_event()), **{"Content-Type": content_type})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_no_server_error(
    stack: Settings, api: requests.Session, raw: bytes
) -> None:
    host = urlsplit(endpoint(stack))
    with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
        except OSError:
            # Closed at once, as what came was no request.
            answer = b""
    assert not answer or b" 4" in answer.partition(b"\r\n")[0]


SECRET = b"Ada Lovelace, +44 20 7946 0000"
BROKEN_BODIES = {
    "a size in words": b"Transfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n\r\n",
    "a longer chunk than its size": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}" + SECRET,
    "the end within a chunk": b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + SECRET,
    "a bad trailer": b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + SECRET + b"\r\n\r\n",
    "the end within a length": b"Content-Length: 1000\r\n\r\n" + SECRET,
    "more than its length": b"Content-Length: 2\r\n\r\n{}" + SECRET + b"\r\n\r\n",
}


@pytest.mark.parametrize("has_key", [True, False])
@pytest.mark.parametrize("broken", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
def test_a_body_with_broken_framing_is_refused_and_leaves_no_trace(
    stack: Settings, api: requests.Session, key: str, broken: bytes, has_key: bool
) -> None:
    log = API.log(stack_folder(stack.home))
    logged = log.stat().st_size
    head = f"POST /v1/events?key={key if has_key else ''} HTTP/1.1\r\nHost: x\r\n"
    answer = _raw(stack, head.encode() + b"Content-Type: application/json\r\n" + broken)
    statuses = re.findall(rb"^HTTP/1.1 (\d)", answer, re.MULTILINE)
    # What stands after a body's end is a request of its own.
    assert statuses in ([b"4"], [b"4", b"4"] if broken.startswith(b"Content-Length: 2") else [])
    assert SECRET.split()[0] not in answer
    told = log.read_bytes()[logged:]
    assert b"Traceback" not in told
    assert SECRET.split()[0] not in told


@pytest.mark.parametrize(("count", "statuses"), [(1, [401, 200]), (5000, [401])])
@pytest.mark.parametrize(
    "framing", ["Content-Length: %d\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n%x\r\n"]
)
def test_a_body_that_was_not_read_is_passed_over_or_ends_the_connection(
    stack: Settings, api: requests.Session, framing: str, count: int, statuses: list[int]
) -> None:
    body = b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n" * count
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    end = b"\r\n0\r\n\r\n" if "chunked" in framing else b""
    after = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = _raw(stack, head + (framing % len(body)).encode() + body + end + after)
    assert [int(each) for each in re.findall(rb"HTTP/1.1 (\d+)", answer)] == statuses


def _raw(stack: Settings, sent: bytes) -> bytes:
    """Everything that is answered to bytes, after which the client hangs up."""
    host = urlsplit(endpoint(stack))
    answer = b""
    with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            # Closed before all was read.
            return answer
    return answer


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "SCRIPT-NAME", "PATH_INFO", "PATH-INFO"])
@pytest.mark.parametrize("value", ["/foo", "/healthz", "/nope"])
def test_a_header_changes_nothing_of_what_wsgi_says(
    stack: Settings, api: requests.Session, name: str, value: str
) -> None:
    for path, status in (("/healthz", 200), ("/foo/healthz", 404)):
        assert _asked(stack, path, f"{name}: {value}") == status


def test_http_1_1_needs_a_host(stack: Settings, api: requests.Session) -> None:
    for raw, status in (
        (b"GET /healthz HTTP/1.1\r\n\r\n", b" 400 "),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b" 400 "),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b" 200 "),
    ):
        assert status in _raw(stack, raw).partition(b"\r\n")[0]


def _asked(stack: Settings, path: str, header: str) -> int:
    raw = f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n"
    return int(_raw(stack, raw.encode()).split()[1])


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_events_of_a_page_of_another_origin_do_not_reach_kafka(
    stack: Settings, api: requests.Session, origin: str, content_type: str
) -> None:
    def in_kafka() -> int:
        topics = (USER_LOGS, USER_LOGS_REJECTED)
        return sum(sum(topic_end_offsets(stack, topic).values()) for topic in topics)

    before = in_kafka()
    for body in (orjson.dumps(_event()), b"no JSON"):
        answer = _post(stack, api, body, **{"Origin": origin, "Content-Type": content_type})
        assert answer.status_code == 403
    assert in_kafka() == before
    own = {"Origin": endpoint(stack), "Content-Type": content_type}
    assert _post(stack, api, orjson.dumps(_event()), **own).status_code == 202


def _answers(connection: socket.socket, count: int) -> int:
    """How many answers of a connection say that an event was accepted, read until there are so many or it ends."""
    received = b""
    while received.count(b"HTTP/1.1 202 ") < count and (part := connection.recv(65536)):
        received += part
    return received.count(b"HTTP/1.1 202 ")


def _request(key: str) -> bytes:
    body = orjson.dumps(_event())
    return _head(key, len(body)) + body


def test_a_connection_is_answered_in_a_row_at_once_and_after_a_pause(
    stack: Settings, api: requests.Session, key: str
) -> None:
    host = urlsplit(endpoint(stack))
    with socket.create_connection((host.hostname, host.port), timeout=30) as connection:
        connection.sendall(_request(key) + _request(key))
        assert _answers(connection, 2) == 2
        for pause in (0, 0, 10 * LINGER_MS / 1000, 0):
            time.sleep(pause)
            connection.sendall(_request(key))
            assert _answers(connection, 1) == 1


def test_more_connections_than_threads_are_all_answered(
    stack: Settings, api: requests.Session, key: str
) -> None:
    host = urlsplit(endpoint(stack))
    with ExitStack() as closed_at_the_end:
        connections = [
            closed_at_the_end.enter_context(
                socket.create_connection((host.hostname, host.port), timeout=30)
            )
            for _ in range(2 * len(_workers(stack)) * gunicorn_conf.threads)
        ]
        for _ in range(3):
            for connection in connections:
                connection.sendall(_request(key))
            assert [_answers(connection, 1) for connection in connections] == [1] * len(connections)


def test_a_worker_that_is_asked_to_end_answers_what_it_has_begun(stack: Settings, key: str) -> None:
    """SIGTERM to a worker under load: every answer is whole, and what was accepted is in Kafka."""
    from ingestion.client import Batch, EventSender

    before = sum(topic_end_offsets(stack, USER_LOGS).values())
    killed = 0

    def batches() -> Iterator[Batch]:
        nonlocal killed
        for number in range(120):
            if number in (30, 60, 90):
                os.kill(next(iter(_workers(stack))), signal.SIGTERM)
                killed += 1
            yield Batch([_event() for _ in range(100)])

    totals = EventSender(endpoint(stack), api_key=key).send_all(batches())
    assert killed == 3
    assert totals.accepted == totals.sent == 12_000
    # A batch that was sent again after a broken connection is there twice; none is missing.
    assert sum(topic_end_offsets(stack, USER_LOGS).values()) - before >= 12_000
