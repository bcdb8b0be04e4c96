"""What the command line shows stands there as it is: nothing in it is markup."""

import ast
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cinelake import console
from cinelake.commands.values import show_rows
from cinelake.console import counts_table, progress_bar, rate_bar, report_error, say_stage
from cinelake.errors import BadInputError
from cinelake.settings import PROJECT_ROOT

TEXT = "[bold red]x[/] [/] [link=y]z :smile: \\[a]"


def _in_a_table(consoles: Console) -> None:
    table = Table(TEXT, title=TEXT, caption=TEXT)
    table.add_row(TEXT)
    consoles.print(table)


def _in_a_bar(bar: Callable[..., object]) -> Callable[[Console], None]:
    def show(_: Console) -> None:
        with bar(TEXT):  # type: ignore[attr-defined]
            pass

    return show


SHOWN: dict[str, Callable[[Console], None]] = {
    "text": lambda console: console.print(TEXT),
    "texts": lambda console: console.print("a", TEXT, style="yellow", highlight=False),
    "table": _in_a_table,
    "panel": lambda console: console.print(Panel(TEXT)),
    "figures": lambda console: console.print(counts_table(TEXT, [(TEXT, TEXT)], TEXT)),
    "stage": lambda _: say_stage(TEXT),
    "error": lambda _: report_error(BadInputError(TEXT, TEXT, details=TEXT)),
    "bar": _in_a_bar(lambda text: progress_bar(text, 1)),
    "bar with a rate": _in_a_bar(rate_bar),
}


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What both consoles write, to a terminal and to a file."""
    text = StringIO()
    for each in (console.out, console.err):
        monkeypatch.setattr(each, "_file", text)
        monkeypatch.setattr(each, "_width", 200)
        monkeypatch.setattr(each, "_height", 50)
        monkeypatch.setattr(each, "_force_terminal", request.param)
        monkeypatch.setattr(each, "_color_system", None)
        monkeypatch.setattr(each, "no_color", True)
    return text


@pytest.mark.parametrize("way", SHOWN)
@pytest.mark.parametrize("stream", ["out", "err"])
def test_a_text_is_shown_as_it_is(way: str, stream: str, written: StringIO) -> None:
    SHOWN[way](getattr(console, stream))
    assert TEXT in written.getvalue()


NAME = "n" * 300


@pytest.mark.parametrize("stream", ["out", "err"])
def test_a_pipe_or_a_file_gets_each_name_whole(
    stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    text = StringIO()
    for each in (console.out, console.err):
        monkeypatch.setattr(each, "_file", text)
        monkeypatch.setattr(each, "_width", None)
        monkeypatch.setattr(each, "_force_terminal", False)
    monkeypatch.setattr(sys.modules[__name__], "TEXT", NAME)
    for way, show in SHOWN.items():
        show(getattr(console, stream))
        assert NAME in text.getvalue(), way
        text.truncate(text.seek(0))
    show_rows([{"name": NAME, "other": NAME}], ["name", "other"])
    assert text.getvalue().count(NAME) == 2
    assert max(map(len, text.getvalue().splitlines())) < 3 * len(NAME)
    text.truncate(text.seek(0))
    report_error(BadInputError(NAME))
    assert max(map(len, text.getvalue().splitlines())) < 2 * len(NAME)


STEERING = "\x1b[2J \x1b]0;title\x07 \x9b31m \u202e \r\x08 \u2028 \0"


@pytest.mark.parametrize("way", SHOWN)
@pytest.mark.parametrize("stream", ["out", "err"])
@pytest.mark.parametrize("written", [False], indirect=True, ids=["file"])
def test_no_text_steers_the_terminal(
    way: str, stream: str, written: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "TEXT", STEERING)
    SHOWN[way](getattr(console, stream))
    assert [char for char in written.getvalue() if not char.isprintable() and char != "\n"] == []
    assert "\\u001b[2J" in written.getvalue()


@pytest.mark.parametrize("written", [False], indirect=True, ids=["file"])
def test_no_styled_text_steers_the_terminal(written: StringIO) -> None:
    console.out.print(Text.assemble(("red", "red"), STEERING), Panel(Text(STEERING)))
    assert [char for char in written.getvalue() if not char.isprintable() and char != "\n"] == []


def test_nothing_is_shown_past_the_two_consoles() -> None:
    """No other console is made and no markup is asked for, in whatever a command may call."""
    found = []
    for file in _modules():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            allows = any(
                word.arg == "markup" and ast.unparse(word.value) != "False"
                for word in node.keywords
            )
            of_rich = ("from_markup", "render_markup", "Console", "_Console")
            if allows or name in of_rich:
                found.append(file.relative_to(PROJECT_ROOT).as_posix())
    assert found == ["cinelake/console.py"] * 2


def _modules() -> list[Path]:
    folders = ("cinelake", "expectations", "ingestion", "lakehouse", "pipeline", "spark_streaming")
    return [file for name in folders for file in sorted((PROJECT_ROOT / name).rglob("*.py"))]
