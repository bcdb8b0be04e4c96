"""The command line: help everywhere, an exit code a kind of error, and progress that suits a file."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cinelake import __version__, cli, console
from cinelake.commands import stages
from cinelake.commands.help import EXAMPLES
from cinelake.console import progress_bar
from cinelake.errors import (
    BadInputError,
    CinelakeError,
    DamagedDataError,
    GateFailedError,
    LedgerMismatchError,
    ServiceError,
    SettingError,
)
from cinelake.settings import get_settings


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


EVERY_COMMAND = sorted(commands(typer.main.get_command(cli.app)))


@cache
def help_of(*path: str) -> str:
    """What a command says with `--help`."""
    result = CliRunner().invoke(cli.app, [*path, "--help"], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CINELAKE_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def run_main(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of the program itself, with its handling of errors."""
    monkeypatch.setattr(sys, "argv", ["cinelake", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_there_is_a_command_for_every_stage() -> None:
    stage_names = {"bronze", "silver", "publish", "gold", "refresh", "docs"}
    names = {path[0] for path in EVERY_COMMAND if path}
    assert names >= stage_names | {"up", "down", "status", "sql", "demo", "simulate"}


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    text = re.sub(r"[\s│╭╮╰╯─]+", " ", help_of(*path))
    command: Any = typer.main.get_command(cli.app)
    for name in path:
        command = command.commands[name]
    assert command.help, "a command says what it does"
    first_words = " ".join(command.help.replace("`", "").split()[:4])
    assert first_words in text.replace("`", "")


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_help_calls_values_what_a_person_calls_them(path: tuple[str, ...]) -> None:
    text = help_of(*path)
    for jargon in ("<", "[x", "x>=", "range  ", "bool", "%Y", "list["):
        assert jargon not in text, text


@pytest.mark.parametrize("path", EXAMPLES)
def test_each_example_is_one_that_the_command_takes(path: str) -> None:
    shown = help_of(*path.split())
    for example in EXAMPLES[path]:
        assert example in shown
        program, *words = shlex.split(example)
        assert (program, words[:1]) == ("cinelake", path.split()[:1])
        command: Any = typer.main.get_command(cli.app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        # Raises what the command would end with.
        command.make_context(path, words)


def test_each_command_that_must_be_told_something_has_an_example() -> None:
    def must_be_told(path: tuple[str, ...]) -> bool:
        command: Any = typer.main.get_command(cli.app)
        for name in path:
            command = command.commands[name]
        return any(each.required for each in command.params)

    assert [" ".join(path) for path in EVERY_COMMAND if must_be_told(path)] == sorted(
        path for path in EXAMPLES if must_be_told(tuple(path.split()))
    )


def test_help_does_not_wait_for_spark() -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from cinelake import cli\n"
        "assert CliRunner().invoke(cli.app, ['refresh', '--help']).exit_code == 0\n"
        "print([name for name in ('pyspark', 'great_expectations', 'dbt', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_help_tells_the_exit_codes() -> None:
    said = " ".join(help_of().split())
    assert "0 done" in said
    assert f"{DamagedDataError.exit_code} stored data is damaged" in said


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(cli.app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"cinelake {__version__}\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CinelakeError("Something.", "Do this."), 1),
        (SettingError("A setting.", "Set it."), 2),
        (BadInputError("A file.", "Mend it."), 2),
        (GateFailedError("Refused.", "Look.", details="the failed rules"), 3),
        (LedgerMismatchError("Lost.", "Count."), 4),
        (ServiceError("Down.", "Start it."), 5),
        (DamagedDataError("A file.", "Bring it back."), 6),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_kind_of_error_ends_with_its_exit_code_and_its_next_step(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(stages, "refresh_all", fail)
    assert run_main("refresh", monkeypatch=monkeypatch) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    if isinstance(error, CinelakeError):
        for part in (error.message, error.hint, error.details or ""):
            assert str(part) in shown.err


NO_IDS = ("0", str(2**53), "99999999999999999999", "9" * 5000, "٣", "²")
"""Texts that are no TMDB id, or not one that a store holds."""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["no-such-command"], "no-such-command"),
        (["refresh", "--no-such-option"], "--no-such-option"),
        (["simulate", "--users", "0"], "--users"),
        (["simulate", "--bad-rate", "1.5"], "--bad-rate"),
        (["replay", "movielens"], "folder"),
        *((["tmdb", "sync", "--ids", f"550,{each}"], f"{each[:9]}") for each in NO_IDS),
        *((["trace", "movie", each], "cannot be traced") for each in NO_IDS),
        *((["quarantine", "show", f"movies_raw/{each}"], "is no place") for each in NO_IDS),
        *(
            (["quarantine", "show", f"movie/0/{each}"], "is no place")
            for each in (*NO_IDS[2:], "-1")
        ),
    ],
)
def test_a_wrong_argument_ends_with_2_and_is_named(
    arguments: list[str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_main(*arguments, monkeypatch=monkeypatch) == 2
    assert named in capsys.readouterr().err.lower()


def test_a_malformed_setting_ends_every_command_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CINELAKE_API_PORT", "eighty")
    assert run_main("status", monkeypatch=monkeypatch) == 2
    assert "CINELAKE_API_PORT is not valid" in capsys.readouterr().err


def test_help_is_shown_whatever_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CINELAKE_LOG_LEVEL", "LOUD")
    assert run_main("publish", "--help", monkeypatch=monkeypatch) == 0
    assert "Load every table anew" in capsys.readouterr().out


def test_a_missing_setting_ends_with_2_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("publish", monkeypatch=monkeypatch) == 2
    shown = capsys.readouterr().err
    assert "POSTGRES_URI is not set" in shown
    assert "cinelake up" in shown


def test_a_service_that_is_down_ends_with_5(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTGRES_URI", "postgresql://owner:open-sesame@127.0.0.1:1/cinelake")
    assert run_main("publish", monkeypatch=monkeypatch) == 5
    shown = capsys.readouterr().err
    assert "PostgreSQL cannot be reached" in shown
    assert "open-sesame" not in shown


def test_progress_in_a_file_is_one_line_without_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "err", console.Console(stderr=True, force_terminal=False))
    for total in (100, None):
        with progress_bar("movies", total) as done:
            for _ in range(100):
                done(1)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "\x1b" not in shown.err
        assert "\r" not in shown.err
        assert shown.err.splitlines()[-1] == "movies: done"


def test_work_that_fails_under_a_progress_bar_is_not_called_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "err", console.Console(stderr=True, force_terminal=False))
    with pytest.raises(ValueError, match="inside"), progress_bar("movies", 10):
        raise ValueError("inside")
    assert "done" not in capsys.readouterr().err
