"""Logs: a line a thing that happened, on standard error, for a person or a machine, tied to its run."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from cinelake.log import configure_logging, file_logger, get_logger
from cinelake.settings import load_settings, new_api_key


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def test_json_lines_parse_and_carry_run_stage_level_and_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_id = configure_logging(load_settings(CINELAKE_LOG_FORMAT="json"))
    log = get_logger("bronze")
    log.info("batch", rows=10, note='a "quoted"\nline é')
    try:
        raise ValueError("inside")
    except ValueError:
        log.exception("failed")
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = (json.loads(line) for line in captured.err.splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "batch",
        "stage": "bronze",
        "level": "info",
        "run_id": run_id,
        "rows": 10,
        "note": 'a "quoted"\nline é',
    }
    assert "ValueError: inside" in second["exception"]
    assert second["run_id"] == run_id


def test_console_lines_are_for_a_person_and_without_colours_in_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_id = configure_logging(load_settings(CINELAKE_LOG_FORMAT="console"))
    get_logger("silver").warning("slow", seconds=3)
    line = capsys.readouterr().err
    for part in ("warning", "slow", "seconds=3", "stage=silver", f"run_id={run_id}"):
        assert part in line
    assert "\x1b" not in line


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_text_of_others_steers_a_terminal_or_begins_a_line(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(load_settings(CINELAKE_LOG_FORMAT=log_format))
    text = "\x1b[2J\x9b31m\u202e\r\x07\n2026-01-01 [info] forged"
    get_logger("silver").warning(text, one=text, many=[text], named={"name": text})
    logging.getLogger("library").warning("said %s", text)
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 2
    assert [char for char in written if not char.isprintable() and char != "\n"] == []


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("INFO", ["info", "warning", "error"]),
        ("WARNING", ["warning", "error"]),
        ("ERROR", ["error"]),
    ],
)
def test_lines_below_the_level_are_left_out(
    capsys: pytest.CaptureFixture[str], level: str, shown: list[str]
) -> None:
    configure_logging(load_settings(CINELAKE_LOG_FORMAT="json", CINELAKE_LOG_LEVEL=level))
    log = get_logger("gate")
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(name)
    found = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert found == shown


def test_each_process_has_a_run_id_of_its_own() -> None:
    settings = load_settings()
    assert len({configure_logging(settings) for _ in range(20)}) == 20


def test_a_command_that_is_part_of_a_run_has_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(CINELAKE_RUN_ID="nightly-2026-01-31")
    assert configure_logging(settings) == "nightly-2026-01-31"
    get_logger("bronze").info("batch")
    assert "run_id=nightly-2026-01-31" in capsys.readouterr().err


def test_a_line_of_a_thread_without_our_context_names_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_id = configure_logging(load_settings())
    thread = threading.Thread(target=lambda: get_logger("silver").info("batch"))
    thread.start()
    thread.join()
    assert f"run_id={run_id}" in capsys.readouterr().err


def test_libraries_say_what_they_have_to_say_as_lines_of_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(2):  # a second time replaces the first
        run_id = configure_logging(load_settings(CINELAKE_LOG_FORMAT="json"))
    library = logging.getLogger("great_expectations.core")
    library.info("not worth a line")
    try:
        raise ValueError("for jane@mail.example")
    except ValueError:
        library.warning("from %s", "203.0.113.9", exc_info=True)
    (line,) = (json.loads(text) for text in capsys.readouterr().err.splitlines())
    assert (line["event"], line["stage"], line["level"]) == (
        "from ***",
        "great_expectations",
        "warning",
    )
    assert line["run_id"] == run_id
    assert "ValueError: for ***" in line["exception"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_of_a_person_and_no_key_is_in_a_line(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(load_settings(CINELAKE_LOG_FORMAT=log_format))
    log = get_logger("silver").bind(user="jane@mail.example")
    log.warning("odd row from 203.0.113.9", sample=[{"ip": "2001:db8::1"}], key=new_api_key())
    try:
        raise ValueError("postgresql://boss:s3cr3t@db.example/x for jane@mail.example")
    except ValueError:
        log.exception("failed")
    shown = capsys.readouterr().err
    for secret in ("jane", "203.0.113", "2001:db8", "cl_", "s3cr3t"):
        assert secret not in shown
    assert "boss:***@db.example" in shown


def test_a_file_of_its_own_gets_lines_of_any_thread_and_is_rotated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cinelake.log.MAX_LOG_BYTES", 2_000)
    settings = load_settings(CINELAKE_LOG_FORMAT="json")
    run_id = configure_logging(settings)
    path = tmp_path / "logs" / "dbt.log"
    with file_logger(settings, path, "dbt") as log:
        thread = threading.Thread(
            target=lambda: [log.info("model", name="ratings", number=n) for n in range(100)]
        )
        thread.start()
        thread.join()
        log.debug("details")
    assert capsys.readouterr().err == ""
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["dbt.log", *(f"dbt.log.{n}" for n in (1, 2, 3))]
    assert all(file.stat().st_size <= 2_000 for file in files)
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["run_id"], last["stage"], last["number"]) == (run_id, "dbt", 99)
