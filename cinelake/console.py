"""What the command line shows: progress bars, tables and errors. Only the command line uses it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cinelake.errors import CinelakeError
from cinelake.harmless import harmless
from cinelake.log import get_logger

WITHOUT_END = 100_000
"""Characters of a line of a pipe or a file."""


class _Console(Console):
    """Names, values and messages of others are among what it shows: nothing in a text steers the terminal."""

    @property  # type: ignore[misc]  # Nobody sets it.
    def size(self) -> ConsoleDimensions:
        """The terminal's; a pipe or a file is as wide as what is written, unless `COLUMNS` says otherwise, and folds no name."""
        size = super().size
        if self.is_terminal or self._width is not None or "COLUMNS" in self._environ:
            return size
        return ConsoleDimensions(WITHOUT_END, size.height)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make it harmless before it is laid out, as it grows."""
        return super().render_str(harmless(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """See to a `Text`, too."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(harmless(segment.text), segment.style)


# Nothing in a text is markup either. A style comes by `style` or with a `Text`.
out = _Console(markup=False, emoji=False)
err = _Console(stderr=True, markup=False, emoji=False)


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; yields the function to call with the number of items just done."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=not err.is_terminal) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.advance(task, done)
    if not err.is_terminal:
        err.print(f"{label}: done")


class _RateColumn(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s")


@contextmanager
def rate_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with a rate and the time that is left, for work whose size shows only later.

    Yields:
        The function to call with how many items are done and how many there are.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=err, transient=not err.is_terminal, speed_estimate_period=30
    ) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
    if not err.is_terminal:
        err.print(f"{label}: done")


def say_stage(name: str) -> None:
    """Announce a stage on standard error."""
    err.print(Text("•", "bold cyan"), name)


def counts_table(title: str, rows: list[tuple[str, str]], unit: str) -> Table:
    """A table of names and figures."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column(unit, justify="right")
    for name, figure in rows:
        table.add_row(name, figure)
    return table


def be_quiet() -> None:
    """Leave standard error to the log: no progress and no panels among lines that a machine reads."""
    err.quiet = True


def report_error(error: CinelakeError) -> None:
    """Show an error with its details and its next step on standard error; a line of the log where that is a machine's."""
    if err.quiet:
        get_logger("command").error(error.message, hint=error.hint, exit_code=error.exit_code)
        return
    if error.details is not None:
        err.print(error.details)
    panel = Panel(error.message, title="error", border_style="red", highlight=False)
    panel.expand = err.is_terminal
    err.print(panel)
    if error.hint:
        err.print(error.hint, highlight=False)
    sys.stderr.flush()
